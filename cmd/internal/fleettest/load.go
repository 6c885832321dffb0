package fleettest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var freshConnections = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Get asks once; anything but 200 is an error.
func Get(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// Load is a steady stream of requests to one URL: a Go client that counts, some users on connections that they keep and
// some on fresh ones, and wrk, which keeps its connections.
type Load struct {
	t      testing.TB
	stop   context.CancelFunc
	users  sync.WaitGroup
	wrk    *exec.Cmd
	report bytes.Buffer // of wrk

	mu       sync.Mutex
	answers  map[string]int // guarded by mu
	failures []string       // guarded by mu
}

const (
	users     = 4
	thinkTime = 10 * time.Millisecond
)

// StartLoad starts the stream. It needs wrk.
func StartLoad(t testing.TB, url string) *Load {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{t: t, stop: stop, answers: map[string]int{}}
	keep := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: users}}
	for i := range users {
		client := keep
		if i%2 == 1 {
			client = freshConnections
		}
		l.users.Go(func() { l.ask(ctx, client, url) })
	}
	script := filepath.Join(t.TempDir(), "think.lua")
	if err := os.WriteFile(script, []byte("function delay() return 10 end\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l.wrk = exec.Command(Needs(t, "wrk", "Debian package wrk"), "-t1", "-c4", "-d10m", "--timeout", "10s", "-s", script, url)
	l.wrk.Stdout, l.wrk.Stderr = &l.report, &l.report
	if err := l.wrk.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.stop()
		l.users.Wait()
		_ = l.wrk.Process.Kill() // it has ended, unless the test failed
		_ = l.wrk.Wait()
	})
	return l
}

func (l *Load) ask(ctx context.Context, client *http.Client, url string) {
	for ctx.Err() == nil {
		answer, err := Get(context.WithoutCancel(ctx), client, url) // one that began is waited for
		l.mu.Lock()
		if err != nil {
			l.failures = append(l.failures, time.Now().Format(time.StampMilli)+" "+err.Error())
		} else {
			l.answers[answer]++
		}
		l.mu.Unlock()
		time.Sleep(thinkTime)
	}
}

// Answered reports how often the users have got an answer by now.
func (l *Load) Answered(answer string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers[answer]
}

var wrkRequests = regexp.MustCompile(`(?m)^\s*([1-9][0-9]*) requests in`)

// Stop ends the stream; a single request that failed fails the test. It returns how often each answer was given.
func (l *Load) Stop() map[string]int {
	l.t.Helper()
	l.stop()
	l.users.Wait()
	_ = l.wrk.Process.Signal(syscall.SIGINT) // it reports and ends
	if err := l.wrk.Wait(); err != nil {
		l.t.Errorf("wrk: %v", err)
	}
	report := l.report.String()
	if !wrkRequests.MatchString(report) || strings.Contains(report, "Non-2xx") || strings.Contains(report, "Socket errors") {
		l.t.Errorf("wrk saw failures:\n%s", report)
	}
	if n := len(l.failures); n > 0 {
		l.t.Errorf("%d requests failed, %v were answered:\n%s", n, l.answers, strings.Join(l.failures[:min(n, 20)], "\n"))
	}
	return l.answers
}
