package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// exitReverted is brine's exit code for: failed, and the revision before serves again.
const exitReverted = 4

//go:embed shop
var shop embed.FS

// stage is where the demo plays: a directory, some ports, some processes.
type stage struct {
	bin, dir  string
	bus, http string
	front     string // where the embedded load balancer listens
	token     string
	masterKey string
	procs     []*exec.Cmd
}

func say(line string) { fmt.Printf("\n== %s\n", line) }

// build makes the directory with the git repository and the master's configuration.
func build(ctx context.Context, bin string) (*stage, error) {
	dir, err := os.MkdirTemp("", "brine-demo-")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	s := &stage{bin: bin, dir: dir, bus: ports[0], http: ports[1], front: ports[2]}
	if err := s.repository(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	files := map[string]string{
		"master.yml": fmt.Sprintf(`state_dir: %[1]s/master
apps: %[1]s/apps.d
bus: {listen: "127.0.0.1:%[2]s"}
http: {listen: "127.0.0.1:%[3]s"}
api: {socket: %[1]s/api.sock, mode: "0600"}
log: {level: info}
balancers:
  front:
    type: proxy
    pools:
      shop:
        listen: "127.0.0.1:%[4]s"
        health: {path: /health, interval: 200ms, timeout: 1s, rise: 2, fall: 2}
returners:
  log: {type: file, path: %[1]s/records.jsonl}
  metrics: {type: prometheus}
`, s.dir, s.bus, s.http, s.front),
		"apps.d/shop.yml": fmt.Sprintf(`name: shop
source: {type: git, url: "file://%[1]s/shop.git", ref: v1}
build:
  steps:
    - run: . ./release.env && go build -ldflags "-X main.version=$VERSION -X main.broken=$BROKEN" -o shop .
  exclude: ["*.go", go.mod, release.env]
groups:
  production:
    target: "T@role:web"
    root: %[1]s/{id}/shop
    shared: [port, run/]
    strategy: {batch: 1, min_healthy: 2}
    balancer: {use: front, pool: shop, address: "127.0.0.1:{tags.port}"}
`, s.dir),
	}
	for name, text := range files {
		if err := s.write(name, text); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

func (s *stage) write(name, text string) error {
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if strings.HasSuffix(name, ".sh") {
		mode = 0o755
	}
	return os.WriteFile(path, []byte(text), mode)
}

// repository makes three commits of the service, tagged v1 to v3.
func (s *stage) repository(ctx context.Context) error {
	err := fs.WalkDir(shop, "shop", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := shop.ReadFile(path)
		if err != nil {
			return err
		}
		return s.write("shop.git/"+strings.TrimSuffix(strings.TrimPrefix(path, "shop/"), ".txt"), string(text))
	})
	if err != nil {
		return err
	}
	if err := s.write("shop.git/go.mod", "module example.com/shop\n\ngo 1.26\n"); err != nil {
		return err
	}
	if err := s.git(ctx, "init", "--quiet", "--initial-branch=main"); err != nil {
		return err
	}
	for _, r := range []struct{ tag, env, subject string }{
		{"v1", "VERSION=v1\nBROKEN=\n", "Open the shop"},
		{"v2", "VERSION=v2\nBROKEN=\n", "Paint the shop"},
		{"v3", "VERSION=v3\nBROKEN=yes\n", "Rewrite the shop on a Friday"},
	} {
		if err := s.write("shop.git/release.env", r.env); err != nil {
			return err
		}
		for _, args := range [][]string{{"add", "--all"}, {"commit", "--quiet", "--message", r.subject}, {"tag", r.tag}} {
			if err := s.git(ctx, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "user.name=Demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Dir = filepath.Join(s.dir, "shop.git")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// start brings up the master and the first three minions.
func (s *stage) start(ctx context.Context) error {
	if err := s.spawn("master", "brine-master", "--config", filepath.Join(s.dir, "master.yml")); err != nil {
		return err
	}
	if err := s.until(ctx, "the master answers", func() bool { _, err := s.ask(ctx, "status"); return err == nil }); err != nil {
		return err
	}
	var info struct {
		MasterKey string `json:"master_key"`
	}
	if err := s.askJSON(ctx, &info, "keys", "fingerprint"); err != nil {
		return err
	}
	var token struct {
		Token string `json:"token"`
	}
	if err := s.askJSON(ctx, &token, "keys", "token", "--ttl", "10m", "--uses", "4"); err != nil {
		return err
	}
	s.masterKey, s.token = info.MasterKey, token.Token
	for _, id := range []string{"web1", "web2", "web3"} {
		if err := s.minion(id); err != nil {
			return err
		}
	}
	if err := s.until(ctx, "three minions are connected", func() bool { return s.connected(ctx) == 3 }); err != nil {
		return err
	}
	return s.brine(ctx, 0, "keys", "list")
}

// minion starts a minion with a root and a port of its own.
func (s *stage) minion(id string) error {
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	if err := s.write(id+"/shop/shared/port", ports[0]+"\n"); err != nil {
		return err
	}
	err = s.write(id+"/minion.yml", fmt.Sprintf("id: %s\nmaster: 127.0.0.1:%s\nmaster_key: %s\ntoken: %s\nstate_dir: %s\nstartup: highstate\ntags: {role: web, port: %q}\n",
		id, s.bus, s.masterKey, s.token, filepath.Join(s.dir, id, "state"), ports[0]))
	if err != nil {
		return err
	}
	return s.spawn(id, "brine-minion", "--config", filepath.Join(s.dir, id, "minion.yml"))
}

func (s *stage) spawn(name, program string, args ...string) error {
	log, err := os.Create(filepath.Join(s.dir, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	cmd := exec.Command(filepath.Join(s.bin, program), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which stops the others
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	s.procs = append(s.procs, cmd)
	return nil
}

func (s *stage) deploy(ctx context.Context, ref string, exit int) error {
	return s.brine(ctx, exit, "deploy", "shop", "production", "--ref", ref, "--yes")
}

func (s *stage) newcomer(ctx context.Context) error {
	if err := s.minion("web4"); err != nil {
		return err
	}
	return s.until(ctx, "web4 is in the pool", func() bool {
		return s.pool(ctx)["web4"] == "up"
	})
}

// close stops everything, the services that hooks started too, and removes the directory.
func (s *stage) close() error {
	for _, cmd := range s.procs {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, cmd := range s.procs {
		_ = cmd.Wait() // that it was told to stop is no error
	}
	pids, err := filepath.Glob(filepath.Join(s.dir, "*/shop/shared/run/pid"))
	for _, file := range pids {
		text, rerr := os.ReadFile(file)
		if pid, perr := strconv.Atoi(strings.TrimSpace(string(text))); rerr == nil && perr == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() //nolint:errcheck // it only reserved the port
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports, nil
}

func (s *stage) until(ctx context.Context, what string, done func() bool) error {
	limit, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.Done():
			return fmt.Errorf("waited in vain until %s; see the logs in %s", what, s.dir)
		}
	}
	fmt.Println("  " + what)
	return nil
}
