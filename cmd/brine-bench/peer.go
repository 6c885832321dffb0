package main

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// router is a server of another process that sends messages back: libzmq's, or the bare bus.
type router struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	addr string
	key  fleet.Key
}

// libzmq starts peer.c as a router.
func (b *bench) libzmq() (*router, error) {
	return startRouter(exec.Command(b.peer(), "router"))
}

func (b *bench) peer() string { return filepath.Join(b.bin, "peer") }

// bareBus starts the bus without a master.
func (b *bench) bareBus() (*router, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	return startRouter(exec.Command(self, "serve", "bus"))
}

func startRouter(cmd *exec.Cmd) (*router, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}
	r := &router{cmd: cmd, in: in}
	if err := r.greet(out); err != nil {
		r.close()
		return nil, fmt.Errorf("%s: %w", cmd, err)
	}
	return r, nil
}

// greet reads where the router listens, and its key.
func (r *router) greet(out io.Reader) error {
	first, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read its address: %w", err)
	}
	port, text, _ := strings.Cut(strings.TrimSpace(first), " ")
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != len(r.key) {
		return fmt.Errorf("read its address: it is %q", first)
	}
	r.addr, r.key = "127.0.0.1:"+port, fleet.Key(key)
	return nil
}

func (r *router) close() { hurry(r.cmd) }

// publishToSubs lets libzmq publish one message of size bytes to n of its own subscribers, rounds times.
func (b *bench) publishToSubs(ctx context.Context, n, size, rounds int) (connect time.Duration, fanouts []float64, err error) {
	out, err := exec.CommandContext(ctx, b.peer(), "fanout", strconv.Itoa(n), strconv.Itoa(size), strconv.Itoa(rounds)).Output()
	if err != nil {
		return 0, nil, fmt.Errorf("libzmq's fan-out: %w", err)
	}
	for i, field := range strings.Fields(string(out)) {
		ns, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, nil, fmt.Errorf("libzmq's fan-out: %w", err)
		}
		if i == 0 {
			connect = time.Duration(ns)
			continue
		}
		fanouts = append(fanouts, ms(time.Duration(ns)))
	}
	return connect, fanouts, nil
}

// echoing is what a minion does with a connection to a router: it makes itself known, and sends a token's worth of messages
// of echoSize bytes whenever it is told to; each comes back.
func echoing(perMinion, size int) func(context.Context, *minion) error {
	return func(ctx context.Context, m *minion) error {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if err := m.Send(ctx, []byte("H")); err != nil {
			return err
		}
		m.ready.Add(1)
		broken := make(chan error, 1)
		go func() {
			for {
				if _, err := m.Recv(ctx); err != nil {
					broken <- err
					return
				}
				m.count.hit()
			}
		}()
		body := append([]byte("E"), make([]byte, size)...)
		for {
			select {
			case <-m.goes:
				for range perMinion {
					if err := m.Send(ctx, body); err != nil {
						return err
					}
				}
			case err := <-broken:
				return err
			}
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
