package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// grace is how long requests may take to finish when the proxy ends.
const grace = 10 * time.Second

// Serve implements balancer.Server. Requests have ten seconds to finish when ctx is done, then they are cut off;
// upgraded connections are cut off when the last request has ended.
func (p *Proxy) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running sync.WaitGroup
	errs := make(chan error, len(p.pools))
	for name, pool := range p.pools {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", pool.config.Listen)
		if err != nil {
			stop()
			running.Wait()
			return fmt.Errorf("listen for pool %s: %w", name, err)
		}
		running.Go(func() {
			if err := pool.serve(ctx, l, p.saveLater); err != nil {
				errs <- fmt.Errorf("serve pool %s: %w", name, err)
				stop()
			}
		})
	}
	running.Wait()
	close(errs)
	return <-errs
}

func (p *pool) serve(ctx context.Context, l net.Listener, save func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := &http.Server{
		Handler:           p.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    64 << 10,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	var running sync.WaitGroup
	ended := make(chan error, 1)
	running.Go(func() { ended <- server.Serve(l) })
	running.Go(func() { p.watch(ctx, save) })
	p.listening(l.Addr().String())
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
		stop()
	}
	p.close(context.WithoutCancel(ctx), server)
	running.Wait()
	return err
}

func (p *pool) close(ctx context.Context, server *http.Server) {
	p.listening("")
	limit, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if err := server.Shutdown(limit); errors.Is(err, context.DeadlineExceeded) {
		p.log.Warn("requests did not finish in time and are cut off")
	}
	for _, m := range p.all() {
		p.cut(m, errClosing)
		m.transport.CloseIdleConnections()
	}
	_ = server.Close()
}

func (p *pool) listening(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.address = address
}

func (p *pool) all() []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	members := make([]*member, 0, len(p.members))
	for _, m := range p.members {
		members = append(members, m)
	}
	return members
}
