package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/balancertest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProxy(t *testing.T) {
	balancertest.Suite(t, func(t *testing.T) balancertest.Harness {
		p, _ := start(t, filepath.Join(t.TempDir(), "state.json"))
		return balancertest.Harness{Balancer: p, Pool: "web", URL: "http://" + p.Address("web")}
	})
}

// start runs a proxy with one pool until stop is called or the test ends.
func start(t *testing.T, state string) (p *Proxy, stop func()) {
	t.Helper()
	p, err := New(Config{State: state, Pools: map[string]PoolConfig{"web": {
		Listen: "127.0.0.1:0",
		Health: Health{Path: "/health", Interval: fleet.Duration(50 * time.Millisecond)},
	}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	balancertest.Eventually(t, "the proxy listens", func() bool { return p.Address("web") != "" })
	return p, stop
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func activate(t *testing.T, p *Proxy, m balancer.Member) {
	t.Helper()
	if err := p.Activate(within(t, 10*time.Second), "web", m); err != nil {
		t.Fatal(err)
	}
}

func client(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func send(t *testing.T, c *http.Client, method, url, body string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text), res.Header
}

// server is a member that answers with h, and with 200 to health checks.
func server(t *testing.T, name string, h http.HandlerFunc) (balancer.Member, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/", h)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return balancer.Member{Name: name, Address: s.Listener.Addr().String()}, s
}

func TestMembersServeAtOnceAfterARestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "balancers", "front.json")
	a, b := balancertest.NewBackend(t, "a"), balancertest.NewBackend(t, "b")
	p, stop := start(t, state)
	activate(t, p, a.Member)
	activate(t, p, b.Member)
	if err := p.Drain(within(t, 10*time.Second), "web", b.Member); err != nil {
		t.Fatal(err)
	}
	stop()
	p, _ = start(t, state)
	if code, body, _ := send(t, client(t), "GET", "http://"+p.Address("web"), ""); code != 200 || body != "a" {
		t.Error(code, body)
	}
	activate(t, p, a.Member)
	members, err := p.Members(t.Context(), "web")
	if err != nil || len(members) != 1 || members["a"] != balancer.Up {
		t.Error(members, err)
	}
}

func TestAMemberThatDiedIsFoundDownAndComesBack(t *testing.T) {
	p, _ := start(t, "")
	a := balancertest.NewBackend(t, "a")
	activate(t, p, a.Member)
	a.Kill()
	is := func(want balancer.Status) func() bool {
		return func() bool {
			members, err := p.Members(t.Context(), "web")
			return err == nil && members["a"] == want
		}
	}
	balancertest.Eventually(t, "the dead member is down", is(balancer.Down))
	code, body, header := send(t, client(t), "GET", "http://"+p.Address("web"), "")
	if code != 503 || header.Get("Retry-After") == "" {
		t.Error(code, body, header)
	}
	a.Start()
	balancertest.Eventually(t, "the member is up again", is(balancer.Up))
}

func TestARequestThatDidNoHarmIsTriedOnAnotherMember(t *testing.T) {
	p, _ := start(t, "")
	p.pools["web"].config.Health.Fall = 1 << 30
	echo, _ := server(t, "echo", func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	dead, process := server(t, "dead", func(http.ResponseWriter, *http.Request) {})
	var hits atomic.Int64
	rude, _ := server(t, "rude", func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		conn, _, _ := http.NewResponseController(w).Hijack()
		_ = conn.Close()
	})
	for _, m := range []balancer.Member{echo, dead} {
		activate(t, p, m)
	}
	process.Close()
	c, url := client(t), "http://"+p.Address("web")
	for range 6 {
		if code, body, _ := send(t, c, "POST", url, "precious"); code != 200 || body != "precious" {
			t.Error("a member that cannot be reached:", code, body)
		}
	}
	activate(t, p, rude)
	for range 6 {
		if code, body, _ := send(t, c, "GET", url, ""); code != 200 {
			t.Error("a member that hangs up:", code, body)
		}
	}
	if hits.Load() == 0 {
		t.Fatal("no GET reached the member that hangs up")
	}
	hits.Store(0)
	var failed int64
	for range 9 {
		if code, _, _ := send(t, c, "POST", url, "once"); code == 502 {
			failed++
		}
	}
	if failed == 0 || failed != hits.Load() {
		t.Errorf("%d POSTs reached the member that hangs up, %d were reported: one was sent twice", hits.Load(), failed)
	}
}

func TestTheMemberLearnsWhoAsksAndForWhat(t *testing.T) {
	p, _ := start(t, "")
	m, _ := server(t, "a", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("X-Forwarded-Host")+" "+r.URL.String())
	})
	activate(t, p, m)
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.Address("web")+"/p%2Fq?x=1;2", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "shop.example"
	r.Header.Set("X-Forwarded-For", "6.6.6.6")
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "shop.example 127.0.0.1 shop.example /p%2Fq?x=1;2" {
		t.Errorf("%s", body)
	}
}

