// Command webapp is the service that tests deploy: it says which revision it is, and is well unless told otherwise.
// "webapp check" waits until the service at the release's port says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// main runs in a release: the file version names the revision, a file broken makes it unwell, the file port is shared.
func main() {
	version, err := os.ReadFile("version")
	if err != nil {
		fail(err)
	}
	port, err := os.ReadFile("port")
	if err != nil {
		fail(err)
	}
	if len(os.Args) > 1 {
		check("http://127.0.0.1:"+strings.TrimSpace(string(port))+"/", strings.TrimSpace(string(version)))
		return
	}
	_, missing := os.Stat("broken")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		if missing == nil {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "%s\n", strings.TrimSpace(string(version)))
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(time.Second)
		fmt.Fprintf(w, "%s\n", strings.TrimSpace(string(version)))
	})
	srv := &http.Server{Addr: "127.0.0.1:" + strings.TrimSpace(string(port)), Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	finished := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(finished)
		bounded, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if srv.Shutdown(bounded) != nil { // it waits for connections that were opened in advance
			_ = srv.Close()
		}
	})
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fail(err)
	}
	<-finished
}

// check waits for ten seconds at most.
func check(url, version string) {
	var last string
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(url) //nolint:gosec,noctx // a test's own service
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close() // it was only read
		if last = strings.TrimSpace(string(body)); err == nil && last == version {
			return
		}
	}
	fail(fmt.Errorf("%s says %q, not %q", url, last, version))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "webapp:", err)
	os.Exit(1)
}
