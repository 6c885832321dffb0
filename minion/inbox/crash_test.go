package inbox

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// crashDir names the directory that this binary lives a minion's life in, until it is killed, instead of running the tests.
const crashDir = "BRINE_TEST_INBOX"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := live(dir); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// live goes on where the life before ended: it reports, runs what is left, and takes new jobs for ever. It says on stdout
// what happened.
func live(dir string) error {
	b, err := Open(filepath.Join(dir, "inbox"))
	if err != nil {
		return err
	}
	for _, j := range b.Unfinished() {
		fmt.Println("interrupted", j.ID)
		if err := b.Done(j.ID); err != nil {
			return err
		}
	}
	for _, j := range b.Unstarted() {
		if err := run(b, j.ID); err != nil {
			return err
		}
	}
	fmt.Println("ready", b.LastSeq())
	for {
		seq := b.LastSeq() + 1
		if rand.IntN(3) == 0 {
			seq = 1 + rand.Uint64N(seq) // The master sends one again.
		}
		id := fleet.JobID(fmt.Sprint("j", seq))
		fresh, err := b.Take(seq, fleet.Job{ID: id, Args: []byte(`{}`)})
		if err != nil {
			return err
		}
		fmt.Println("took", id)
		if !fresh || rand.IntN(3) == 0 {
			continue
		}
		if err := run(b, id); err != nil {
			return err
		}
	}
}

func run(b *Inbox, id fleet.JobID) error {
	if err := b.Start(id); err != nil {
		return err
	}
	fmt.Println("ran", id)
	return b.Done(id)
}

func TestKilledAtAnyInstantAJobRunsAtMostOnceAndNoneIsForgotten(t *testing.T) {
	dir := t.TempDir()
	took, ran, interrupted := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for life := range 30 {
		lines := 1 + rand.IntN(40)
		if life == 29 {
			lines = 0 // Until all that was left is dealt with.
		}
		for _, line := range runUntilKilled(t, dir, lines) {
			verb, id, _ := strings.Cut(line, " ")
			switch verb {
			case "took":
				took[id] = true
			case "ran":
				if ran[id] || interrupted[id] {
					t.Fatalf("%s ran again", id)
				}
				ran[id] = true
			case "interrupted":
				interrupted[id] = true
			case "error":
				t.Fatal(line)
			case "ready":
				for id := range took {
					if !ran[id] && !interrupted[id] {
						t.Fatalf("%s was taken and is forgotten", id)
					}
				}
			}
		}
	}
	if len(ran) < 20 {
		t.Fatalf("only %d jobs ran", len(ran))
	}
}

// runUntilKilled returns all lines that the child printed; it is killed soon after some of them, or after "ready".
func runUntilKilled(t *testing.T, dir string, lines int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var got []string
	in := bufio.NewScanner(out)
	for in.Scan() {
		got = append(got, in.Text())
		if len(got) == lines || lines == 0 && strings.HasPrefix(in.Text(), "ready") {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	return got
}
