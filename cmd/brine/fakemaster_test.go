package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeMaster answers on a real Unix socket with what files say. GET /v1/status is answered by the file GET_v1_status, its
// second request by GET_v1_status.2 if that is there, and so on. Lines of a file that begin with # are stage directions:
//
//	#status 409   the HTTP status
//	#hang         wait until the client goes away
//	#drop         break the connection off
type fakeMaster struct {
	dir    string
	server *http.Server

	mu       sync.Mutex
	calls    map[string]int // guarded by mu
	requests []string       // guarded by mu: "POST /v1/plan?x=y {...}"
	served   sync.WaitGroup
}

func startMaster(dir, socket string) (*fakeMaster, error) {
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	m := &fakeMaster{dir: dir, calls: map[string]int{}}
	m.server = &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	m.served.Go(func() { _ = m.server.Serve(l) })
	return m, nil
}

func (m *fakeMaster) stop() {
	_ = m.server.Close()
	m.served.Wait()
}

func (m *fakeMaster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	script, err := m.script(r, body)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprintf(w, `{"message":"nothing staged for %s %s","exit":1}`, r.Method, r.URL.Path)
		return
	}
	for line := range strings.Lines(script) {
		direction, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch direction {
		case "#status":
			code, _ := strconv.Atoi(arg)
			w.WriteHeader(code)
		case "#hang":
			<-r.Context().Done()
		case "#drop":
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.WriteString(w, line)
			w.(http.Flusher).Flush()
		}
	}
}

func (m *fakeMaster) script(r *http.Request, body []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(bytes.TrimSpace(body))))
	name := r.Method + strings.ReplaceAll(r.URL.Path, "/", "_")
	m.calls[name]++
	script, err := os.ReadFile(filepath.Join(m.dir, fmt.Sprintf("%s.%d", name, m.calls[name])))
	if err != nil {
		script, err = os.ReadFile(filepath.Join(m.dir, name))
	}
	return string(script), err
}

// seen reports whether a request contained text.
func (m *fakeMaster) seen(text string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Contains(strings.Join(m.requests, "\n"), text)
}

// eventually waits for a condition.
func eventually(what string, condition func() bool) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return nil
		}
	}
	return fmt.Errorf("it never happened: %s", what)
}

// stage starts a fake master for files and tells brine where it is.
func stage(t *testing.T, files map[string]string) (m *fakeMaster, socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "brine") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	socket = filepath.Join(dir, "s")
	if m, err = startMaster(dir, socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.stop)
	t.Setenv("BRINE_SOCKET", socket)
	t.Setenv("NO_COLOR", "1")
	return m, socket
}
