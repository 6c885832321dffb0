package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/master/journal"
	"github.com/brine-deploy/brine/master/journal/journaltest"
	"github.com/brine-deploy/brine/master/journal/sqlite"
)

func TestConformance(t *testing.T) {
	journaltest.Suite(t, func(t *testing.T) func() (*journal.Journal, error) {
		path := filepath.Join(t.TempDir(), "state", "journal.db")
		return func() (*journal.Journal, error) { return sqlite.Open(path) }
	})
}
