package haproxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/balancertest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestHAProxy(t *testing.T) {
	balancertest.Suite(t, func(t *testing.T) balancertest.Harness {
		p := newProcess(t, "")
		h := newDriver(t, p.socket)
		return balancertest.Harness{Balancer: h, Pool: "web", URL: "http://" + p.address, Restart: func(while func()) {
			p.stop()
			while()
			p.start()
		}}
	})
}

func newDriver(t *testing.T, sockets ...string) *HAProxy {
	t.Helper()
	h, err := New(Config{Sockets: sockets, ServerOptions: "check inter 60ms rise 2 fall 2"})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// process is a real HAProxy with a backend web, whose lines can be added to. It inherits the listener of its frontend,
// so that nobody else can get the address.
type process struct {
	t               *testing.T
	socket, address string
	front           *os.File
	config          string
	cmd             *exec.Cmd
	out             bytes.Buffer
}

func newProcess(t *testing.T, lines string) *process {
	t.Helper()
	if _, err := exec.LookPath("haproxy"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs haproxy (Debian package haproxy)")
		}
		t.Skip("needs haproxy (Debian package haproxy)")
	}
	// A Unix socket's path may be 108 bytes long, which t.TempDir() can exceed.
	dir, err := os.MkdirTemp("", "hap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &process{t: t, socket: filepath.Join(dir, "admin"), config: filepath.Join(dir, "haproxy.cfg")}
	p.listen()
	text := fmt.Sprintf(`
global
    stats socket %s mode 600 level admin
    stats socket %s.operator mode 600 level operator
    hard-stop-after 1s
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend front
    bind fd@3
    default_backend web
backend web
    balance roundrobin
    option httpchk GET /health
    http-check expect status 200
%s
backend fixed
    balance static-rr
`, p.socket, p.socket, lines)
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	t.Cleanup(p.stop)
	return p
}

func (p *process) listen() {
	p.t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		p.t.Fatal(err)
	}
	defer l.Close()
	p.address = l.Addr().String()
	if p.front, err = l.File(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = p.front.Close() })
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command("haproxy", "-db", "-f", p.config) //nolint:gosec // a test
	p.cmd.ExtraFiles = []*os.File{p.front}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("unix", p.socket)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			p.stop()
			p.t.Fatalf("haproxy does not start: %v\n%s", err, p.out.String())
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestAServerOfTheConfigurationIsMovedCheckedAndLetIn(t *testing.T) {
	a := balancertest.NewBackend(t, "a")
	p := newProcess(t, "    default-server check inter 60ms rise 2 fall 2\n    server a 127.0.0.1:9 disabled")
	h := newDriver(t, p.socket)
	for range 2 {
		if err := h.Activate(within(t, 10*time.Second), "web", a.Member); err != nil {
			t.Fatal(err)
		}
		if err := h.Drain(within(t, 10*time.Second), "web", a.Member); err != nil {
			t.Fatal(err)
		}
	}
	a.Sick.Store(true)
	err := h.Activate(within(t, time.Second), "web", a.Member)
	if err == nil || !strings.Contains(err.Error(), "last check: L7STS/503, server is DOWN") {
		t.Errorf("Activate of a sick member: %v", err)
	}
}

