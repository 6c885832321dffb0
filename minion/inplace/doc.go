// Package inplace installs a revision the way that the section files of an appspec.yml says: into directories that exist
// already and that it shares with others. It is the layout appspec, and what brine-minion local does.
//
// # What survives a crash
//
// Before anything is touched the record says what is about to be: all that the install before made and all that this one
// is going to make. So whatever instant a crash hits, the next install knows what is its own, takes away what is not wanted
// and never stumbles over its own halves. Each file is written beside its place and renamed over it: readers see the old
// content or the new. A file that stays between two revisions is never missing.
//
// # What is not followed
//
// Symbolic links above a destination are followed when the plan is made, for they are the administrator's. From then on
// nothing is: a directory that has become a link since, a link in a file's place, or one that the revision brought are
// replaced or refused, never written through.
package inplace
