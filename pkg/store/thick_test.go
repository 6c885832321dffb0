package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/store"
	"github.com/brine-deploy/brine/pkg/store/mem"
)

func revision() fleet.Revision {
	return fleet.Revision{App: "shop", Digest: fleet.Digest(strings.Repeat("ab", 32))}
}

func TestARevisionIsPutOnceAndFoundAgain(t *testing.T) {
	driver := &mem.Mem{}
	s, rev := store.New(driver), revision()
	if has, err := s.Has(t.Context(), rev); has || err != nil {
		t.Errorf("before: %v, %v", has, err)
	}
	for range 2 {
		if err := s.Put(t.Context(), rev, strings.NewReader("sealed"), 6); err != nil {
			t.Fatal(err)
		}
	}
	if has, err := s.Has(t.Context(), rev); !has || err != nil {
		t.Errorf("after: %v, %v", has, err)
	}
	r, err := s.Get(t.Context(), rev, 2)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(r); string(b) != "aled" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
	if names, _ := driver.List(t.Context(), ""); len(names) != 1 || names[0] != store.Name(rev) {
		t.Errorf("names %v", names)
	}
	if _, ok, err := s.Presign(t.Context(), rev, time.Minute); ok || err != nil {
		t.Errorf("presign: %v, %v", ok, err)
	}
	if err := s.Delete(t.Context(), rev); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), rev, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
}

func TestNamesThatAreNoneNeverReachTheDriver(t *testing.T) {
	s := store.New(nil)
	for _, rev := range []fleet.Revision{{}, {App: "../x", Digest: revision().Digest}, {App: "shop", Digest: "../../etc/passwd"}} {
		if _, err := s.Stat(t.Context(), rev); err == nil {
			t.Errorf("%+v was taken", rev)
		}
	}
}

// flaky fails as often as told before it works.
type flaky struct {
	mem.Mem
	err   error
	fails int
	calls int
}

func (f *flaky) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	if f.calls++; f.calls <= f.fails {
		_, _ = io.CopyN(io.Discard, r, 3)
		return fmt.Errorf("flaky: %w", f.err)
	}
	return f.Mem.Put(ctx, name, r, size)
}

func TestOnlyTemporaryErrorsAreTriedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		driver *flaky
		calls  int
		fails  bool
	}{
		"twice unwell":  {&flaky{err: store.ErrTemporary, fails: 2}, 3, false},
		"always unwell": {&flaky{err: store.ErrTemporary, fails: 99}, 4, true},
		"not allowed":   {&flaky{err: errors.New("not allowed"), fails: 99}, 1, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			err := store.New(c.driver).Put(t.Context(), revision(), bytes.NewReader([]byte("sealed")), 6)
			if c.driver.calls != c.calls || (err != nil) != c.fails || c.fails && !errors.Is(err, c.driver.err) {
				t.Errorf("%s: %d calls, %v", name, c.driver.calls, err)
			}
		})
	}
}

func TestWhoGivesUpWaitingIsToldWhatTheStoreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := store.New(&flaky{err: store.ErrTemporary, fails: 99}).Put(ctx, revision(), strings.NewReader("sealed"), 6)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, store.ErrTemporary) {
			t.Error(err)
		}
	})
}
