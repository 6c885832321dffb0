package balancertest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Load is a steady load of GET requests: half of its clients keep their connection, half open a new one each time.
type Load struct {
	Done   atomic.Int64
	mu     sync.Mutex
	failed []error
}

// StartLoad begins with a load on url. The function that it returns ends it and is to be called once.
func StartLoad(t *testing.T, url string) (*Load, func()) {
	t.Helper()
	l := &Load{}
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 8 {
		clients.Go(func() { l.client(ctx, url, i%2 == 0) })
	}
	return l, func() {
		cancel()
		clients.Wait()
	}
}

func (l *Load) client(ctx context.Context, url string, keep bool) {
	transport := &http.Transport{DisableKeepAlives: !keep}
	defer transport.CloseIdleConnections()
	for ctx.Err() == nil {
		// A request that was begun is finished: its end must not count as a failure.
		if _, err := get(context.WithoutCancel(ctx), &http.Client{Transport: transport, Timeout: 10 * time.Second}, url); err != nil {
			l.mu.Lock()
			l.failed = append(l.failed, err)
			l.mu.Unlock()
		}
		l.Done.Add(1)
		time.Sleep(time.Millisecond)
	}
}

// Failed returns the errors of all requests that failed.
func (l *Load) Failed() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// get returns the body of a 200 and an error for anything else.
func get(ctx context.Context, c *http.Client, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := c.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.80s", url, res.Status, body)
	}
	return string(body), err
}

// Eventually waits for a condition and fails the test when it does not come.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited 20 s in vain: %s", what)
		}
	}
}
