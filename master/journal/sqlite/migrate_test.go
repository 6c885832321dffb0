package sqlite_test

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/journal/sqlite"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestAJournalOfSchema2GoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	issued := time.Now().UTC().Round(0)
	job := fleet.Job{ID: "j1", Minion: "web1", Function: "test.ping", Args: json.RawMessage(`{"a":1}`), By: "alice", Issued: issued, Deadline: issued.Add(time.Hour)}
	writeSchema2(t, path, job)

	ctx := t.Context()
	j, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	}()
	due, err := j.Arrived(ctx, "web1", issued) // what was on its way still is, with its own body
	if err != nil || !reflect.DeepEqual(due.Jobs, []journal.Envelope{{Seq: 7, Job: job, Due: true}}) {
		t.Errorf("due is %+v, %v", due, err)
	}
	if due, err = j.Arrived(ctx, "web2", issued); err != nil || len(due.Jobs) > 0 {
		t.Errorf("what was delivered is sent again: %+v, %v", due, err)
	}
	if err := j.Accept(ctx, journal.Told{
		Acks:    []journal.Ack{{Minion: "web1", Seq: 7}},
		Returns: []fleet.Return{{Job: "j1", Minion: "web2", Last: true, Outcome: fleet.Succeeded}},
	}); err != nil {
		t.Fatal(err)
	}
	list, err := j.Returns(ctx, "j1")
	if err != nil || len(list) != 1 || list[0].Minion != "web2" {
		t.Errorf("returns are %+v, %v", list, err)
	}
	if due, err = j.Arrived(ctx, "web1", issued); err != nil || len(due.Jobs) > 0 {
		t.Errorf("what was acknowledged is sent again: %+v, %v", due, err)
	}
	job.ID = "j2"
	more, err := j.AddJobs(ctx, "", "", "", []fleet.Job{job})
	if err != nil || more[0].Seq != 8 {
		t.Errorf("the next job is %+v, %v", more, err)
	}
}

// writeSchema2 makes a journal as it was in schema 2: a job that web1 has not acknowledged, and web2 has.
func writeSchema2(t *testing.T, path string, job fleet.Job) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TABLE schema_version (version BIGINT PRIMARY KEY); INSERT INTO schema_version VALUES (1), (2)`)
	for _, name := range []string{"0001.sql", "0002.sql"} {
		text, err := os.ReadFile(filepath.Join("..", "schema", name))
		if err != nil {
			t.Fatal(err)
		}
		exec(strings.ReplaceAll(string(text), "{blob}", "BLOB"))
	}
	body, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	exec(`INSERT INTO jobs (id, deployment, app, grp, who, issued, job) VALUES ('j1', '', '', '', 'alice', ?, ?)`, job.Issued.UnixNano(), body)
	const delivery = `INSERT INTO deliveries (job, minion, seq, deadline, body, sig, delivered) VALUES ('j1', ?, 7, ?, ?, 'sig', ?)`
	exec(delivery, "web1", job.Deadline.UnixNano(), body, 0)
	exec(delivery, "web2", job.Deadline.UnixNano(), nil, job.Issued.UnixNano())
	exec(`INSERT INTO numbers (minion, seq) VALUES ('web1', 7), ('web2', 7)`)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
