// Package store is the central storage that caches revisions: a thick Store over thin drivers. Drivers live in the
// folders below; package storetest holds the suite that each must pass.
package store

import (
	"context"
	"errors"
	"io"
	"time"
)

// Sentinels that drivers wrap.
var (
	ErrNotFound = errors.New("not in the store")
	ErrExists   = errors.New("already in the store")

	// ErrTemporary says that the same call may do better in a while: the storage did not answer, or was busy.
	ErrTemporary = errors.New("store does not answer")
)

// Driver is the storage itself: objects with names of the form app/digest, written once. Its methods may be called
// concurrently.
type Driver interface {
	// Put writes a new object of size bytes; any other number of bytes in r is an error. When the name exists it changes
	// nothing and returns ErrExists. An object is seen whole or not at all, also after a crash in the middle.
	Put(ctx context.Context, name string, r io.Reader, size int64) error

	// Get opens an object from offset on, or returns ErrNotFound. Behind the end there is nothing to read, which is no
	// error. The caller closes it.
	Get(ctx context.Context, name string, offset int64) (io.ReadCloser, error)

	// Stat returns an object's size in bytes, or ErrNotFound.
	Stat(ctx context.Context, name string) (int64, error)

	// List returns the names that begin with prefix, sorted.
	List(ctx context.Context, prefix string) ([]string, error)

	// Delete removes an object; one that does not exist is no error.
	Delete(ctx context.Context, name string) error
}

// Presigner is a driver whose objects a minion can fetch by itself, without credentials, for a while. A driver that is
// none is served by the master's own blob endpoint.
type Presigner interface {
	Presign(ctx context.Context, name string, ttl time.Duration) (url string, err error)
}
