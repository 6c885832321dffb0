package wire

import "encoding/json"

// The kinds of Request.
const (
	RequestHighstate = "highstate" // HighstateRequest, answered by HighstateReply
	RequestFiles     = "files"     // FilesRequest, answered by FilesReply
	RequestFile      = "file"      // FileRequest, answered by a Chunk with the request's ID, or by a Reply with an error
	RequestPillar    = "pillar"    // PillarRequest, answered by PillarReply
	RequestGrains    = "grains"    // {"grains": ..., "tags": ...} as they are now, answered by true
)

// BlobFile is the Kind of a Chunk that answers a RequestFile. It is not offered before: the reader asks for each piece.
const BlobFile = "file"

// Busy is the error of a Reply to what should be asked again later.
const Busy = "the master has too much to do; ask again"

// MaxReply bounds the body of a Reply, in bytes.
const MaxReply = 12 << 20

// HighstateRequest asks for all that the minion should be. The master publishes a job that applies the states; once that has
// succeeded the minion asks for its groups' releases. Without an own body it is the first of the two.
type HighstateRequest struct {
	Groups bool `json:"groups,omitempty"` // the states have succeeded
	Again  bool `json:"again,omitempty"`  // not for the first time in this run: what is live stays
}

// HighstateReply says what the minion gets.
type HighstateReply struct {
	Job    string   `json:"job,omitempty"` // that applies the states; the groups come after it
	Groups []string `json:"groups"`
}

// FilesRequest asks for the index of all files of states.
type FilesRequest struct {
	Known string `json:"known,omitempty"` // digest of the index that the minion has
}

// FilesReply has the index as package fileroot's JSON; nothing when the minion knows it.
type FilesReply struct {
	Index json.RawMessage `json:"index,omitempty"`
}

// FileRequest asks for a piece of a file of the index.
type FileRequest struct {
	Saltenv string `json:"saltenv"`
	Name    string `json:"name"`
	Size    int64  `json:"size"`
	Digest  string `json:"digest"`
	Offset  int64  `json:"offset"`
}

// PillarRequest asks for the minion's own pillar.
type PillarRequest struct {
	Override json.RawMessage `json:"override,omitempty"` // what was given with a call
}

// PillarReply has the pillar, or says which of its files are wrong.
type PillarReply struct {
	Pillar json.RawMessage `json:"pillar,omitempty"`
	Errors []PillarError   `json:"errors,omitempty"`
}

// PillarError names a file of the pillar that is wrong.
type PillarError struct {
	File    string `json:"file"` // "pillar:" and the SLS
	Message string `json:"message"`
}
