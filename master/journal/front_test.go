package journal

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// acks is an entry of n acknowledgements.
func acks(n int) *entry {
	e := &entry{at: time.Now()}
	for range n {
		e.told.Acks = append(e.told.Acks, Ack{Minion: "web1", Seq: 1})
	}
	return e
}

func put(t *testing.T, f *front, e *entry) {
	t.Helper()
	record, err := e.encode()
	if err == nil {
		err = f.accept(t.Context(), e, record)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNobodyWaitsForTablesThatCannotBeFilled(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "log-")
	broken := errors.New("the disk is full")
	f := newFront(prefix, 0, func([]*entry) error { return broken })
	if err := f.replay(); err != nil {
		t.Fatal(err)
	}
	put(t, f, acks(1))
	for range 2 {
		if err := f.catchUpOn(t.Context(), fleet.MinionID("web1")); !errors.Is(err, broken) {
			t.Errorf("who waits gets %v", err)
		}
	}
	if err := f.accept(t.Context(), acks(1), make([]byte, entryHead)); !errors.Is(err, broken) {
		t.Errorf("more was accepted: %v", err)
	}
	if err := f.close(); !errors.Is(err, broken) {
		t.Errorf("it closed with %v", err)
	}

	// It is still there for the next one, once.
	for want := 1; want >= 0; want-- {
		var filled []*entry
		f = newFront(prefix, uint64(1-want), func(batch []*entry) error { filled = append(filled, batch...); return nil })
		if err := errors.Join(f.replay(), f.close()); err != nil || len(filled) != want {
			t.Errorf("%d entries, %v, want %d", len(filled), err, want)
		}
	}
}

func TestAcceptingWaitsForTablesThatAreTooFarBehind(t *testing.T) {
	slow := make(chan struct{})
	rows := 0
	f := newFront(filepath.Join(t.TempDir(), "log-"), 0, func(batch []*entry) error {
		<-slow
		for _, e := range batch {
			rows += e.rows()
		}
		return nil
	})
	if err := f.replay(); err != nil {
		t.Fatal(err)
	}
	put(t, f, acks(behindRows))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.accept(ctx, acks(1), make([]byte, entryHead)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("more was accepted: %v", err)
	}
	close(slow)
	put(t, f, acks(1))
	if err := f.close(); err != nil || rows != behindRows+1 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
