// Package wire gives the messages between master and minions their bytes, signs jobs, and reads what comes from the
// network without trusting it. It is the only home of msgpack.
//
// A message is one msgpack map: "v" is the version, "t" the type, the rest are the fields of the type. Fields that a
// reader does not know are ignored, so that fields can be added; an unknown version or type is refused.
//
//	minion -> master   hello enrol ack ret request probe chunk log
//	master -> minion   job rack reply ctl echo chunkack
//
// The nouns of package fleet that travel whole (a job, a return) do so as JSON inside a msgpack bin: one form for the
// bus, the journal and the returners, and no msgpack extension type is needed, so all are refused.
package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Version is the version of the messages that this package writes and reads.
const Version = 1

// Hello is a minion's first message on a connection.
type Hello struct {
	Boot    string       `msgpack:"boot"`     // differs for each start of the minion
	LastSeq uint64       `msgpack:"last_seq"` // of the last job that it wrote down
	Spooled int          `msgpack:"spooled"`  // returns that wait for their rack
	Grains  fleet.Grains `msgpack:"grains"`
	Tags    fleet.Tags   `msgpack:"tags"`
	Version string       `msgpack:"version"`
	Held    bool         `msgpack:"held,omitempty"` // its highstate at start has not succeeded: no pool may have it yet
}

// Ack tells that a minion has written a job down; or, when Refused is not empty, that it will not, and why.
type Ack struct {
	Seq     uint64 `msgpack:"seq"`
	Refused string `msgpack:"refused,omitempty"`
}

// Probe measures the way to the master and back, and the distance between the clocks; the Echo has the same N. It comes
// before each hello and every now and then. The rest tells what the probe before it has found, and what waits.
type Probe struct {
	N         uint64        `msgpack:"n"`
	RoundTrip time.Duration `msgpack:"rtt,omitempty"`  // zero: not known yet
	Skew      time.Duration `msgpack:"skew,omitempty"` // the minion's clock minus the master's
	Spooled   int           `msgpack:"spooled"`        // returns that wait for their rack
	Dropped   uint64        `msgpack:"dropped"`        // parts that a full spool has lost since the minion's start
}

// Echo answers a Probe at once. Now is the master's clock, in nanoseconds since 1970.
type Echo struct {
	N   uint64 `msgpack:"n"`
	Now int64  `msgpack:"now"`
}

// Ret carries one part of a return. RSeq numbers what this minion returns.
type Ret struct {
	RSeq   uint64
	Return fleet.Return
	Text   json.RawMessage // the JSON of Return, as it came; nil in what is to be encoded
}

// Enrol asks the master to accept the key of the connection for ID.
type Enrol struct {
	ID      fleet.MinionID `msgpack:"id"`
	Token   string         `msgpack:"token,omitempty"`
	Version string         `msgpack:"version"`

	// Document and Signature are what a cloud gives its instance to show who it is.
	Document  []byte `msgpack:"document,omitempty"`
	Signature []byte `msgpack:"signature,omitempty"`
}

// Request asks the master for something; the Reply has the same ID.
type Request struct {
	ID   uint64          `msgpack:"id"`
	Kind string          `msgpack:"kind"`
	Body json.RawMessage `msgpack:"body,omitempty"`
}

// Job carries a signed job: see [Open]. Seq numbers the jobs of this minion.
type Job struct {
	Seq  uint64 `msgpack:"seq"`
	Body []byte `msgpack:"body"`
	Sig  []byte `msgpack:"sig"`
}

// Rack tells that the master's journal has all returns up to RSeq.
type Rack struct {
	RSeq uint64 `msgpack:"rseq"`
}

// Reply answers the Request with the same ID. Error is empty when it was served.
type Reply struct {
	ID    uint64          `msgpack:"id"`
	Body  json.RawMessage `msgpack:"body,omitempty"`
	Error string          `msgpack:"error,omitempty"`
}

// Ctl tells a minion something about itself, its connection or one of its jobs. It has no signature: the connection's CURVE
// key, which the minion pins, is the master's word. That is enough to stop what a signature has started, not to start it.
type Ctl struct {
	Verb   string      `msgpack:"verb"`
	Reason string      `msgpack:"reason,omitempty"`
	Job    fleet.JobID `msgpack:"job,omitempty"` // of kill and log
}

// The verbs of Ctl.
const (
	CtlRefresh  = "refresh"  // send hello again
	CtlDrain    = "drain"    // take no new jobs
	CtlBye      = "bye"      // the master ends the connection
	CtlEnrol    = "enrol"    // the key is not known: send enrol
	CtlPending  = "pending"  // the key waits for an operator
	CtlAccepted = "accepted" // the key is accepted now: connect anew
	CtlRejected = "rejected" // the key or the token is refused
	CtlKill     = "kill"     // stop Job, running or not; Reason says who wants that
	CtlLog      = "log"      // somebody watches: tell what the scripts of Job say, for LogLease
)

// LogLease is how long a minion tells what scripts say after it was asked to.
const LogLease = 15 * time.Second

// Log has lines of a job's scripts. Nobody acknowledges it, and any may be lost.
type Log struct {
	Job   fleet.JobID     `msgpack:"job"`
	Lines json.RawMessage `msgpack:"lines"` // of []fleet.LogLine
}

