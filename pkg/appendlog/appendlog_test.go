package appendlog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns the log and the payloads that were in it.
func open(t testing.TB, path string) (*Log, []string) {
	t.Helper()
	var got []string
	l, err := Open(path, func(p []byte) error {
		got = append(got, string(p))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, got
}

func TestATornEndIsDroppedAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, path)
	for _, p := range []string{"one", "two", "three"} {
		if err := l.Append([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lastStart := len(whole) - headerSize - len("three")
	for cut := lastStart; cut <= len(whole); cut++ {
		zeroed := append(bytes.Clone(whole[:cut]), make([]byte, 20)...)
		flipped := bytes.Clone(whole[:cut])
		flipped[cut-1] ^= 1
		for name, damaged := range map[string][]byte{"cut": whole[:cut], "zeroes": zeroed} {
			checkDamaged(t, fmt.Sprint(name, cut), damaged, cut == len(whole))
		}
		if cut > lastStart {
			checkDamaged(t, fmt.Sprint("flipped", cut), flipped, false)
		}
	}
}

func checkDamaged(t *testing.T, name string, content []byte, whole bool) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	want := []string{"one", "two"}
	if whole {
		want = append(want, "three")
	}
	l, got := open(t, path)
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q", name, got)
	}
	if err := l.Append([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, path); !slices.Equal(got, append(want, "new")) {
		t.Errorf("%s: after an append: %q", name, got)
	}
}

func TestConcurrentAppendsKeepTheOrderOfEnqueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, path)
	var mu sync.Mutex
	var enqueued, applied []string
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				p := fmt.Sprint(i, "-", j)
				mu.Lock()
				wait := l.Enqueue([]byte(p), true, func() { applied = append(applied, p) })
				enqueued = append(enqueued, p)
				mu.Unlock()
				if err := wait(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if _, got := open(t, path); !slices.Equal(got, enqueued) || !slices.Equal(applied, enqueued) {
		t.Fatal("another order")
	}
}

func TestCompactionKeepsWhatIsAppendedBesideIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, path)
	var state [][]byte // guarded by the log: changed in apply, read in snapshot
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for j := range 50 {
				p := fmt.Append(nil, i, "-", j)
				if err := l.Enqueue(p, false, func() { state = append(state, p) })(); err != nil {
					t.Error(err)
				}
				if j%10 == 0 {
					if err := l.Compact(func() ([][]byte, error) { return state, nil }); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	_, got := open(t, path)
	if len(got) != 200 || len(state) != 200 {
		t.Fatalf("%d records on disk, %d applied", len(got), len(state))
	}
	if _, err := os.Stat(path + ".new"); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("the new file was left behind")
	}
}

func TestAFailedWriteLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, path)
	if err := l.Append([]byte("one")); err != nil {
		t.Fatal(err)
	}
	limitFileSize(t, uint64(l.Size())+4)
	if err := l.Append([]byte("does not fit")); !errors.Is(err, syscall.EFBIG) {
		t.Fatalf("a full disk gave %v", err)
	}
	limitFileSize(t, 1<<40)
	if err := l.Append([]byte("two")); err != nil {
		t.Fatal(err)
	}
	if _, got := open(t, path); !slices.Equal(got, []string{"one", "two"}) {
		t.Fatalf("%q", got)
	}
}

// limitFileSize makes writes beyond size fail, which is what a full disk does.
func limitFileSize(t *testing.T, size uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(size, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

func TestEmptyAndHugeRecordsAndAClosedLogAreRefused(t *testing.T) {
	l, _ := open(t, filepath.Join(t.TempDir(), "log"))
	for _, p := range [][]byte{nil, make([]byte, MaxRecord+1)} {
		if err := l.Append(p); !errors.Is(err, ErrRecordSize) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Append([]byte("late")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestTheFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	l, _ := open(t, path)
	if err := l.Compact(func() ([][]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatal(info.Mode(), err)
	}
}

func FuzzScan(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, []byte("one")), []byte("two")))
	f.Add([]byte{255, 255, 255, 3, 0, 0, 0, 0, 1})
	f.Add(make([]byte, 32))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		end, err := scan(bytes.NewReader(data), int64(len(data)), func(p []byte) error {
			again = appendFrame(again, p)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, data[:end]) {
			t.Fatalf("%d bytes were read as records that are not there", end)
		}
	})
}
