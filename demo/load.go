package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// tally is what the users of the load balancer saw.
type tally struct {
	requests, failed int
	first            string // failure
	answers          map[string]int
	took             time.Duration
}

func (t tally) versions() []string { return slices.Sorted(maps.Keys(t.answers)) }

// load is a steady stream of requests.
type load struct {
	cancel  context.CancelFunc
	users   sync.WaitGroup
	started time.Time

	mu    sync.Mutex
	tally tally // guarded by mu
}

const (
	users     = 8
	thinkTime = 20 * time.Millisecond
)

// load lets some users ask the load balancer, over and over, until it is stopped.
func (s *stage) load(ctx context.Context) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{cancel: cancel, started: time.Now(), tally: tally{answers: map[string]int{}}}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: users}}
	for range users {
		l.users.Go(func() {
			tick := time.NewTicker(thinkTime)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					l.count(get(client, "http://127.0.0.1:"+s.front+"/"))
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return l
}

func get(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
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

func (l *load) count(answer string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally.requests++
	if err != nil {
		if l.tally.failed++; l.tally.failed == 1 {
			l.tally.first = err.Error()
		}
		return
	}
	l.tally.answers[answer]++
}

func (l *load) stop() tally {
	l.cancel()
	l.users.Wait()
	l.tally.took = time.Since(l.started)
	return l.tally
}
