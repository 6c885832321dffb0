// Package house holds the tests about the tree itself: which way imports point, where each third-party module lives, and
// that the samples, the units and the README are true.
package house
