package gate_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/brine-deploy/brine/master/gate"
	"github.com/brine-deploy/brine/master/rollout"
	"github.com/brine-deploy/brine/pkg/fleet"
)

var web1 = fleet.Minion{ID: "web1", Grains: fleet.Grains{"ip": "127.0.0.1"}}

const quick = fleet.Duration(10 * time.Millisecond)

// answers serves the given statuses, the last one for ever.
func answers(t *testing.T, statuses ...int) *httptest.Server {
	var n atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i := int(n.Add(1)) - 1
		w.WriteHeader(statuses[min(i, len(statuses)-1)])
	}))
	t.Cleanup(s.Close)
	return s
}

func TestACheckPassesAfterSuccessesInARow(t *testing.T) {
	s := answers(t, 503, 200, 500, 200, 200, 200)
	check := fleet.HealthCheck{HTTP: s.URL + "/{id}", Successes: 3, Interval: quick, Timeout: fleet.Duration(10 * time.Second)}
	if err := gate.New().Check(t.Context(), check, web1); err != nil {
		t.Fatal(err)
	}
}

func TestACheckThatNeverPassesSaysWhatItSaw(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	for _, tt := range []struct {
		name  string
		check fleet.HealthCheck
		want  string
	}{
		{"http", fleet.HealthCheck{HTTP: answers(t, 503).URL}, "503 Service Unavailable"},
		{"tcp", fleet.HealthCheck{TCP: l.Addr().String()}, "connection refused"},
		{"script", fleet.HealthCheck{Script: []string{"sh", "-c", "echo {id} is sad; exit 3"}}, "exit status 3: web1 is sad"},
		{"unknown grain", fleet.HealthCheck{TCP: "{grains.zone}:80"}, "no value for {grains.zone}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.check.Interval, tt.check.Timeout = quick, fleet.Duration(300*time.Millisecond)
			if err := gate.New().Check(t.Context(), tt.check, web1); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAScriptsTimeIsBounded(t *testing.T) {
	began := time.Now()
	check := fleet.HealthCheck{Script: []string{"sh", "-c", "cat /dev/zero & sleep 60"}, Timeout: fleet.Duration(100 * time.Millisecond)}
	if err := gate.New().Check(t.Context(), check, web1); err == nil || time.Since(began) > 20*time.Second {
		t.Errorf("error %v after %s", err, time.Since(began))
	}
}

func TestAnAlarmWithoutDataIsInconclusive(t *testing.T) {
	above := 0.5
	prometheus := func(body string) fleet.Alarm {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/query" || r.URL.Query().Get("query") != "errors" {
				http.NotFound(w, r)
			}
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return fleet.Alarm{Name: "errors", Prometheus: s.URL, Query: "errors", Above: &above}
	}
	vector := func(value string) string {
		return `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1.5,"0"]},{"metric":{},"value":[1.5,"` + value + `"]}]}}`
	}
	g := gate.New()
	g.CloudWatch = func(_ context.Context, _, name string) (string, string, error) {
		if name == "gone" {
			return "", "", errors.New("no such alarm")
		}
		return name, "because", nil
	}
	for _, tt := range []struct {
		name  string
		alarm fleet.Alarm
		want  rollout.AlarmState
	}{
		{"url quiet", fleet.Alarm{URL: answers(t, 204).URL}, rollout.Quiet},
		{"url sounds", fleet.Alarm{URL: answers(t, 503).URL}, rollout.Sounds},
		{"url unreachable", fleet.Alarm{URL: "http://127.0.0.1:1/"}, rollout.Unknown},
		{"value below", prometheus(vector("0.1")), rollout.Quiet},
		{"value above", prometheus(vector("0.9")), rollout.Sounds},
		{"scalar above", prometheus(`{"status":"success","data":{"resultType":"scalar","result":[1,"2"]}}`), rollout.Sounds},
		{"not a number", prometheus(vector("NaN")), rollout.Unknown},
		{"no series", prometheus(`{"status":"success","data":{"resultType":"vector","result":[]}}`), rollout.Unknown},
		{"query refused", prometheus(`{"status":"error","error":"parse error"}`), rollout.Unknown},
		{"no json", prometheus(`<html>`), rollout.Unknown},
		{"cloudwatch ok", fleet.Alarm{CloudWatch: "OK"}, rollout.Quiet},
		{"cloudwatch alarm", fleet.Alarm{CloudWatch: "ALARM"}, rollout.Sounds},
		{"cloudwatch no data", fleet.Alarm{CloudWatch: "INSUFFICIENT_DATA"}, rollout.Unknown},
		{"cloudwatch error", fleet.Alarm{CloudWatch: "gone"}, rollout.Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := g.Ask(t.Context(), tt.alarm); got.State != tt.want || got.State != rollout.Quiet && got.Detail == "" {
				t.Errorf("got %+v, want state %d", got, tt.want)
			}
		})
	}
}
