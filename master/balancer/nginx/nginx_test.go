package nginx

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/master/balancer/balancertest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNginx(t *testing.T) {
	balancertest.Suite(t, func(t *testing.T) balancertest.Harness {
		p := newProcess(t)
		return balancertest.Harness{Balancer: p.driver, Pool: "web", URL: "http://" + p.address, Restart: func(while func()) {
			p.stop()
			while()
			p.start()
		}}
	})
}

// process is a real nginx. It inherits its listener, so that nobody else can get the address.
type process struct {
	t       *testing.T
	dir     string
	address string
	front   *os.File
	driver  *Nginx
	cmd     *exec.Cmd
	out     bytes.Buffer
}

func newProcess(t *testing.T) *process {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs nginx (Debian package nginx)")
		}
		t.Skip("needs nginx (Debian package nginx)")
	}
	p := &process{t: t, dir: t.TempDir()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.address = l.Addr().String()
	p.front, err = l.(*net.TCPListener).File()
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	text := fmt.Sprintf(`%s daemon off; worker_processes 2; pid %[2]s/pid; error_log stderr warn;
events { worker_connections 256; }
http {
	access_log off; client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/f; uwsgi_temp_path %[2]s/u; scgi_temp_path %[2]s/s;
	include %[2]s/brine.d/*.conf;
	server { listen %[3]s; location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_next_upstream error timeout; } }
}`, user, p.dir, p.address)
	conf := filepath.Join(p.dir, "nginx.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.driver, err = New(Config{
		Dir: filepath.Join(p.dir, "brine.d"), Config: conf, PID: filepath.Join(p.dir, "pid"),
		Pools: map[string]PoolConfig{"web": {Options: []string{"keepalive 8"}, Health: Health{Path: "/health", Interval: fleet.Duration(20 * time.Millisecond)}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.driver.Members(t.Context(), "web"); !errors.Is(err, errNotRunning) {
		t.Fatalf("nginx does not run, and Members says %v", err)
	}
	p.start()
	t.Cleanup(func() {
		p.stop()
		_ = p.front.Close()
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	p.cmd = exec.Command("nginx", "-c", filepath.Join(p.dir, "nginx.conf"))
	p.cmd.Env = append(os.Environ(), "NGINX=3;")
	p.cmd.ExtraFiles = []*os.File{p.front}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	balancertest.Eventually(p.t, "nginx serves", func() bool {
		workers, err := p.driver.server.workers()
		return err == nil && len(workers) == 2
	})
}

// stop ends it at once, and with it all workers that only finish what they have.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	_ = p.cmd.Wait()
	_ = os.Remove(filepath.Join(p.dir, "pid"))
	if p.t.Failed() && p.out.Len() > 0 {
		p.t.Logf("nginx said:\n%s", p.out.String())
	}
}

func TestAnUpstreamThatNginxRefusesChangesNothing(t *testing.T) {
	p := newProcess(t)
	a, b := balancertest.NewBackend(t, "a"), balancertest.NewBackend(t, "b")
	if err := p.driver.Activate(t.Context(), "web", a.Member); err != nil {
		t.Fatal(err)
	}
	pool := p.driver.pools["web"]
	pool.Server = "max_fails=many"
	p.driver.pools["web"] = pool
	if err := p.driver.Activate(t.Context(), "web", b.Member); err == nil || !strings.Contains(err.Error(), "max_fails=many") {
		t.Fatalf("Activate: %v", err)
	}
	pool.Server = ""
	p.driver.pools["web"] = pool
	members, err := p.driver.Members(t.Context(), "web")
	if err != nil || members["a"] != balancer.Up || members["b"] != "" {
		t.Errorf("members %v, %v", members, err)
	}
	resp, err := http.Get("http://" + p.address)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	for name, c := range map[string]Config{
		"pools is missing":    {},
		"letters, digits":     {Pools: map[string]PoolConfig{"a b": {}}},
		"line of an upstream": {Pools: map[string]PoolConfig{"a": {Options: []string{"least_conn; } http {"}}}},
		"does not begin with": {Pools: map[string]PoolConfig{"a": {Health: Health{Path: "health"}}}},
		"is no absolute path": {Dir: "brine.d", Pools: map[string]PoolConfig{"a": {}}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: error %v, want %q", c, err, name)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(upstream{{"web1", "10.0.0.1:80", true}, {"web2", "[::1]:80", false}}.format("shop", PoolConfig{Server: "weight=2"}))
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(u.format("shop", PoolConfig{}))
		if err != nil || len(again) != len(u) {
			t.Errorf("%q becomes %v, then %v (%v)", text, u, again, err)
		}
	})
}
