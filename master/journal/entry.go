package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// entry is what was accepted at once: a record of the log in front of the tables.
type entry struct {
	n    uint64 // each is higher than the one before
	at   time.Time
	told Told
	jobs *issue
	size int // in bytes, as a record

	unknown int // see Record; known once it is in the tables
}

// issue is one job that many minions get.
type issue struct {
	Of     JobInfo // and Job, without Minion
	copies []Envelope
}

// rows is about how much work it is to put an entry into the tables.
func (e *entry) rows() int {
	n := len(e.told.Minions) + len(e.told.Acks) + len(e.told.Returns)
	if e.jobs != nil {
		n += len(e.jobs.copies)
	}
	return n
}

// minions calls visit with each minion whose jobs it is about.
func (e *entry) minions(visit func(fleet.MinionID)) {
	for _, a := range e.told.Acks {
		visit(a.Minion)
	}
	for _, r := range e.told.Returns {
		visit(r.Minion)
	}
	if e.jobs != nil {
		for _, c := range e.jobs.copies {
			visit(c.Job.Minion)
		}
	}
}

// A record is the number and the instant, eight bytes each, then lists: their length, and what is in them. Numbers are
// varints, texts have their length before them.
const entryHead = 16

// encode gives the record of an entry, whose number is put in later.
func (e *entry) encode() ([]byte, error) {
	b := make([]byte, entryHead, entryHead+64+200*e.rows())
	binary.BigEndian.PutUint64(b[8:], uint64(nanos(e.at)))
	var err error
	b = binary.AppendUvarint(b, uint64(len(e.told.Minions)))
	for _, m := range e.told.Minions {
		if b, err = appendJSON(b, m); err != nil {
			return nil, err
		}
	}
	b = binary.AppendUvarint(b, uint64(len(e.told.Acks)))
	for _, a := range e.told.Acks {
		b = binary.AppendUvarint(appendText(b, []byte(a.Minion)), a.Seq)
	}
	b = binary.AppendUvarint(b, uint64(len(e.told.Returns)))
	for i, r := range e.told.Returns {
		b = appendText(b, []byte(r.Minion))
		if i < len(e.told.Texts) && e.told.Texts[i] != nil {
			b = appendText(b, e.told.Texts[i])
		} else if b, err = appendJSON(b, r); err != nil {
			return nil, err
		}
	}
	if e.jobs == nil {
		return b, nil
	}
	if b, err = appendJSON(b, e.jobs.Of); err != nil {
		return nil, err
	}
	b = binary.AppendUvarint(b, uint64(len(e.jobs.copies)))
	for _, c := range e.jobs.copies {
		b = binary.AppendUvarint(appendText(b, []byte(c.Job.Minion)), c.Seq)
	}
	return b, nil
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func appendJSON(b []byte, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return appendText(b, text), err
}

// decodeEntry is the inverse of encode.
func decodeEntry(b []byte) (*entry, error) {
	if len(b) < entryHead {
		return nil, errEntry
	}
	e := &entry{n: binary.BigEndian.Uint64(b), at: instant(int64(binary.BigEndian.Uint64(b[8:]))), size: len(b)}
	r := entryReader{rest: b[entryHead:]}
	for range r.number() {
		var m fleet.Minion
		r.json(&m)
		e.told.Minions = append(e.told.Minions, m)
		if r.err != nil {
			return nil, r.err
		}
	}
	for range r.number() {
		e.told.Acks = append(e.told.Acks, Ack{fleet.MinionID(r.text()), r.number()})
		if r.err != nil {
			return nil, r.err
		}
	}
	for range r.number() {
		var ret fleet.Return
		minion := fleet.MinionID(r.text())
		r.json(&ret)
		ret.Minion = minion
		e.told.Returns = append(e.told.Returns, ret)
		if r.err != nil {
			return nil, r.err
		}
	}
	if r.err != nil || len(r.rest) == 0 {
		return e, r.err
	}
	e.jobs = &issue{}
	r.json(&e.jobs.Of)
	for range r.number() {
		c := Envelope{Job: e.jobs.Of.Job, Due: true}
		c.Job.Minion, c.Seq = fleet.MinionID(r.text()), r.number()
		e.jobs.copies = append(e.jobs.copies, c)
		if r.err != nil {
			return nil, r.err
		}
	}
	return e, r.err
}

var errEntry = errors.New("malformed record")

// entryReader reads what a record consists of until that fails.
type entryReader struct {
	rest []byte
	err  error
}

func (r *entryReader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || r.err != nil {
		r.err = errEntry
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *entryReader) text() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err = errEntry
		return nil
	}
	text := r.rest[:n]
	r.rest = r.rest[n:]
	return text
}

func (r *entryReader) json(v any) {
	text := r.text()
	if r.err != nil {
		return
	}
	if err := json.Unmarshal(text, v); err != nil {
		r.err = fmt.Errorf("%w: %w", errEntry, err)
	}
}
