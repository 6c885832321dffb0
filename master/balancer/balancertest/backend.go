package balancertest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
)

// Backend is a real HTTP server that a balancer can have as a member. It answers with its name; /wait answers when
// Release is called; /health answers 503 while it is sick.
type Backend struct {
	balancer.Member
	Sick    atomic.Bool
	Served  atomic.Int64 // requests other than health checks
	Waiting atomic.Int64 // requests for /wait that are open

	t       *testing.T
	server  *http.Server
	ended   chan struct{}
	release chan struct{}
	once    sync.Once
}

// NewBackend starts a backend, which ends with the test.
func NewBackend(t *testing.T, name string) *Backend {
	t.Helper()
	b := &Backend{Member: balancer.Member{Name: name, Address: "127.0.0.1:0"}, t: t, release: make(chan struct{})}
	b.Start()
	t.Cleanup(func() {
		b.Release()
		b.Kill()
	})
	return b
}

// Start lets the backend serve, at the same address as before.
func (b *Backend) Start() {
	b.t.Helper()
	var l net.Listener
	// A client's outgoing connection may have the port for a moment.
	Eventually(b.t, "listen on "+b.Address, func() (ok bool) {
		var err error
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp", b.Address)
		return err == nil
	})
	b.Address = l.Addr().String()
	b.server = &http.Server{Handler: b.handler(), ReadHeaderTimeout: time.Minute}
	b.ended = make(chan struct{})
	go func(server *http.Server, ended chan<- struct{}) {
		defer close(ended)
		_ = server.Serve(l)
	}(b.server, b.ended)
}

// Kill ends the backend at once, as kill -9 would.
func (b *Backend) Kill() {
	_ = b.server.Close()
	<-b.ended
}

// Release answers all requests for /wait, open and future ones.
func (b *Backend) Release() { b.once.Do(func() { close(b.release) }) }

func (b *Backend) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) {
		if b.Sick.Load() {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		b.Waiting.Add(1)
		defer b.Waiting.Add(-1)
		select {
		case <-b.release:
			fmt.Fprint(w, b.Name)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		b.Served.Add(1)
		fmt.Fprint(w, b.Name)
	})
	return mux
}