// upgrade opens a connection that is no longer HTTP and echoes lines.
func upgrade(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return conn, r
}

func echoServer(t *testing.T) balancer.Member {
	t.Helper()
	m, _ := server(t, "ws", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_, _ = io.Copy(conn, rw)
	})
	return m
}

func TestADrainWaitsForUpgradedConnections(t *testing.T) {
	p, _ := start(t, "")
	m := echoServer(t)
	activate(t, p, m)
	conn, r := upgrade(t, p.Address("web"))
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(within(t, 10*time.Second), "web", m) }()
	balancertest.Eventually(t, "the member is draining", func() bool {
		members, err := p.Members(t.Context(), "web")
		return err == nil && members["ws"] == balancer.Draining
	})
	for range 3 {
		_, _ = io.WriteString(conn, "hello\n")
		if line, err := r.ReadString('\n'); line != "hello\n" {
			t.Fatal(line, err)
		}
	}
	if len(drained) > 0 {
		t.Errorf("the drain did not wait: %v", <-drained)
	}
	_ = conn.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestUpgradedConnectionsAreCutOffInTheEnd(t *testing.T) {
	p, stop := start(t, "")
	m := echoServer(t)
	for what, end := range map[string]func(){
		"a drain whose time is up": func() {
			if err := p.Drain(within(t, 50*time.Millisecond), "web", m); err != nil {
				t.Error(err)
			}
		},
		"the proxy's end": stop,
	} {
		if p.Address("web") == "" {
			p, _ = start(t, "")
		}
		activate(t, p, m)
		_, r := upgrade(t, p.Address("web"))
		end()
		if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestServeLetsRequestsFinish(t *testing.T) {
	p, stop := start(t, "")
	a := balancertest.NewBackend(t, "a")
	activate(t, p, a.Member)
	url, result := "http://"+p.Address("web")+"/wait", make(chan error, 1)
	c := client(t)
	go func() {
		res, err := c.Get(url)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			_ = res.Body.Close()
		}
		result <- err
	}()
	balancertest.Eventually(t, "the request is open", func() bool { return a.Waiting.Load() == 1 })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	balancertest.Eventually(t, "the proxy no longer listens", func() bool { return p.Address("web") == "" })
	a.Release()
	if err := <-result; err != nil {
		t.Error(err)
	}
	<-stopped
}

func TestConfigurationErrorsSayWhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(file, []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok := map[string]PoolConfig{"web": {Listen: "127.0.0.1:0"}}
	for want, c := range map[string]Config{
		"pools is empty": {},
		"pool web: listen: \"8080\" is not host:port":      {Pools: map[string]PoolConfig{"web": {Listen: "8080"}}},
		"pool web: health: path \"health\" does not begin": {Pools: map[string]PoolConfig{"web": {Listen: ":1", Health: Health{Path: "health"}}}},
		"state.json: invalid character":                    {Pools: ok, State: file},
	} {
		if _, err := New(c, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

func TestAListenerThatIsTakenIsAnError(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := New(Config{Pools: map[string]PoolConfig{"web": {Listen: l.Addr().String()}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Serve(t.Context()); err == nil || !strings.Contains(err.Error(), "listen for pool web") {
		t.Error(err)
	}
}

// TestHTTP2WithoutTLSIsServedAndDrained asks over one connection with many streams, as gRPC's proxies and curl's
// --http2-prior-knowledge do.
func TestHTTP2WithoutTLSIsServedAndDrained(t *testing.T) {
	p, _ := start(t, "")
	a, b := balancertest.NewBackend(t, "a"), balancertest.NewBackend(t, "b")
	activate(t, p, a.Member)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	url, answered := "http://"+p.Address("web"), make(chan error, 1)
	go func() {
		res, err := c.Get(url + "/wait")
		if err == nil {
			if res.ProtoMajor != 2 {
				err = errors.New("it speaks " + res.Proto)
			}
			_, rerr := io.ReadAll(res.Body)
			err = errors.Join(err, rerr, res.Body.Close())
		}
		answered <- err
	}()
	balancertest.Eventually(t, "the request is open", func() bool { return a.Waiting.Load() == 1 })
	activate(t, p, b.Member)
	drained := make(chan error, 1)
	go func() { drained <- p.Drain(within(t, 10*time.Second), "web", a.Member) }()
	balancertest.Eventually(t, "the member is draining", func() bool {
		members, err := p.Members(t.Context(), "web")
		return err == nil && members["a"] == balancer.Draining
	})
	for range 20 { // on the same connection
		if code, text, _ := send(t, c, http.MethodGet, url+"/", ""); code != http.StatusOK || strings.TrimSpace(text) != "b" {
			t.Fatal(code, text)
		}
	}
	if len(drained) > 0 {
		t.Errorf("the drain did not wait: %v", <-drained)
	}
	a.Release()
	if err := errors.Join(<-answered, <-drained); err != nil {
		t.Error(err)
	}
}
