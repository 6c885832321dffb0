package spool

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func open(t testing.TB, dir string, limit int64) *Spool {
	t.Helper()
	s, err := Open(dir, limit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func add(t testing.TB, s *Spool, ret fleet.Return) uint64 {
	t.Helper()
	rseq, err := s.Add(ret)
	if err != nil {
		t.Fatal(err)
	}
	return rseq
}

// numbers returns the numbers of what is pending.
func numbers(t testing.TB, s *Spool, after uint64, limit int) []uint64 {
	t.Helper()
	entries, err := s.Pending(after, limit)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for _, e := range entries {
		got = append(got, e.RSeq)
	}
	return got
}

func TestReturnsStayInOrderUntilTheyAreAcknowledged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir, 0)
	want := fleet.Return{
		Job: "j1", Minion: "web1", Last: true, Time: time.Now().UTC(), Outcome: fleet.Succeeded, Value: json.RawMessage(`{"a":1}`),
	}
	for range 5 {
		add(t, s, want)
	}
	if got := numbers(t, s, 1, 2); !slices.Equal(got, []uint64{2, 3}) {
		t.Fatal(got)
	}
	if err := s.Ack(3); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = open(t, dir, 0)
	if got := numbers(t, s, 0, 0); !slices.Equal(got, []uint64{4, 5}) {
		t.Fatalf("after a restart: %v", got)
	}
	entries, err := s.Pending(4, 1)
	if err != nil || !entries[0].Return.Time.Equal(want.Time) || string(entries[0].Return.Value) != string(want.Value) {
		t.Fatalf("%+v %v", entries, err)
	}
	if err := s.Ack(1 << 63); err != nil { // A master that lost its mind acknowledges nothing that is still to come.
		t.Fatal(err)
	}
	if rseq := add(t, s, want); rseq != 6 || s.Len() != 1 {
		t.Fatal(rseq, s.Len())
	}
}

func TestANumberIsNeverUsedTwiceEvenWhenAllIsForgotten(t *testing.T) {
	dir := t.TempDir()
	for want := uint64(1); want <= 3; want++ {
		s := open(t, dir, 0)
		if got := add(t, s, fleet.Return{Last: true, Reason: strings.Repeat("x", 2*slack)}); got != want {
			t.Fatalf("%d instead of %d", got, want)
		}
		if err := s.Ack(want); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dir, "spool.log")); err != nil || info.Size() > 100 {
			t.Fatalf("the file did not get smaller: %v", err)
		}
	}
}

func TestAFullSpoolDropsProgressAndKeepsLastParts(t *testing.T) {
	s := open(t, t.TempDir(), 10<<10)
	for i := range 50 {
		add(t, s, fleet.Return{Job: "j", Part: i, Last: i%10 == 9, Reason: strings.Repeat("x", 1<<10)})
	}
	entries, err := s.Pending(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, e := range entries {
		if e.Return.Last {
			last++
		}
	}
	if last != 5 || len(entries) > 10 || s.Dropped() != uint64(50-len(entries)) || entries[len(entries)-2].Return.Part != 48 {
		t.Fatalf("%d left, %d of them last, %d dropped", len(entries), last, s.Dropped())
	}
	for range 20 {
		add(t, s, fleet.Return{Last: true, Reason: strings.Repeat("x", 1<<10)})
	}
	if s.Len() != 25 {
		t.Fatalf("last parts were dropped: %d left", s.Len())
	}
}

func TestChangedTellsOfWhatConcurrentCallersAdded(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := open(t, t.TempDir(), 0)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if _, err := s.Add(fleet.Return{Job: fleet.JobID(fmt.Sprint(i)), Last: true}); err != nil {
				t.Error(err)
			}
		})
	}
	seen := uint64(0)
	for seen < 20 {
		<-s.Changed()
		for _, n := range numbers(t, s, seen, 0) {
			if n != seen+1 { // One that came late would be acknowledged unseen.
				t.Fatalf("%d showed up before %d", n, seen+1)
			}
			seen = n
		}
	}
	all.Wait()
}

func TestTheFileIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	add(t, open(t, dir, 0), fleet.Return{})
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "spool.log"): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Error(path, info.Mode(), err)
		}
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"rseq":3,"last":true,"return":{"job":"j"}}`), []byte(`{"ack":3,"next":9}`))
	f.Add([]byte(`{"rseq":18446744073709551615,"return":1}`), []byte(`{"rseq":1}`))
	f.Fuzz(func(_ *testing.T, a, b []byte) {
		s := &Spool{limit: 20, next: 1}
		if s.replay(a) == nil && s.replay(b) == nil {
			_, _ = s.Pending(0, 0)
			_, _ = s.snapshot()
		}
	})
}
