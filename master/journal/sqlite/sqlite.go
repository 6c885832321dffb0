// Package sqlite keeps the journal in one SQLite file: the default, with nothing to install or to run.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"github.com/brine-deploy/brine/master/journal"
)

// Readers that may be busy at once; they never wait for the writer.
const readers = 4

// Open opens the journal in the file path, and makes it if it does not exist: mode 0600, in a directory of mode 0700. The
// files path-wal and path-shm belong to it, and so do those whose names begin with path-log-.
func Open(path string) (*journal.Journal, error) {
	if err := secure(path); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	w, err := connect(path, 1, "immediate")
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	r, err := connect(path, readers, "deferred", "query_only(1)")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", path, err), w.Close())
	}
	j, err := journal.New(context.Background(), w, r, journal.Dialect{Blob: "BLOB"}, path+"-log-")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return j, nil
}

// secure makes sure that only the owner can read the file, before anything is in it. SQLite gives its other files the same
// mode.
func secure(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o600), f.Close())
}

// connect opens a pool whose connections stay open. A commit is on the disk when it returns (synchronous=FULL), and what
// is deleted is overwritten, because it may have been a secret.
func connect(path string, limit int, lock string, pragmas ...string) (*sql.DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	options := url.Values{"_txlock": {lock}, "_pragma": append([]string{
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "secure_delete(1)", "journal_size_limit(67108864)",
	}, pragmas...)}
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(limit)
	db.SetMaxIdleConns(limit)
	return db, nil
}