func TestAServerWithoutChecksCountsAsHealthy(t *testing.T) {
	a := balancertest.NewBackend(t, "a")
	p := newProcess(t, "    server a "+a.Address+" disabled")
	h := newDriver(t, p.socket)
	if err := h.Activate(within(t, 10*time.Second), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	if members, err := h.Members(t.Context(), "web"); err != nil || members["a"] != balancer.Up {
		t.Error(members, err)
	}
}

func TestSeveralProcessesAgreeOnAMember(t *testing.T) {
	p, q, a := newProcess(t, ""), newProcess(t, ""), balancertest.NewBackend(t, "a")
	h := newDriver(t, p.socket, q.socket)
	if err := h.Activate(within(t, 10*time.Second), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	if members, err := h.Members(t.Context(), "web"); err != nil || members["a"] != balancer.Up {
		t.Error(members, err)
	}
	if err := newDriver(t, q.socket).Drain(within(t, 10*time.Second), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	if members, err := h.Members(t.Context(), "web"); err != nil || members["a"] != balancer.Out {
		t.Error("out of one process only:", members, err)
	}
}

func TestAnActivationOutlivesARestart(t *testing.T) {
	p, a := newProcess(t, ""), balancertest.NewBackend(t, "a")
	h := newDriver(t, p.socket)
	a.Sick.Store(true)
	var activating sync.WaitGroup
	activating.Go(func() {
		if err := h.Activate(within(t, 20*time.Second), "web", a.Member); err != nil {
			t.Error(err)
		}
	})
	balancertest.Eventually(t, "the server is added", func() bool {
		members, err := h.Members(t.Context(), "web")
		return err == nil && len(members) == 1
	})
	p.stop()
	p.start()
	a.Sick.Store(false)
	activating.Wait()
	if members, err := h.Members(t.Context(), "web"); err != nil || members["a"] != balancer.Up {
		t.Error(members, err)
	}
}

func TestADrainBeginsAgainWhenHAProxyForgotIt(t *testing.T) {
	a := balancertest.NewBackend(t, "a")
	p := newProcess(t, "    server a "+a.Address+" check inter 60ms")
	h := newDriver(t, p.socket)
	if err := h.Activate(within(t, 10*time.Second), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var calls sync.WaitGroup
	calls.Go(func() {
		if res, err := (&http.Client{Transport: transport}).Get("http://" + p.address + "/wait"); err == nil {
			_ = res.Body.Close()
			t.Error("the request outlived HAProxy")
		}
	})
	balancertest.Eventually(t, "the request is open", func() bool { return a.Waiting.Load() == 1 })
	calls.Go(func() {
		if err := h.Drain(within(t, 20*time.Second), "web", a.Member); err != nil {
			t.Error(err)
		}
	})
	status := func() balancer.Status {
		members, err := h.Members(t.Context(), "web")
		if err != nil {
			t.Fatal(err)
		}
		return members["a"]
	}
	balancertest.Eventually(t, "the member is draining", func() bool { return status() == balancer.Draining })
	p.stop()
	p.start() // with the server in, as the configuration has it
	calls.Wait()
	if got := status(); got != balancer.Out {
		t.Errorf("after the drain the member is %s", got)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	p := newProcess(t, "")
	m := balancer.Member{Name: "a", Address: "127.0.0.1:80"}
	_, absent := newDriver(t, "/run/brine-test-nowhere.sock").Members(t.Context(), "web")
	_, refusedDial := newDriver(t, freeAddress(t)).Members(t.Context(), "web")
	h := newDriver(t, p.socket)
	for want, err := range map[string]error{
		`balancer socket /run/brine-test-nowhere.sock: no such file: is HAProxy running, and does its configuration have "stats socket ... level admin"?`: absent,
		`connection refused: is HAProxy running`:            refusedDial,
		`does its "stats socket" line say "level admin"?`:   newDriver(t, p.socket+".operator").Activate(within(t, 5*time.Second), "web", m),
		`Backend must use a dynamic load balancing`:         h.Activate(within(t, 5*time.Second), "fixed", m),
		`member "a;shutdown": HAProxy's names have letters`: h.Drain(t.Context(), "web", balancer.Member{Name: "a;shutdown"}),
		`pool "web\nquit": HAProxy's names have letters`:    h.Activate(t.Context(), "web\nquit", m),
		`address "nowhere" of member a in pool web`:         h.Activate(t.Context(), "web", balancer.Member{Name: "a", Address: "nowhere"}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestADrainThatNeverReachesHAProxyFails(t *testing.T) {
	err := newDriver(t, "/run/brine-test-nowhere.sock").Drain(within(t, 100*time.Millisecond), "web", balancer.Member{Name: "a"})
	if err == nil || !strings.Contains(err.Error(), "no such file: is HAProxy running") {
		t.Error(err)
	}
}

func TestAnAnswerThatIsCutShortIsNotBelieved(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte("1\n# be_id be_name srv_id srv_name srv_addr\n"))
			_ = conn.Close()
		}
	}()
	_, err = newDriver(t, l.Addr().String()).Members(t.Context(), "web")
	if !errors.Is(err, errAnswer) {
		t.Error(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, c := range map[string]Config{
		"socket is missing":    {},
		"neither an absolute":  {Socket: "haproxy.sock"},
		"server_options: \";q": {Socket: "/s", ServerOptions: "check ;quit"},
		"server_options: \"<<": {Socket: "/s", ServerOptions: "check <<"},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := New(Config{Socket: "127.0.0.1:9999", Timeout: fleet.Duration(time.Second)}); err != nil {
		t.Error(err)
	}
}

func FuzzParseServers(f *testing.F) {
	f.Add("1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_check_state srv_port\n" +
		"3 web 1 a 127.0.0.1 2 0 6 80\n\n# pxname,svname,qcur,scur,status,check_status,check_code,\nweb,a,0,1,UP,* L7OK,200,\n\n")
	f.Add("# pxname,svname\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		servers, err := parseServers(text, "web")
		if err != nil {
			return
		}
		for name, s := range servers {
			if name == "" || s.open < 0 || s.standing() == "" {
				t.Errorf("%q: %+v", name, s)
			}
		}
	})
}
