// Package balancertest holds the suite that each balancer's driver must pass, with real backends, real requests and the
// real balancer.
package balancertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
)

// Harness is a balancer that runs, with one empty pool. It checks GET /health of its members, several times a second.
type Harness struct {
	Balancer balancer.Balancer
	Pool     string
	URL      string // where the pool serves: "http://127.0.0.1:8080"

	// Restart ends the balancer itself, calls while, and starts it again; nil for one that cannot be.
	Restart func(while func())
}

// Suite runs all tests; newBalancer makes a fresh balancer that ends with its test.
func Suite(t *testing.T, newBalancer func(*testing.T) Harness) {
	for _, test := range []struct {
		promise string
		run     func(*testing.T, Harness)
	}{
		{"a drain waits for the open request and lets no new one in", drainWaits},
		{"a drain whose time is up cuts off and succeeds", drainCuts},
		{"a canceled drain cuts nobody off", drainCanceled},
		{"an idle keep-alive connection does not hold a drain", drainIdle},
		{"an unhealthy member stays out, and the error has the check's words", activateSick},
		{"activate waits until the member is healthy", activateWaits},
		{"a member that was in before is checked afresh", activateAfresh},
		{"a member moves to a new address", activateMoves},
		{"everything can be repeated", repeats},
		{"an unknown pool is ErrUnknownPool and the known ones are listed", unknownPool},
		{"no request fails while members are cycled under load, many at once", cycle},
		{"a drain outlives the balancer's restart", restartInDrain},
	} {
		t.Run(strings.ReplaceAll(test.promise, " ", "_"), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			t.Run("balancer", func(t *testing.T) { test.run(t, newBalancer(t)) })
		})
	}
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func (h Harness) activate(t *testing.T, backends ...*Backend) {
	t.Helper()
	for _, b := range backends {
		if err := h.Balancer.Activate(within(t, 20*time.Second), h.Pool, b.Member); err != nil {
			t.Fatal(err)
		}
	}
}

func (h Harness) drain(t *testing.T, m balancer.Member) {
	t.Helper()
	if err := h.Balancer.Drain(within(t, 20*time.Second), h.Pool, m); err != nil {
		t.Fatal(err)
	}
}

func (h Harness) status(t *testing.T, m balancer.Member) balancer.Status {
	t.Helper()
	members, err := h.Balancer.Members(within(t, 20*time.Second), h.Pool)
	if err != nil {
		t.Fatal(err)
	}
	if status, ok := members[m.Name]; ok {
		return status
	}
	return balancer.Out
}

func (h Harness) wantStatus(t *testing.T, m balancer.Member, want balancer.Status) {
	t.Helper()
	if got := h.status(t, m); got != want {
		t.Fatalf("member %s is %s, want %s", m.Name, got, want)
	}
}

// client keeps one connection, which is closed at the test's end.
func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// wait opens a request that ends when its backend releases it; the result tells how.
func (h Harness) wait(t *testing.T, b *Backend) <-chan error {
	t.Helper()
	result, c := make(chan error, 1), client(t)
	go func() {
		_, err := get(context.Background(), c, h.URL+"/wait")
		result <- err
	}()
	Eventually(t, "the slow request reaches its backend", func() bool { return b.Waiting.Load() == 1 })
	return result
}

func drainWaits(t *testing.T, h Harness) {
	a, b := NewBackend(t, "a"), NewBackend(t, "b")
	h.activate(t, a)
	slow := h.wait(t, a)
	h.activate(t, b)
	_, stop := StartLoad(t, h.URL)
	defer stop()
	drained := make(chan error, 1)
	go func() { drained <- h.Balancer.Drain(within(t, 20*time.Second), h.Pool, a.Member) }()
	Eventually(t, "the member is draining", func() bool { return h.status(t, a.Member) == balancer.Draining })
	before := a.Served.Load()
	for served := b.Served.Load(); b.Served.Load() < served+200; time.Sleep(time.Millisecond) {
		if len(drained) > 0 {
			t.Fatalf("the drain did not wait for the open request: %v", <-drained)
		}
	}
	// Those that were under way when the drain began may have come after the first look.
	if late := a.Served.Load() - before; late > 8 {
		t.Errorf("%d requests went to a draining member", late)
	}
	a.Release()
	if err := errors.Join(<-slow, <-drained); err != nil {
		t.Error(err)
	}
	h.wantStatus(t, a.Member, balancer.Out)
	h.wantStatus(t, b.Member, balancer.Up)
}

func drainCuts(t *testing.T, h Harness) {
	a := NewBackend(t, "a")
	h.activate(t, a)
	slow := h.wait(t, a)
	if err := h.Balancer.Drain(within(t, 300*time.Millisecond), h.Pool, a.Member); err != nil {
		t.Fatal(err)
	}
	if err := <-slow; err == nil {
		t.Error("the open request was not cut off")
	}
	h.wantStatus(t, a.Member, balancer.Out)
}

func drainCanceled(t *testing.T, h Harness) {
	a := NewBackend(t, "a")
	h.activate(t, a)
	slow := h.wait(t, a)
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- h.Balancer.Drain(ctx, h.Pool, a.Member) }()
	Eventually(t, "the member is draining", func() bool { return h.status(t, a.Member) == balancer.Draining })
	cancel()
	if err := <-drained; !errors.Is(err, context.Canceled) {
		t.Errorf("Drain: %v", err)
	}
	a.Release()
	if err := <-slow; err != nil {
		t.Errorf("the open request was cut off: %v", err)
	}
	h.drain(t, a.Member)
	h.wantStatus(t, a.Member, balancer.Out)
}

