package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// front is a load balancer that a deployment is measured behind.
type front struct {
	name    string
	section string // of master.yml
	address string
	stop    func()
}

// startFront starts a load balancer in dir whose pool shop has the members, by name. The embedded one starts with the master.
func startFront(name, dir string, members map[string]string) (front, error) {
	ports, err := freePorts(1)
	if err != nil {
		return front{}, err
	}
	f := front{name: name, address: ports[0], stop: func() {}}
	switch name {
	case "haproxy":
		return f, f.haproxy(dir, members)
	case "nginx":
		return f, f.nginx(dir)
	default:
		f.section = fmt.Sprintf("{type: proxy, pools: {shop: {listen: %q, health: {interval: 100ms}}}}", f.address)
		return f, nil
	}
}

func (f *front) haproxy(dir string, members map[string]string) error {
	socket := filepath.Join(dir, "haproxy.sock")
	var servers strings.Builder
	for name, address := range members {
		fmt.Fprintf(&servers, "    server %s %s\n", name, address)
	}
	text := fmt.Sprintf(`global
    stats socket %s mode 600 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch
frontend web
    bind %s
    default_backend shop
backend shop
    option httpchk GET /
    default-server check inter 100ms rise 2 fall 2
%s`, socket, f.address, &servers)
	f.section = fmt.Sprintf("{type: haproxy, socket: %s}", socket)
	return f.run("unix", socket, dir, text, func(config string) *exec.Cmd { return exec.Command("haproxy", "-db", "-f", config) })
}

func (f *front) nginx(dir string) error {
	user := ""
	if os.Getuid() == 0 {
		user = "user root;"
	}
	text := fmt.Sprintf(`%s daemon off; worker_processes 2; pid %[2]s/nginx.pid; error_log stderr warn;
events { worker_connections 512; }
http {
	access_log off; client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/f; uwsgi_temp_path %[2]s/u; scgi_temp_path %[2]s/s;
	include %[2]s/brine.d/*.conf;
	server { listen %[3]s; location / { proxy_pass http://shop; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_next_upstream error timeout; } }
}
`, user, dir, f.address)
	if err := os.MkdirAll(filepath.Join(dir, "brine.d"), 0o755); err != nil {
		return fmt.Errorf("make directory of upstreams: %w", err)
	}
	config := filepath.Join(dir, "nginx.cfg")
	empty := filepath.Join(dir, "brine.d", "shop.conf") // until brine writes it
	if err := os.WriteFile(empty, []byte("upstream shop { server 127.0.0.1:9 down; }\n"), 0o600); err != nil {
		return fmt.Errorf("write upstream: %w", err)
	}
	f.section = fmt.Sprintf("{type: nginx, dir: %[1]s/brine.d, config: %[2]s, pid: %[1]s/nginx.pid, pools: {shop: {options: [keepalive 8]}}}", dir, config)
	return f.run("tcp", f.address, dir, text, func(string) *exec.Cmd { return exec.Command("nginx", "-c", config) })
}

// run starts the program with its configuration, and waits until it listens.
func (f *front) run(network, address, dir, text string, command func(config string) *exec.Cmd) error {
	config := filepath.Join(dir, f.name+".cfg")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write configuration of %s: %w", f.name, err)
	}
	cmd := command(config)
	log, err := os.Create(filepath.Join(dir, f.name+".log"))
	if err != nil {
		return fmt.Errorf("make log of %s: %w", f.name, err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", f.name, err)
	}
	f.stop = func() {
		cmd.Process.Signal(os.Interrupt) //nolint:errcheck // it may have ended; its workers go with it
		cmd.Wait()                       //nolint:errcheck // it was told to end
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(log.Name()) //nolint:errcheck // it is a help
			return fmt.Errorf("%s does not listen: %w: %s", f.name, err, text)
		}
	}
}
