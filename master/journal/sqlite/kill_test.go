package sqlite_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/journal/sqlite"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// victimJournal is set in a copy of this test that records returns until it is killed.
const victimJournal = "BRINE_TEST_VICTIM_JOURNAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimJournal); path != "" {
		if err := recordForEver(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// recordForEver accepts a batch for one more job after the other, and prints the job's number after the commit. Every fifth
// is in the tables by then.
func recordForEver(path string) error {
	j, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	ctx := context.Background()
	end, err := j.End(ctx)
	if err != nil {
		return err
	}
	for n := int(end) / 3; ; n++ {
		id := fleet.JobID(strconv.Itoa(n))
		job := fleet.Job{ID: id, Minion: "web1", Deadline: time.Now().Add(time.Hour)}
		if _, err := j.AddJobs(ctx, "", "", "", []fleet.Job{job}); err != nil {
			return err
		}
		told := journal.Told{Acks: []journal.Ack{{Minion: "web1", Seq: uint64(n) + 1}}, Returns: batch(id)}
		if n%5 == 0 {
			_, err = j.Record(ctx, told)
		} else {
			err = j.Accept(ctx, told)
		}
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// batch is a return of three parts, each of which is a record.
func batch(id fleet.JobID) []fleet.Return {
	event := &fleet.EventResult{Event: fleet.Install, Outcome: fleet.EventSucceeded}
	return []fleet.Return{
		{Job: id, Minion: "web1", Part: 0, Event: event},
		{Job: id, Minion: "web1", Part: 1, Event: event},
		{Job: id, Minion: "web1", Part: 2, Last: true, Outcome: fleet.Succeeded},
	}
}

func TestReturnsThatWereRecordedSurviveKill9(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	recorded := -1
	for round := range 5 {
		recorded = max(recorded, killAfter(t, path, 10+7*round))
		j, err := sqlite.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		inspect(t, j, recorded)
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}
}

// killAfter starts a victim, kills it once it has recorded some batches, and returns the last that it told of.
func killAfter(t *testing.T, path string, batches int) (last int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimJournal+"="+path)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	last = -1
	for n := 1; lines.Scan(); n++ {
		if last, err = strconv.Atoi(lines.Text()); err != nil {
			t.Error(err)
		}
		if n == batches {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if cmd.Wait() == nil || last < 0 {
		t.Error("the victim was not killed at its work")
	}
	return last
}

// inspect finds every batch that was told of whole, no batch in part, and a log without gaps.
func inspect(t *testing.T, j *journal.Journal, recorded int) {
	t.Helper()
	records, err := j.After(t.Context(), 0, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if len(records)%3 != 0 || len(records) < 3*(recorded+1) {
		t.Fatalf("%d records of at least %d batches of 3", len(records), recorded+1)
	}
	for i, r := range records {
		if r.Seq != uint64(i)+1 || r.Job != fleet.JobID(strconv.Itoa(i/3)) {
			t.Fatalf("record %d has number %d and is of job %s", i+1, r.Seq, r.Job)
		}
	}
	if _, err := j.Return(t.Context(), fleet.JobID(strconv.Itoa(recorded)), "web1"); err != nil {
		t.Error(err)
	}
}

func TestNothingIsLeftOfTheLogOnceTheTablesHaveIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	killAfter(t, path, 12)
	segments := func() []string {
		found, err := filepath.Glob(path + "-log-*")
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(segments()) == 0 {
		t.Fatal("the victim had no log")
	}
	j, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if left := segments(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
	if err := j.Accept(t.Context(), journal.Told{Acks: []journal.Ack{{Minion: "web1", Seq: 1}}}); err != nil {
		t.Error(err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
	if left := segments(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

func TestOnlyTheOwnerCanReadTheJournal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a dir?with %23 #signs")
	path := filepath.Join(dir, "journal.db")
	j, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := j.Append(t.Context(), fleet.Record{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		dir: 0o700 | os.ModeDir, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestJournalOfANewerProgramIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), `INSERT INTO schema_version (version) VALUES (99)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(path); err == nil || !strings.Contains(err.Error(), "newer") {
		t.Errorf("opened: %v", err)
	}
}

// BenchmarkRecordReturns records batches of 256 returns, as the master does under load.
func BenchmarkRecordReturns(b *testing.B) {
	j, err := sqlite.Open(filepath.Join(b.TempDir(), "journal.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		jobs, returns := make([]fleet.Job, 256), make([]fleet.Return, 256)
		for i := range jobs {
			id, minion := fleet.JobID(strconv.Itoa(n)), fleet.MinionID(strconv.Itoa(i))
			jobs[i] = fleet.Job{ID: id, Minion: minion, Deadline: time.Now().Add(time.Hour)}
			returns[i] = fleet.Return{Job: id, Minion: minion, Last: true, Outcome: fleet.Succeeded}
		}
		if _, err := j.AddJobs(b.Context(), "", "", "", jobs); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := j.Record(b.Context(), journal.Told{Returns: returns}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(256*float64(b.N)/b.Elapsed().Seconds(), "returns/s")
}