// ret is Ret on the wire.
type ret struct {
	RSeq   uint64 `msgpack:"rseq"`
	Return []byte `msgpack:"return"`
}

// ErrMalformed is in the error for bytes that are no message, or one with a field of the wrong kind.
var ErrMalformed = errors.New("malformed message")

// VersionError refuses a message of another version.
type VersionError struct{ Version int }

func (e *VersionError) Error() string {
	return fmt.Sprintf("message has version %d, this is version %d: upgrade the older side", e.Version, Version)
}

// TypeError refuses a message of a type that this version does not know.
type TypeError struct{ Type string }

func (e *TypeError) Error() string { return fmt.Sprintf("message has unknown type %q", e.Type) }

// Encode returns the bytes of msg, which is a Hello, Ack, Ret, Enrol, Request, Job, Rack, Reply, Ctl, Probe, Echo,
// Chunk, ChunkAck or Log.
func Encode(msg any) ([]byte, error) {
	switch m := msg.(type) {
	case Hello:
		return encode("hello", m)
	case Ack:
		return encode("ack", m)
	case Ret:
		b, err := json.Marshal(m.Return)
		if err != nil {
			return nil, fmt.Errorf("encode return: %w", err)
		}
		return encode("ret", ret{RSeq: m.RSeq, Return: b})
	case Enrol:
		return encode("enrol", m)
	case Request:
		return encode("request", m)
	case Job:
		return encode("job", m)
	case Rack:
		return encode("rack", m)
	case Reply:
		return encode("reply", m)
	case Ctl:
		return encode("ctl", m)
	case Probe:
		return encode("probe", m)
	case Echo:
		return encode("echo", m)
	case Chunk:
		return encode("chunk", m)
	case ChunkAck:
		return encode("chunkack", m)
	case Log:
		return encode("log", m)
	default:
		return nil, fmt.Errorf("%T is not a message", msg)
	}
}

// Decode returns the message in b as a value of one of the types that Encode takes. It is safe with hostile bytes:
// memory stays within a small multiple of len(b), which must not exceed MaxSize. The error is ErrMalformed, a
// *VersionError or a *TypeError.
func Decode(b []byte) (any, error) {
	if err := guard(b); err != nil {
		return nil, err
	}
	head, plain := quickHead(b)
	if !plain {
		var err error
		if head, err = decode[envelope](b); err != nil {
			return nil, err
		}
	}
	if head.Version != Version {
		return nil, &VersionError{head.Version}
	}
	switch head.Type {
	case "hello":
		m, err := decode[Hello](b)
		m.Grains = plainGrains(m.Grains)
		return m, err
	case "ack":
		return decode[Ack](b)
	case "ret":
		return decodeRet(b)
	case "enrol":
		return decode[Enrol](b)
	case "request":
		return decode[Request](b)
	case "job":
		return decode[Job](b)
	case "rack":
		return decode[Rack](b)
	case "reply":
		return decode[Reply](b)
	case "ctl":
		return decode[Ctl](b)
	case "probe":
		return decode[Probe](b)
	case "echo":
		return decode[Echo](b)
	case "chunk":
		return decode[Chunk](b)
	case "chunkack":
		return decode[ChunkAck](b)
	case "log":
		return decode[Log](b)
	default:
		return nil, &TypeError{head.Type}
	}
}

type envelope struct {
	Version int    `msgpack:"v"`
	Type    string `msgpack:"t"`
}

// encode writes the fields of the envelope and those of m as one map.
func encode(kind string, m any) ([]byte, error) {
	var buf bytes.Buffer
	if job, ok := m.(Job); ok { // the one that is sent to many at once
		buf.Grow(len(job.Body) + len(job.Sig) + jobOverhead)
	}
	e := newEncoder(&buf)
	if err := e.Encode(envelope{Version, kind}); err != nil {
		return nil, err
	}
	head := buf.Len()
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	// Both are structs of few fields, that is maps whose count is in the low half of their first byte. The second one's
	// first byte is taken out by moving the first map over it.
	both := buf.Bytes()
	fields := both[head] & 0x0f
	copy(both[1:], both[:head])
	both = both[1:]
	both[0] += fields
	if err := guard(both); err != nil { // no reader would take it
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	return both, nil
}

// jobOverhead is more than what the envelope of a job takes beside its body and signature.
const jobOverhead = 64

func newEncoder(w io.Writer) *msgpack.Encoder {
	e := msgpack.NewEncoder(w)
	e.SetSortMapKeys(true)
	e.UseCompactInts(true)
	return e
}

// decode reads b, which has passed the guard.
func decode[T any](b []byte) (m T, err error) {
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.UseLooseInterfaceDecoding(true)
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return m, nil
}

func decodeRet(b []byte) (any, error) {
	raw, err := decode[ret](b)
	if err != nil {
		return nil, err
	}
	m := Ret{RSeq: raw.RSeq, Text: raw.Return}
	if err := json.Unmarshal(raw.Return, &m.Return); err != nil {
		return nil, fmt.Errorf("%w: return: %w", ErrMalformed, err)
	}
	return m, nil
}
