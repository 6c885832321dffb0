package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	cpuprofile "runtime/pprof"

	"github.com/brine-deploy/brine/master"
	"github.com/brine-deploy/brine/pkg/bus"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// serve is what a bench starts beside itself: a master that can be profiled, or a bare bus.
func serve(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == "master":
		return serveMaster(ctx, args[1])
	case len(args) == 1 && args[0] == "bus":
		return serveBus(ctx)
	default:
		return errors.New("usage: brine-bench serve master CONFIG | bus")
	}
}

// serveMaster is brine-master, with net/http/pprof on a socket beside its configuration.
func serveMaster(ctx context.Context, path string) error {
	cfg, err := config.LoadMaster(path, nil)
	if err != nil {
		return err
	}
	m, err := master.New(ctx, cfg, "bench", slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return err
	}
	socket := profileSocket(path)
	os.Remove(socket) //nolint:errcheck // of a master that was killed
	l, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen for profiles: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	go http.Serve(l, mux) //nolint:errcheck,gosec // as long as the process lives
	return m.Run(ctx, func() {})
}

func profileSocket(config string) string { return filepath.Join(filepath.Dir(config), "profile.sock") }

// profiled runs f with a CPU profile of the master, if one is wanted, of at most a minute, and takes one of its heap after.
func (b *bench) profiled(ctx context.Context, name string, f func() error) error {
	if b.profile == "" {
		return f()
	}
	if err := os.MkdirAll(b.profile, 0o755); err != nil {
		return fmt.Errorf("make directory of profiles: %w", err)
	}
	cut, cancel := context.WithCancel(ctx)
	defer cancel()
	own, err := b.profileMinions(name)
	if err != nil {
		return err
	}
	cpu := make(chan error, 1)
	go func() { cpu <- b.fetchProfile(cut, "profile?seconds="+profileSeconds, name+".cpu") }()
	err = f()
	own()
	err = errors.Join(err, <-cpu)
	return errors.Join(err, b.fetchProfile(ctx, "heap?gc=1", name+".heap"), b.fetchProfile(ctx, "goroutine", name+".goroutine"))
}

// profileMinions profiles the simulated minions until stop is called.
func (b *bench) profileMinions(name string) (stop func(), err error) {
	f, err := os.Create(filepath.Join(b.profile, name+".minions.cpu"))
	if err != nil {
		return nil, fmt.Errorf("make profile: %w", err)
	}
	if err := cpuprofile.StartCPUProfile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("start profile: %w", err), f.Close())
	}
	return func() {
		cpuprofile.StopCPUProfile()
		f.Close() //nolint:errcheck // a profile that is not whole cannot be read
	}, nil
}

// profileSeconds is how long a profile is; what is measured should take about as long.
const profileSeconds = "20"

func (b *bench) fetchProfile(ctx context.Context, what, file string) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", profileSocket(b.config()))
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://master/debug/pprof/"+what, nil)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("get profile: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("get profile: %w", err)
	}
	return os.WriteFile(filepath.Join(b.profile, file), text, 0o644)
}

// serveBus is the bare bus doing what peer.c does as a router: it sends back what begins with E or D.
func serveBus(ctx context.Context) error {
	key, err := bus.GenerateKey()
	if err != nil {
		return err
	}
	s, err := bus.Listen(bus.ServerConfig{
		Listen: "127.0.0.1:0", Key: key,
		Authorize: func(k fleet.Key, _ net.Addr) (string, error) { return string(k.Fingerprint()), nil },
	})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // it gives none
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		return err
	}
	fmt.Printf("%s %x\n", port, key.Public[:])
	for {
		from, body, err := s.Recv(ctx)
		if err != nil {
			return err
		}
		if len(body) > 0 && (body[0] == 'E' || body[0] == 'D') {
			if err := s.Send(from, body); err != nil {
				return err
			}
		}
	}
}
