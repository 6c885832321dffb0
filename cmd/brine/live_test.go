package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/cmd/brine/text"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// terminal is a pseudo-terminal with a person in front of it.
type terminal struct {
	person *os.File // what the person types and sees
	tty    *os.File // what the program has

	mu   sync.Mutex
	seen bytes.Buffer // guarded by mu
	done chan struct{}
}

func openTerminal(t *testing.T) *terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("needs /dev/ptmx")
	}
	n, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 100}); err != nil {
		t.Fatal(err)
	}
	term := &terminal{person: person, tty: tty, done: make(chan struct{})}
	go func() {
		defer close(term.done)
		_, _ = io.Copy(term, person)
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = person.Close()
		<-term.done
	})
	return term
}

// Write takes what the program shows.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seen.Write(p)
}

// screen is all that was shown so far, without what steers the terminal.
func (t *terminal) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return text.Clean(t.seen.String())
}

func (t *terminal) shows(what string) func() bool {
	return func() bool { return strings.Contains(t.screen(), what) }
}

func (t *terminal) types(keys string) { _, _ = t.person.WriteString(keys) }

var onTerminal = map[string]string{
	"POST_v1_plan":          `{"app":"shop","group":"production","strategy":{"batch":"1","min_healthy":"0"},"minions":[{"minion":"web1","batch":0}]}`,
	"POST_v1_deployments":   `{"id":"d1","app":"shop","group":"production","ref":"v2","status":"queued"}`,
	"GET_v1_deployments_d1": `{"id":"d1","app":"shop","group":"production","ref":"v2","status":"succeeded","minions":[{"minion":"web1","phase":"active"}]}`,
	"GET_v1_deployments_d1_records": `{"seq":1,"kind":"deployment","status":"running"}
{"seq":2,"kind":"note","message":"go build"}
{"seq":3,"kind":"minion","minion":"web1","phase":"installing"}
{"seq":4,"kind":"event","minion":"web1","event":{"event":"ValidateService","outcome":"running"}}
#hang
`,
}

// onTTY runs a command with stdin and stderr on a terminal while the person does something.
func onTTY(t *testing.T, term *terminal, person func() error, args ...string) (code int, stdout string) {
	t.Helper()
	t.Setenv("TERM", "xterm")
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var acts sync.WaitGroup
	acts.Go(func() {
		if err := person(); err != nil {
			t.Errorf("%v; the screen is:\n%s", err, term.screen())
			cancel()
		}
	})
	code = run(ctx, args, term.tty, &out, term.tty)
	acts.Wait()
	return code, out.String()
}

func TestOnATerminalThePlanIsAgreedToAndProgressIsRedrawn(t *testing.T) {
	m, _ := stage(t, onTerminal)
	term := openTerminal(t)
	code, _ := onTTY(t, term, func() error {
		if err := eventually("the question", term.shows("Deploy? [y/N]")); err != nil {
			return err
		}
		term.types("y\n")
		if err := eventually("the event that runs", term.shows("ValidateService")); err != nil {
			return err
		}
		term.types("\x03") // Ctrl-C
		return nil
	}, "deploy", "shop", "production")
	if err := eventually("it goes on", term.shows("deployment d1 goes on; brine watch d1")); err != nil || code != fleet.ExitFailed {
		t.Errorf("exit code %d, %v; screen:\n%s", code, err, term.screen())
	}
	running, build := strings.Index(term.screen(), "deployment running"), strings.Index(term.screen(), " go build")
	if running < 0 || build < running {
		t.Errorf("what happened first is not shown first:\n%s", term.screen())
	}
	if !m.seen("POST /v1/deployments {") {
		t.Error("nothing was deployed")
	}
}

func TestOnATerminalNoIsNo(t *testing.T) {
	m, _ := stage(t, onTerminal)
	term := openTerminal(t)
	code, _ := onTTY(t, term, func() error {
		err := eventually("the plan", term.shows("1 minion to change in 1 batch"))
		term.types("\n")
		return err
	}, "deploy", "shop", "production")
	err := eventually("what no means", term.shows("nothing was done"))
	if err != nil || code != fleet.ExitFailed || m.seen("POST /v1/deployments") {
		t.Errorf("exit code %d, %v; screen:\n%s", code, err, term.screen())
	}
}

func TestOnATerminalTheSummaryReplacesTheRows(t *testing.T) {
	files := map[string]string{}
	for name, text := range onTerminal {
		files[name] = strings.Replace(text, "#hang", `{"seq":5,"kind":"deployment","status":"succeeded"}`, 1)
	}
	stage(t, files)
	term := openTerminal(t)
	code, out := onTTY(t, term, func() error { return nil }, "deploy", "shop", "production", "--yes")
	if code != fleet.ExitDone || !strings.HasPrefix(out, "shop production: v2 succeeded") {
		t.Errorf("exit code %d, stdout:\n%s\nscreen:\n%s", code, out, term.screen())
	}
}