func drainIdle(t *testing.T, h Harness) {
	a, b := NewBackend(t, "a"), NewBackend(t, "b")
	h.activate(t, a)
	c := client(t)
	if body, err := get(t.Context(), c, h.URL); err != nil || body != "a" {
		t.Fatal(body, err)
	}
	h.activate(t, b)
	h.drain(t, a.Member)
	a.Kill()
	for range 5 {
		if body, err := get(t.Context(), c, h.URL); err != nil || body != "b" {
			t.Fatal(body, err)
		}
	}
}

func activateSick(t *testing.T, h Harness) {
	a := NewBackend(t, "a")
	a.Sick.Store(true)
	err := h.Balancer.Activate(within(t, time.Second), h.Pool, a.Member)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "last check: ") || !strings.Contains(err.Error(), "503") {
		t.Errorf("Activate: %v", err)
	}
	h.wantStatus(t, a.Member, balancer.Out)
	a.Sick.Store(false)
	if body, err := get(t.Context(), client(t), h.URL); err == nil {
		t.Errorf("a member that did not pass answered %q", body)
	}
	h.activate(t, a)
}

func activateWaits(t *testing.T, h Harness) {
	a := NewBackend(t, "a")
	a.Kill()
	activated := make(chan error, 1)
	go func() { activated <- h.Balancer.Activate(within(t, 20*time.Second), h.Pool, a.Member) }()
	Eventually(t, "the member is known", func() bool { return h.status(t, a.Member) != balancer.Out })
	if _, err := get(t.Context(), client(t), h.URL); err == nil {
		t.Error("a pool without a healthy member answered")
	}
	a.Start()
	if err := <-activated; err != nil {
		t.Fatal(err)
	}
	if _, err := get(t.Context(), client(t), h.URL); err != nil {
		t.Error(err)
	}
	h.wantStatus(t, a.Member, balancer.Up)
}

func activateAfresh(t *testing.T, h Harness) {
	a, b := NewBackend(t, "a"), NewBackend(t, "b")
	h.activate(t, a, b)
	load, stop := StartLoad(t, h.URL)
	h.drain(t, a.Member)
	a.Kill()
	if err := h.Balancer.Activate(within(t, time.Second), h.Pool, a.Member); err == nil {
		t.Error("a dead member was let in")
	}
	stop()
	if failed := load.Failed(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failed), load.Done.Load(), failed[0])
	}
	h.wantStatus(t, a.Member, balancer.Out)
}

func activateMoves(t *testing.T, h Harness) {
	a, moved := NewBackend(t, "a"), NewBackend(t, "moved")
	h.activate(t, a)
	h.drain(t, a.Member)
	moved.Name = "a"
	h.activate(t, moved)
	a.Kill()
	if _, err := get(t.Context(), client(t), h.URL); err != nil || moved.Served.Load() != 1 {
		t.Error("no answer from the new address", err)
	}
}

func repeats(t *testing.T, h Harness) {
	a := NewBackend(t, "a")
	h.drain(t, a.Member) // not there: drained already
	h.activate(t, a, a, a)
	h.wantStatus(t, a.Member, balancer.Up)
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			if err := h.Balancer.Drain(within(t, 20*time.Second), h.Pool, a.Member); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	h.drain(t, a.Member)
	h.wantStatus(t, a.Member, balancer.Out)
	for range 5 {
		calls.Go(func() {
			if err := h.Balancer.Activate(within(t, 20*time.Second), h.Pool, a.Member); err != nil {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	h.wantStatus(t, a.Member, balancer.Up)
}

func unknownPool(t *testing.T, h Harness) {
	m := balancer.Member{Name: "a", Address: "127.0.0.1:1"}
	_, members := h.Balancer.Members(t.Context(), "nobody")
	for call, err := range map[string]error{
		"Members":  members,
		"Drain":    h.Balancer.Drain(within(t, 20*time.Second), "nobody", m),
		"Activate": h.Balancer.Activate(within(t, 20*time.Second), "nobody", m),
	} {
		if !errors.Is(err, balancer.ErrUnknownPool) || !strings.Contains(err.Error(), h.Pool) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

// cycle replaces every backend's process three times, two at once, as deployments do.
func cycle(t *testing.T, h Harness) {
	var backends []*Backend
	for i := range 6 {
		backends = append(backends, NewBackend(t, fmt.Sprintf("web-%d", i)))
	}
	h.activate(t, backends...)
	load, stop := StartLoad(t, h.URL)
	for i := range 9 {
		var batch sync.WaitGroup
		for _, b := range []*Backend{backends[2*i%6], backends[(2*i+1)%6]} {
			batch.Go(func() {
				h.drain(t, b.Member)
				b.Kill()
				b.Start()
				h.activate(t, b)
			})
		}
		batch.Wait()
	}
	stop()
	if failed := load.Failed(); len(failed) > 0 || load.Done.Load() < 100 {
		t.Errorf("%d of %d requests failed: %v", len(failed), load.Done.Load(), errors.Join(failed...))
	}
	for _, b := range backends {
		if b.Served.Load() == 0 {
			t.Errorf("%s served nothing", b.Name)
		}
	}
}

func restartInDrain(t *testing.T, h Harness) {
	if h.Restart == nil {
		return // it restarts with the master
	}
	a, b := NewBackend(t, "a"), NewBackend(t, "b")
	h.activate(t, a, b)
	drained := make(chan error, 1)
	h.Restart(func() {
		go func() { drained <- h.Balancer.Drain(within(t, 20*time.Second), h.Pool, a.Member) }()
		time.Sleep(50 * time.Millisecond) // the drain finds nobody
		if len(drained) > 0 {
			t.Errorf("the drain did not wait for the balancer: %v", <-drained)
		}
	})
	if err := <-drained; err != nil {
		t.Error(err)
	}
	h.wantStatus(t, a.Member, balancer.Out)
	h.activate(t, a, b)
}
