package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/returners"
	"github.com/brine-deploy/brine/returners/webhook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "s3cret"

// receiver checks requests as the package comment tells receivers to.
type receiver struct {
	t *testing.T

	mu       sync.Mutex
	seqs     []uint64
	requests int
	got      chan struct{} // a sign for each request
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		r.t.Error(err)
	}
	stamp := req.Header.Get("X-Brine-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		r.t.Errorf("timestamp %q", stamp)
	}
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(stamp + "." + string(body)))
	if got := req.Header.Get("X-Brine-Signature"); got != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		r.t.Errorf("signature %q", got)
	}
	var message struct{ Records []fleet.Record }
	if err := json.Unmarshal(body, &message); err != nil || req.Method != http.MethodPost {
		r.t.Errorf("%s %s: %v", req.Method, body, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	for _, record := range message.Records {
		r.seqs = append(r.seqs, record.Seq)
	}
	w.WriteHeader(http.StatusNoContent)
	r.got <- struct{}{}
}

// log is a journal's log that has 500 records and gets no more.
type log struct{}

func (log) After(_ context.Context, seq uint64, limit int) (list []fleet.Record, err error) {
	for ; seq < 500 && len(list) < limit; seq++ {
		list = append(list, fleet.Record{Seq: seq + 1})
	}
	return list, nil
}
func (log) End(context.Context) (uint64, error)             { return 500, nil }
func (log) Changed() <-chan struct{}                        { return nil }
func (log) Cursor(context.Context, string) (uint64, error)  { return 0, nil }
func (log) SetCursor(context.Context, string, uint64) error { return nil }

func open(t *testing.T, url string) *webhook.Webhook {
	t.Helper()
	w, err := webhook.New(webhook.Config{URL: url, Secret: secret, Timeout: fleet.Duration(5 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func TestReceiverThatWasDownGetsEverythingInOrder(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil { // down: connections are refused
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	failed := make(chan struct{}, 1)
	pump := returners.Pump{Name: "hook", Log: log{}, Returner: open(t, "http://"+addr+"/hook"), Logger: slog.New(signal{failed})}
	done := make(chan error)
	go func() { done <- pump.Run(ctx) }()
	<-failed

	listener, err = net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{t: t, got: make(chan struct{}, 100)}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: r}}
	server.Start()
	defer server.Close()
	for range 3 { // 200 records, 200, 100
		select {
		case <-r.got:
		case <-ctx.Done():
			t.Fatal("nothing came")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, seq := range r.seqs {
		if seq != uint64(i)+1 {
			t.Fatalf("record %d at place %d", seq, i+1)
		}
	}
	if len(r.seqs) != 500 {
		t.Errorf("%d records", len(r.seqs))
	}
}

// signal is a log handler that tells of the first line.
type signal struct{ c chan<- struct{} }

func (signal) Enabled(context.Context, slog.Level) bool { return true }
func (s signal) WithAttrs([]slog.Attr) slog.Handler     { return s }
func (s signal) WithGroup(string) slog.Handler          { return s }
func (s signal) Handle(context.Context, slog.Record) error {
	select {
	case s.c <- struct{}{}:
	default:
	}
	return nil
}

func TestLargeRecordsComeInSeveralRequests(t *testing.T) {
	r := &receiver{t: t, got: make(chan struct{}, 100)}
	server := httptest.NewServer(r)
	defer server.Close()
	records := make([]fleet.Record, 10)
	for i := range records {
		records[i] = fleet.Record{Seq: uint64(i) + 1, Message: strings.Repeat("x", 200<<10)}
	}
	if err := open(t, server.URL).Deliver(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	if r.requests != 5 || len(r.seqs) != 10 || r.seqs[9] != 10 {
		t.Errorf("%d requests with %v", r.requests, r.seqs)
	}
}

func TestAnswersThatAPersonHasToMendAreRefusals(t *testing.T) {
	for status, want := range map[int]struct{ fails, refused bool }{
		200: {}, 202: {}, 301: {true, true}, 400: {true, true}, 401: {true, true}, 408: {true, false}, 413: {true, true},
		429: {true, false}, 500: {true, false}, 503: {true, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}))
		err := open(t, server.URL).Deliver(t.Context(), []fleet.Record{{Seq: 1}})
		if (err != nil) != want.fails || errors.Is(err, returners.ErrRefused) != want.refused {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	err := open(t, "http://user:pass@127.0.0.1:1/token").Deliver(t.Context(), []fleet.Record{{Seq: 1}})
	if err == nil || strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), "pass") {
		t.Errorf("error %v", err)
	}
}

func TestBadConfigurationIsRefused(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []webhook.Config{
		{},
		{URL: "ftp://host/", Secret: secret},
		{URL: "https://", Secret: secret},
		{URL: "https://host/"},
		{URL: "https://host/", Secret: secret, SecretFile: empty},
		{URL: "https://host/", SecretFile: empty},
		{URL: "https://host/", SecretFile: empty + "-absent"},
	} {
		if _, err := webhook.New(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}
