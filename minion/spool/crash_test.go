package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// crashDir names the spool that this binary fills, until it is killed, instead of running the tests.
const crashDir = "BRINE_TEST_SPOOL"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Println("error", fill(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// fill adds and acknowledges for ever, and says so on stdout.
func fill(dir string) error {
	s, err := Open(dir, 0)
	if err != nil {
		return err
	}
	for {
		rseq, err := s.Add(fleet.Return{Job: "j", Last: true, Reason: strings.Repeat("x", rand.IntN(60<<10))})
		if err != nil {
			return err
		}
		fmt.Println("added", rseq)
		if rand.IntN(5) == 0 {
			fmt.Println("acking", rseq-1)
			if err := s.Ack(rseq - 1); err != nil {
				return err
			}
		}
	}
}

func TestKilledAtAnyInstantNothingThatWasAddedIsLost(t *testing.T) {
	dir := t.TempDir()
	var added []uint64
	var acked, highest uint64
	for range 25 {
		for _, line := range runUntilKilled(t, dir, 1+rand.IntN(40)) {
			var verb string
			var n uint64
			if _, err := fmt.Sscan(line, &verb, &n); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			switch {
			case verb == "acking":
				acked = n
			case n <= highest:
				t.Fatalf("number %d was used twice", n)
			default:
				highest = n
				added = append(added, n)
			}
		}
		s := open(t, dir, 0)
		got := numbers(t, s, 0, 0)
		if !slices.IsSorted(got) {
			t.Fatalf("not in order: %v", got)
		}
		for _, n := range added {
			if _, ok := slices.BinarySearch(got, n); !ok && n > acked {
				t.Fatalf("%d was added and is gone", n)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runUntilKilled returns all whole lines that the child printed; it is killed soon after some of them.
func runUntilKilled(t *testing.T, dir string, lines int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var got []string
	in := bufio.NewScanner(out)
	for in.Scan() {
		if got = append(got, in.Text()); len(got) == lines {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return got
}
