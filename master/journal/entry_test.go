package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// sample is an entry with something of everything.
func sample() *entry {
	at := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	job := fleet.Job{ID: "j1", Function: "test.ping", Args: json.RawMessage(`{"a":1}`), By: "alice", Issued: at, Deadline: at.Add(time.Hour)}
	e := &entry{at: at, jobs: &issue{Of: JobInfo{Job: job, App: "shop"}}}
	for i, id := range []fleet.MinionID{"web1", "web2"} {
		c := Envelope{Seq: uint64(i) + 1, Job: job, Due: true}
		c.Job.Minion = id
		e.jobs.copies = append(e.jobs.copies, c)
		e.told.Minions = append(e.told.Minions, fleet.Minion{ID: id, Version: "1", Since: at})
		e.told.Acks = append(e.told.Acks, Ack{id, uint64(i) << 40})
		e.told.Returns = append(e.told.Returns, fleet.Return{Job: "j1", Minion: id, Part: i, Last: true, Time: at, Value: json.RawMessage(`"x"`)})
	}
	return e
}

func TestARecordComesBackAsItWas(t *testing.T) {
	e := sample()
	record, err := e.encode()
	if err != nil {
		t.Fatal(err)
	}
	e.size = len(record)
	if got, err := decodeEntry(record); err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, e)
	}

	// What the sender said is kept as it is, but for who said it.
	e.told.Texts = [][]byte{[]byte(`{"job":"j1","minion":"someone else","part":7,"last":false,"time":"2026-03-01T12:00:00Z"}`)}
	if record, err = e.encode(); err != nil {
		t.Fatal(err)
	}
	got, err := decodeEntry(record)
	if err != nil || got.told.Returns[0].Part != 7 || got.told.Returns[0].Minion != "web1" || got.told.Returns[1].Part != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzEntry(f *testing.F) {
	record, err := sample().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record)
	f.Add(append(bytes.Clone(record[:entryHead]), 0xff, 0xff, 0xff, 0xff, 0x7f))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		if _, err := e.encode(); err != nil {
			t.Errorf("%d bytes are read, but not written: %v", len(b), err)
		}
	})
}
