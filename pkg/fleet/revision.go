package fleet

import "time"

// Origin says exactly what a source gave: enough to get the same tree again, and to tell people what it is.
type Origin struct {
	Ref     string    `json:"ref"`    // as the person asked: a branch, a tag, a commit, a path
	Commit  string    `json:"commit"` // what it resolved to; immutable
	Author  string    `json:"author,omitempty"`
	Subject string    `json:"subject,omitempty"` // first line of the commit's message
	Time    time.Time `json:"time,omitzero"`     // of the commit
}

// Revision is one built archive of an application: immutable, named by its digest.
type Revision struct {
	Digest  Digest    `json:"digest"`
	App     AppName   `json:"app"`
	Origin  Origin    `json:"origin"`
	Recipe  string    `json:"recipe"`          // digest of the build settings: the same commit built otherwise is another revision
	Size    int64     `json:"size"`            // bytes of the archive before encryption
	Stored  int64     `json:"stored"`          // bytes in the store
	Room    int64     `json:"room,omitempty"`  // bytes that its tree takes on a disk of 4 KiB blocks; 0: not known
	Files   int       `json:"files,omitempty"` // files, links and directories of its tree; 0: not known
	Built   time.Time `json:"built"`
	BuiltBy string    `json:"built_by"`
}

// Name is what people call the revision: "v42 (3f2a9c1, 8d1e0f...)".
func (r Revision) Name() string {
	commit := r.Origin.Commit[:min(8, len(r.Origin.Commit))]
	if r.Origin.Ref == "" || r.Origin.Ref == r.Origin.Commit {
		return commit
	}
	return r.Origin.Ref + " (" + commit + ")"
}
