package prometheus

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// counts is what is known of the log. Labels name no minions or people, and no word of a minion's own choice, so the
// configuration bounds the number of series.
type counts struct {
	deployments, minions, events, returns, keys *prometheus.CounterVec
	durations, eventDurations                   *prometheus.HistogramVec

	began map[fleet.DeploymentID]time.Time // of those that have not ended
}

func newCounts(r prometheus.Registerer) *counts {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	histogram := func(name, help string, first, factor float64, labels ...string) *prometheus.HistogramVec {
		buckets := prometheus.ExponentialBuckets(first, factor, 12)
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	return &counts{
		began:       map[fleet.DeploymentID]time.Time{},
		deployments: counter("brine_deployments_total", "Deployments that ended, by status.", "app", "group", "status"),
		durations: histogram("brine_deployment_duration_seconds", "Time from a deployment's begin to its end.",
			1, 2, "app", "group"), // 1 s to 34 min
		minions: counter("brine_deployment_minions_total", "Minions that a deployment is done with, by phase.",
			"app", "group", "phase"),
		events: counter("brine_events_total", "Lifecycle events on minions that ended, by outcome.",
			"app", "group", "event", "outcome"),
		eventDurations: histogram("brine_event_duration_seconds", "Time that lifecycle events on minions took.",
			0.01, 3, "app", "group", "event"), // 10 ms to 29 min
		returns: counter("brine_job_returns_total", "Returns of jobs, by outcome.", "outcome"),
		keys:    counter("brine_key_changes_total", "Keys that got into a state.", "state"),
	}
}

func (c *counts) add(r fleet.Record) {
	app, group := string(r.App), string(r.Group)
	switch {
	case r.Kind == fleet.DeploymentChanged:
		c.deployment(r)
	case r.Kind == fleet.MinionChanged && isEnd(r.Phase):
		c.minions.WithLabelValues(app, group, string(r.Phase)).Inc()
	case r.Kind == fleet.MinionEvent && r.Event != nil && r.Event.Outcome != fleet.EventRunning:
		event := known(r.Event.Event, fleet.Lifecycle()...)
		outcome := known(r.Event.Outcome, fleet.EventSucceeded, fleet.EventFailed)
		c.events.WithLabelValues(app, group, event, outcome).Inc()
		c.eventDurations.WithLabelValues(app, group, event).Observe(r.Event.Ended.Sub(r.Event.Started).Seconds())
	case r.Kind == fleet.JobReturned && r.Return != nil:
		outcome := known(r.Return.Outcome, fleet.Succeeded, fleet.Failed, fleet.Refused, fleet.Interrupted, fleet.Killed, fleet.Expired)
		c.returns.WithLabelValues(outcome).Inc()
	case r.Kind == fleet.KeyChanged && r.Key != "":
		c.keys.WithLabelValues(string(r.Key)).Inc()
	}
}

// deployment counts an end, and measures it when the beginning was seen too.
func (c *counts) deployment(r fleet.Record) {
	began, seen := c.began[r.Deployment]
	if !r.Status.Ended() {
		if !seen {
			c.began[r.Deployment] = r.Time
		}
		return
	}
	delete(c.began, r.Deployment)
	c.deployments.WithLabelValues(string(r.App), string(r.Group), string(r.Status)).Inc()
	if seen {
		c.durations.WithLabelValues(string(r.App), string(r.Group)).Observe(r.Time.Sub(began).Seconds())
	}
}

// known is a minion's word, if it is one of these.
func known[T ~string](word T, words ...T) string {
	if slices.Contains(words, word) {
		return string(word)
	}
	return "other"
}

func isEnd(p fleet.Phase) bool {
	switch p {
	case fleet.Active, fleet.Skipped, fleet.MinionFailed, fleet.MinionReverted:
		return true
	default:
		return false
	}
}
