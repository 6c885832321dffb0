package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Store keeps the sealed archives of revisions. What is common to all drivers is here: names, retries, write-once. Its
// methods may be called concurrently; errors wrap ErrNotFound where it fits.
type Store struct {
	driver Driver
}

// New makes a Store over a driver.
func New(driver Driver) *Store { return &Store{driver: driver} }

// Name is the object's name of a revision's sealed archive.
func Name(rev fleet.Revision) string {
	return string(rev.App) + "/" + string(rev.Digest) + ".tar.zst.age"
}

// Put stores the size bytes of a sealed archive, unless it is there already, which is success: the same digest is the
// same archive.
func (s *Store) Put(ctx context.Context, rev fleet.Revision, sealed io.ReaderAt, size int64) error {
	_, err := call(ctx, "put", rev, func(name string) (struct{}, error) {
		return struct{}{}, s.driver.Put(ctx, name, io.NewSectionReader(sealed, 0, size), size)
	})
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// Get opens a sealed archive from offset on. The caller closes it.
func (s *Store) Get(ctx context.Context, rev fleet.Revision, offset int64) (io.ReadCloser, error) {
	return call(ctx, "get", rev, func(name string) (io.ReadCloser, error) { return s.driver.Get(ctx, name, offset) })
}

// Stat gives the size of a sealed archive in bytes.
func (s *Store) Stat(ctx context.Context, rev fleet.Revision) (int64, error) {
	return call(ctx, "look for", rev, func(name string) (int64, error) { return s.driver.Stat(ctx, name) })
}

// Has reports whether the archive of a revision is there. An error means that the store could not be asked.
func (s *Store) Has(ctx context.Context, rev fleet.Revision) (bool, error) {
	_, err := s.Stat(ctx, rev)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Delete removes the archive of a revision, if it is there.
func (s *Store) Delete(ctx context.Context, rev fleet.Revision) error {
	_, err := call(ctx, "delete", rev, func(name string) (struct{}, error) { return struct{}{}, s.driver.Delete(ctx, name) })
	return err
}

// Presign gives a URL that anybody can fetch the sealed archive from until ttl has passed. It is not ok when the driver
// cannot make one; the archive need not be there.
func (s *Store) Presign(ctx context.Context, rev fleet.Revision, ttl time.Duration) (url string, ok bool, err error) {
	p, ok := s.driver.(Presigner)
	if !ok {
		return "", false, nil
	}
	url, err = call(ctx, "presign", rev, func(name string) (string, error) { return p.Presign(ctx, name, ttl) })
	return url, true, err
}

// tries bounds how often one call asks the driver. The waits between are 0.25 s at first and double, with jitter.
const tries = 4

// call asks the driver about a revision until the answer is not ErrTemporary.
func call[T any](ctx context.Context, verb string, rev fleet.Revision, ask func(name string) (T, error)) (T, error) {
	if !fleet.ValidName(string(rev.App)) || !rev.Digest.Valid() {
		var none T
		return none, fmt.Errorf("%s archive: %q has no valid application and digest", verb, Name(rev))
	}
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.Multiplier = 250*time.Millisecond, 2
	var last error
	got, err := backoff.Retry(ctx, func() (T, error) {
		got, err := ask(Name(rev))
		last = err
		if err != nil && !errors.Is(err, ErrTemporary) {
			err = backoff.Permanent(err)
		}
		return got, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(tries), backoff.WithMaxElapsedTime(0))
	if err == nil {
		return got, nil
	}
	if ctx.Err() != nil && last != nil && !errors.Is(last, err) {
		err = fmt.Errorf("%w (%w)", last, err) // what the store said before the time was up
	}
	return got, fmt.Errorf("%s archive %s of %s: %w", verb, rev.Digest.Short(), rev.App, err)
}
