package http_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	states "github.com/brine-deploy/brine/states/http"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestAnAnswerIsHeldToItsStatusAndText(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); r.URL.Path == "/later" && n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.Header.Get("X-A")+" "+string(body))
	}))
	defer server.Close()
	host := statetest.Host(t, "")
	run := func(function, path string, args *data.Map, test bool) state.Result {
		return states.States()[function].Run(t.Context(), &state.Call{Name: server.URL + path, Args: args, Host: host, Test: test})
	}
	good := data.NewMap("method", "POST", "data", "body", "header_dict", data.NewMap("X-A", "1"), "match", "^POST 1 b", "match_type", "pcre", "status", int64(200))
	if res := run("query", "/", good, true); res.Verdict != state.Pending || asked.Load() != 0 {
		t.Errorf("with test=True: %+v, asked %d times", res, asked.Load())
	}
	if res := run("query", "/", good, false); res.Verdict != state.True {
		t.Errorf("got %+v", res)
	}
	if res := run("query", "/", data.NewMap("status", int64(404)), false); res.Verdict != state.False || !strings.Contains(res.Comment, "404") {
		t.Errorf("got %+v", res)
	}
	if res := run("query", "/", nil, false); res.Reason != "bad arguments" {
		t.Errorf("got %+v", res)
	}
	asked.Store(0)
	if res := run("wait_for_successful_query", "/later", data.NewMap("status", int64(200), "wait_for", int64(20)), false); res.Verdict != state.True {
		t.Errorf("got %+v", res)
	}
}
