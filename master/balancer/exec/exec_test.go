package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/balancertest"
	"github.com/brine-deploy/brine/master/balancer/proxy"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// behind names the socket of the balancer behind the executable, which is this test's own binary.
const behind = "BRINE_TEST_BALANCER"

func TestMain(m *testing.M) {
	if socket := os.Getenv(behind); socket != "" {
		os.Exit(executable(socket))
	}
	goleak.VerifyTestMain(m)
}

// executable hands its order on, and takes it back when it gets TERM.
func executable(socket string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://balancer/", os.Stdin)
	if err != nil {
		return 1
	}
	resp, err := client.Do(req)
	if err != nil {
		_, _ = io.WriteString(os.Stderr, err.Error())
		return 1
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.Copy(os.Stderr, resp.Body)
		return 1
	}
	_, _ = io.Copy(os.Stdout, resp.Body)
	return 0
}

// serve offers a balancer to the executable.
func serve(t *testing.T, b balancer.Balancer) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "exec")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		var o order
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&o); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a, err := obey(r.Context(), b, o)
		if err != nil {
			http.Error(w, err.Error(), http.StatusConflict)
			return
		}
		_ = json.NewEncoder(w).Encode(a)
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
	return socket
}

func obey(ctx context.Context, b balancer.Balancer, o order) (a answer, err error) {
	var m balancer.Member
	if o.Member != nil {
		m = balancer.Member{Name: o.Member.Name, Address: o.Member.Address}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(o.Timeout)*time.Millisecond)
		defer cancel()
	}
	switch o.Action {
	case "drain":
		err = b.Drain(ctx, o.Pool, m)
	case "activate":
		err = b.Activate(ctx, o.Pool, m)
	default:
		a.Members, err = b.Members(ctx, o.Pool)
	}
	if errors.Is(err, balancer.ErrUnknownPool) {
		return answer{UnknownPool: true, Pools: []string{"web"}}, nil
	}
	return a, err
}

func TestExec(t *testing.T) {
	balancertest.Suite(t, func(t *testing.T) balancertest.Harness {
		p, err := proxy.New(proxy.Config{State: filepath.Join(t.TempDir(), "state.json"), Pools: map[string]proxy.PoolConfig{"web": {
			Listen: "127.0.0.1:0", Health: proxy.Health{Path: "/health", Interval: fleet.Duration(50 * time.Millisecond)},
		}}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- p.Serve(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		balancertest.Eventually(t, "the proxy listens", func() bool { return p.Address("web") != "" })
		e, err := New(Config{Command: []string{self(t)}, Env: map[string]string{behind: serve(t, p), "GORACE": "atexit_sleep_ms=0"}}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return balancertest.Harness{Balancer: e, Pool: "web", URL: "http://" + p.Address("web")}
	})
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// script makes a driver of a shell script.
func script(t *testing.T, text string) *Exec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "balancer")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Command: []string{file}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestAnExecutablesMistakesAreTold(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"it fails":              {"echo no such host >&2; exit 4", "exit status 4: no such host"},
		"it answers no JSON":    {"echo ok", "answered no JSON"},
		"it makes a status up":  {`echo '{"members":{"web1":"fine"}}'`, `web1 is "fine"`},
		"it answers for ever":   {"cat /dev/zero", "balancer: "},
		"it gets no variables":  {"[ -z \"$SECRET\" ] && echo clean >&2; exit 1", "clean"},
		"it has no such pool":   {`echo '{"unknown_pool":true,"pools":["shop"]}'; exit 1`, `unknown pool "web"; the balancer has: shop`},
		"its order is complete": {"cat >&2; exit 1", `{"action":"members","pool":"web","timeout_ms":`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SECRET", "x")
			if _, err := script(t, tt.text).Members(t.Context(), "web"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAnExecutableThatIgnoresTheEndIsKilled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	err := script(t, "trap '' TERM; sleep 60 & sleep 60").Drain(ctx, "web", balancer.Member{Name: "a", Address: "127.0.0.1:1"})
	if !errors.Is(err, context.Canceled) || time.Since(began) > 30*time.Second {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
}
