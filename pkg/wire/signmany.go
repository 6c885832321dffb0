package wire

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Many jobs are signed at once by a tree of hashes: the leaves are the jobs, and what is signed is the root. With its job
// a minion gets what it needs to compute the root: the hashes beside its way up. A leaf holds random bytes too, so
// that the hash of another minion's job tells nothing of it.
//
//	signature of one job    64 bytes: of the job
//	signature of many       64 bytes: of the root, then 16 random bytes, the leaf's place (4 bytes), the hashes

const (
	// leavesMost bounds a tree: a signature is 21 times as much work as what a leaf takes, and each doubling adds 32 bytes
	// to what a minion gets.
	leavesMost = 64
	saltSize   = 16
	placeSize  = 4
	waysMost   = 32 // hashes: more cannot be counted by a place

	rootDomain = "brine jobs v1\x00"
	leafDomain = "\x00" + jobDomain
	nodeDomain = "\x01"
)

type hash = [sha256.Size]byte

// Signed is a job as it travels.
type Signed struct {
	Body, Sig []byte
}

// SignAll is Sign for many jobs. It is faster than that when there are many, and when they differ in Minion only.
func SignAll(key SigningKey, jobs []fleet.Job) ([]Signed, error) {
	if key.private == nil {
		return nil, errors.New("sign jobs: no key")
	}
	list := make([]Signed, len(jobs))
	var e encoder
	for i, job := range jobs {
		body, err := e.encode(job)
		if err != nil {
			return nil, fmt.Errorf("encode job: %w", err)
		}
		list[i].Body = body
	}
	for rest := list; len(rest) > 0; {
		n := min(len(rest), leavesMost)
		signTree(key, rest[:n])
		rest = rest[n:]
	}
	return list, nil
}

// encoder encodes jobs, those that differ from the one before in Minion only by putting that in.
type encoder struct {
	last       fleet.Job // without Minion
	head, tail []byte
}

const emptyMinion = `"minion":""`

func (e *encoder) encode(job fleet.Job) ([]byte, error) {
	minion, err := json.Marshal(job.Minion)
	if err != nil {
		return nil, err
	}
	job.Minion = ""
	if e.head == nil || !sameJob(job, e.last) {
		body, err := json.Marshal(job)
		if err != nil {
			return nil, err
		}
		at := bytes.Index(body, []byte(emptyMinion)) + len(emptyMinion) // inside a string the quotes would be escaped
		e.head, e.tail, e.last = body[:at-2:at-2], body[at:], job
	}
	out := make([]byte, 0, len(e.head)+len(minion)+len(e.tail))
	return append(append(append(out, e.head...), minion...), e.tail...), nil
}

func sameJob(a, b fleet.Job) bool {
	args := bytes.Equal(a.Args, b.Args)
	a.Args, b.Args = nil, nil
	return args && a.ID == b.ID && a.Function == b.Function && a.By == b.By && a.Issued.Equal(b.Issued) && a.Deadline.Equal(b.Deadline) && a.Trace == b.Trace
}

func signTree(key SigningKey, list []Signed) {
	if len(list) == 1 {
		list[0].Sig = ed25519.Sign(key.private(), signed(list[0].Body))
		return
	}
	salts := make([]byte, saltSize*len(list))
	_, _ = rand.Read(salts) // never fails
	level := make([]hash, len(list))
	for i := range list {
		salt := salts[i*saltSize:][:saltSize]
		level[i] = leaf(salt, list[i].Body)
		list[i].Sig = binary.BigEndian.AppendUint32(append(make([]byte, ed25519.SignatureSize, ed25519.SignatureSize+saltSize+placeSize+8*sha256.Size), salt...), uint32(i))
	}
	for up := 0; len(level) > 1; up++ {
		if len(level)%2 == 1 {
			level = append(level, hash{}) // no leaf is known that has this
		}
		for i := range list {
			beside := level[i>>up^1]
			list[i].Sig = append(list[i].Sig, beside[:]...)
		}
		for i := range len(level) / 2 {
			level[i] = node(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	sig := ed25519.Sign(key.private(), root(level[0]))
	for i := range list {
		copy(list[i].Sig, sig)
	}
}

// openTree returns the signature of the root that sig leads to from body, and what it signs; not ok when sig is not one of
// many.
func openTree(body, sig []byte) (rootSig, message []byte, ok bool) {
	const fixed = ed25519.SignatureSize + saltSize + placeSize
	ways := len(sig) - fixed
	if ways < 0 || ways%sha256.Size != 0 || ways/sha256.Size > waysMost {
		return nil, nil, false
	}
	salt, way := sig[ed25519.SignatureSize:][:saltSize], sig[fixed:]
	place := binary.BigEndian.Uint32(sig[fixed-placeSize:])
	at := leaf(salt, body)
	for ; len(way) > 0; way = way[sha256.Size:] {
		if beside := hash(way[:sha256.Size]); place&1 == 1 {
			at = node(beside, at)
		} else {
			at = node(at, beside)
		}
		place >>= 1
	}
	return sig[:ed25519.SignatureSize], root(at), place == 0
}

func leaf(salt, body []byte) hash {
	h := sha256.New()
	h.Write([]byte(leafDomain)) //nolint:errcheck // it never fails
	h.Write(salt)               //nolint:errcheck // it never fails
	h.Write(body)               //nolint:errcheck // it never fails
	return hash(h.Sum(nil))
}

func node(left, right hash) hash {
	var b [1 + 2*sha256.Size]byte
	copy(b[:], nodeDomain)
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

func root(h hash) []byte { return append([]byte(rootDomain), h[:]...) }
