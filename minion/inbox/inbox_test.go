package inbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func open(t testing.TB, dir string) *Inbox {
	t.Helper()
	b, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// reopen is a restart of the minion.
func reopen(t testing.TB, b *Inbox, dir string) *Inbox {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func order(id fleet.JobID) fleet.Job {
	return fleet.Job{ID: id, Function: "cmd.run", Args: json.RawMessage(`{"cmd":"secret-` + string(id) + `"}`), Deadline: time.Now().Add(time.Hour)}
}

func take(t testing.TB, b *Inbox, seq uint64, id fleet.JobID) bool {
	t.Helper()
	fresh, err := b.Take(seq, order(id))
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func ids(jobs []fleet.Job) []fleet.JobID {
	var got []fleet.JobID
	for _, j := range jobs {
		got = append(got, j.ID)
	}
	return got
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestARestartedMinionKnowsWhatToRunAndWhatToReport(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	for i, id := range []fleet.JobID{"a", "b", "c", "d"} {
		if !take(t, b, uint64(i+1), id) {
			t.Fatalf("%s is not fresh", id)
		}
	}
	must(t, b.Start("a"))
	must(t, b.Start("c"))
	must(t, b.Done("a"))
	must(t, b.Done("a"))
	b = reopen(t, b, dir)
	if got := ids(b.Unstarted()); !slices.Equal(got, []fleet.JobID{"b", "d"}) {
		t.Errorf("to run: %v", got)
	}
	if got := ids(b.Unfinished()); !slices.Equal(got, []fleet.JobID{"c"}) {
		t.Errorf("interrupted: %v", got)
	}
	if got := string(b.Unstarted()[0].Args); got != string(order("b").Args) || b.LastSeq() != 4 {
		t.Errorf("args %s, last %d", got, b.LastSeq())
	}
	for id, want := range map[fleet.JobID]error{"a": ErrUnknown, "c": ErrStarted, "nosuch": ErrUnknown} {
		if err := b.Start(id); !errors.Is(err, want) {
			t.Errorf("start %s: %v", id, err)
		}
	}
}

func TestAJobIsFreshOnce(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	take(t, b, 1, "a")
	take(t, b, 2, "b")
	must(t, b.Done("a"))
	for range 2 {
		for _, id := range []fleet.JobID{"a", "b"} {
			if take(t, b, 1, id) {
				t.Errorf("%s is fresh again", id)
			}
		}
		b = reopen(t, b, dir)
	}
	if take(t, b, 7, "a") { // Published again under another number.
		t.Error("a is fresh again")
	}
	if b = reopen(t, b, dir); b.LastSeq() != 7 {
		t.Errorf("last %d", b.LastSeq())
	}
	if _, err := b.Take(8, fleet.Job{}); err == nil {
		t.Error("a job without an id was taken")
	}
}

func TestArgumentsLeaveTheDiskWithDone(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	take(t, b, 1, "a")
	take(t, b, 2, "b")
	must(t, b.Done("a"))
	content, err := os.ReadFile(filepath.Join(dir, "jobs.log"))
	must(t, err)
	if bytes.Contains(content, []byte("secret-a")) || !bytes.Contains(content, []byte("secret-b")) {
		t.Fatalf("on disk: %s", content)
	}
	for _, name := range []string{"jobs.log", "seen.log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
}

func TestAMinionThatDiedInsideDoneIsDone(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	take(t, b, 1, "a")
	must(t, b.Start("a"))
	must(t, appendJSON(b.seen, seenRecord{ID: "a", Until: time.Now().Add(time.Hour)}))
	b = reopen(t, b, dir)
	if len(b.Unfinished()) != 0 || take(t, b, 1, "a") || b.LastSeq() != 1 {
		t.Fatal("it is back")
	}
	content, err := os.ReadFile(filepath.Join(dir, "jobs.log"))
	must(t, err)
	if bytes.Contains(content, []byte("secret")) {
		t.Fatalf("on disk: %s", content)
	}
}

func TestIdsAreForgottenWhenTheirTimeIsOver(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	take(t, b, 1, "open")
	b.known["open"] = time.Now().Add(-time.Second)
	for i := range slack + 1 {
		id := fleet.JobID(fmt.Sprint("j", i))
		until := time.Now().Add(time.Duration(i%2*2-1) * time.Hour)
		payload, err := json.Marshal(seenRecord{id, until})
		must(t, err)
		must(t, b.seen.Enqueue(payload, false, nil)())
	}
	b = reopen(t, b, dir)
	if take(t, b, 2, "j1") || take(t, b, 1, "open") {
		t.Error("forgotten too early")
	}
	if !take(t, b, 3, "j0") {
		t.Error("an old id is remembered")
	}
	if b.kept > slack/2+1 {
		t.Errorf("%d ids are kept", b.kept)
	}
}

func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"id":"a","until":"2030-01-01T00:00:00Z"}`), []byte(`{"seq":1,"job":{"id":"a"}}`), []byte(`{"start":"a"}`))
	f.Add([]byte(`{}`), []byte(`{"seq":2,"job":{"id":"b","args":{"x":[1]}}}`), []byte(`{"start":"b","seq":18446744073709551615}`))
	f.Fuzz(func(t *testing.T, seen, one, two []byte) {
		b := &Inbox{known: map[fleet.JobID]time.Time{}}
		if b.replaySeen(seen) != nil || b.replayJob(one) != nil || b.replayJob(two) != nil {
			return
		}
		if _, err := b.jobRecords(); err != nil {
			t.Fatal(err)
		}
		for _, j := range b.list(true) {
			if _, known := b.known[j.ID]; !known {
				t.Fatalf("job %q is not known", j.ID)
			}
		}
	})
}
