package fleettest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// HAProxy is a real one, with a backend shop.
type HAProxy struct {
	Socket string // of its runtime API
	URL    string
}

// sample is what users are given; the test's own values go into it.
const sample = "../../../etc/haproxy.cfg"

// StartHAProxy starts it with the sample of etc/, whose servers are the minions.
func StartHAProxy(t testing.TB, minions []string, ports map[string]string) *HAProxy {
	t.Helper()
	program := Needs(t, "haproxy", "Debian package haproxy")
	dir, err := os.MkdirTemp("", "hap-") // a short path: the socket is in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) //nolint:errcheck // a leftover in the temporary directory
	front, err := FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	h := &HAProxy{Socket: filepath.Join(dir, "admin.sock"), URL: "http://127.0.0.1:" + front[0]}
	before, _, found := strings.Cut(string(text), "    server web1")
	if !found {
		t.Fatalf("%s has no servers any more", sample)
	}
	var cfg strings.Builder
	cfg.WriteString(strings.NewReplacer(
		"/run/haproxy/admin.sock", h.Socket, "/var/lib/haproxy/server-state", filepath.Join(dir, "server-state"),
		"bind :8000", "bind 127.0.0.1:"+front[0], "inter 1s", "inter 100ms",
	).Replace(before))
	for _, id := range minions {
		fmt.Fprintf(&cfg, "    server %s 127.0.0.1:%s\n", id, ports[id])
	}
	path := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(path, []byte(cfg.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(program, "-db", "-f", path)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy:\n%s", &out)
		}
	})
	AwaitListener(t, "unix", h.Socket)
	return h
}

// AwaitListener waits until somebody listens.
func AwaitListener(t testing.TB, network, address string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			_ = conn.Close() // it only asked
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
