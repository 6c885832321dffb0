package prometheus_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/returners/prometheus"
)

func TestPageShowsWhatHappened(t *testing.T) {
	m, err := prometheus.New(prometheus.Config{})
	if err != nil {
		t.Fatal(err)
	}
	m.Gauge("brine_minions_connected", "Minions that are connected now.", func() float64 { return 3 })
	m.Counter("brine_sent_total", "Sent.", func() float64 { return 4 }, "returner", "a")
	m.Counter("brine_sent_total", "Sent.", func() float64 { return 5 }, "returner", "b")
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	event := func(event fleet.LifecycleEvent, outcome fleet.EventOutcome) *fleet.EventResult {
		return &fleet.EventResult{Event: event, Outcome: outcome, Started: noon, Ended: noon.Add(2 * time.Second)}
	}
	records := []fleet.Record{
		{Kind: fleet.DeploymentChanged, Deployment: "d0", Status: fleet.DeployFailed, Time: noon}, // began before the start
		{Kind: fleet.DeploymentChanged, Deployment: "d1", Status: fleet.Queued, Time: noon},
		{Kind: fleet.DeploymentChanged, Deployment: "d1", Status: fleet.Running, Time: noon.Add(time.Second)},
		{Kind: fleet.MinionChanged, Deployment: "d1", Phase: fleet.Draining},
		{Kind: fleet.MinionEvent, Deployment: "d1", Event: event(fleet.Install, fleet.EventRunning)},
		{Kind: fleet.MinionEvent, Deployment: "d1", Event: event(fleet.Install, fleet.EventSucceeded)},
		{Kind: fleet.MinionEvent, Deployment: "d1", Event: event("Made up", "as well")},
		{Kind: fleet.JobReturned, Deployment: "d1", Return: &fleet.Return{Outcome: fleet.Failed}},
		{Kind: fleet.MinionChanged, Deployment: "d1", Phase: fleet.Active},
		{Kind: fleet.DeploymentChanged, Deployment: "d1", Status: fleet.DeploySucceeded, Time: noon.Add(5 * time.Second)},
		{Kind: fleet.KeyChanged, Key: fleet.KeyAccepted},
		{Kind: fleet.KeyChanged, Message: "made token"},
	}
	for i := range records {
		records[i].App, records[i].Group = "shop", "production"
	}
	if err := m.Deliver(t.Context(), records); err != nil {
		t.Fatal(err)
	}
	page := get(t, m)
	for _, want := range []string{
		`brine_deployments_total{app="shop",group="production",status="failed"} 1`,
		`brine_deployments_total{app="shop",group="production",status="succeeded"} 1`,
		`brine_deployment_duration_seconds_sum{app="shop",group="production"} 5`,
		`brine_deployment_duration_seconds_count{app="shop",group="production"} 1`,
		`brine_deployment_minions_total{app="shop",group="production",phase="active"} 1`,
		`brine_events_total{app="shop",event="Install",group="production",outcome="succeeded"} 1`,
		`brine_events_total{app="shop",event="other",group="production",outcome="other"} 1`,
		`brine_event_duration_seconds_sum{app="shop",event="Install",group="production"} 2`,
		`brine_job_returns_total{outcome="failed"} 1`,
		`brine_key_changes_total{state="accepted"} 1`,
		`brine_minions_connected 3`,
		`brine_sent_total{returner="a"} 4`,
		`brine_sent_total{returner="b"} 5`,
		`go_goroutines `,
		`process_open_fds `,
	} {
		if !strings.Contains(page, "\n"+want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(page, "draining") || strings.Contains(page, "running\"") || strings.Contains(page, "Made up") {
		t.Errorf("too much in %s", page)
	}
}

func get(t *testing.T, m *prometheus.Metrics) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("GET "+m.Path(), m)
	server := httptest.NewServer(mux)
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
