package file_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/returners/file"
)

func open(t *testing.T, c file.Config) *file.File {
	t.Helper()
	r, err := file.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func deliver(t *testing.T, r *file.File, seqs ...uint64) {
	t.Helper()
	var records []fleet.Record
	for _, seq := range seqs {
		records = append(records, fleet.Record{Seq: seq, Message: "two\nlines"})
	}
	if err := r.Deliver(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// lines checks that a file holds exactly these records.
func lines(t *testing.T, path string, want ...uint64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []uint64
	for line := range strings.Lines(string(b)) {
		var r fleet.Record
		if err := json.Unmarshal([]byte(line), &r); err != nil || !strings.HasSuffix(line, "\n") {
			t.Fatalf("line %q: %v", line, err)
		}
		got = append(got, r.Seq)
	}
	if len(got) != len(want) {
		t.Fatalf("%s has %v, want %v", path, got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s has %v, want %v", path, got, want)
		}
	}
}

func TestRecordsAreLinesThatOnlyTheOwnerReads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log", "records.jsonl")
	r := open(t, file.Config{Path: path})
	deliver(t, r, 1, 2)
	deliver(t, r, 3)
	lines(t, path, 1, 2, 3)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestFileThatWasMovedAwayIsBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.jsonl")
	r := open(t, file.Config{Path: path})
	deliver(t, r, 1)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	deliver(t, r, 2)
	lines(t, path+".1", 1)
	lines(t, path, 2)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	deliver(t, r, 3)
	lines(t, path, 3)
}

func TestLineThatACrashLeftInPartIsCutOff(t *testing.T) {
	for name, tail := range map[string]string{
		"nothing": "", "a part": `{"seq":2,"mess`, "a part longer than a chunk": `{"message":"` + strings.Repeat("x", 200<<10),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "records.jsonl")
			if err := os.WriteFile(path, []byte("{\"seq\":1}\n"+tail), 0o600); err != nil {
				t.Fatal(err)
			}
			deliver(t, open(t, file.Config{Path: path}), 2)
			lines(t, path, 1, 2)
			if err := os.WriteFile(path+"2", []byte(tail), 0o600); err != nil {
				t.Fatal(err)
			}
			deliver(t, open(t, file.Config{Path: path + "2"}), 2)
			lines(t, path+"2", 2)
		})
	}
}

func TestDeliveryThatCannotBeWrittenIsAnErrorAndIsTriedAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the way
		t.Fatal(err)
	}
	r := open(t, file.Config{Path: filepath.Join(dir, "records.jsonl")})
	if r.Deliver(t.Context(), []fleet.Record{{Seq: 1}}) == nil {
		t.Error("delivered")
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	deliver(t, r, 1)
	lines(t, filepath.Join(dir, "records.jsonl"), 1)
}

func TestFileThatIsFullHoldsNoPart(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "records.jsonl")
	r := open(t, file.Config{Path: path})
	deliver(t, r, 1)
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 200, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	err := r.Deliver(t.Context(), []fleet.Record{{Seq: 2}, {Seq: 3, Message: strings.Repeat("x", 1000)}})
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &was); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EFBIG) {
		t.Errorf("error %v", err)
	}
	lines(t, path, 1)
	deliver(t, r, 2, 3)
	lines(t, path, 1, 2, 3)
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for _, c := range []file.Config{{}, {Path: "x", Mode: "rw"}, {Path: "x", Mode: "0999"}, {Path: "x", Mode: "7777"}} {
		if _, err := file.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
