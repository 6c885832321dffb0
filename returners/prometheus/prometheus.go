// Package prometheus is the returner that counts, on the master's page /metrics.
package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
)

// Config is the returner's section.
type Config struct {
	Path string `yaml:"path"` // of the page; /metrics when empty
}

// Plugin is this returner's line in the list.
func Plugin() registry.Plugin[returners.Returner] {
	return registry.Plugin[returners.Returner]{
		Name: "prometheus",
		Help: "metrics on the master's own HTTP listener",
		New: func(s registry.Section, _ *slog.Logger) (returners.Returner, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c)
		},
	}
}

// Metrics counts records and shows the counts.
type Metrics struct {
	http.Handler

	path     string
	registry *prometheus.Registry
	counts   *counts
}

var (
	_ returners.Returner = (*Metrics)(nil)
	_ returners.Page     = (*Metrics)(nil)
	_ returners.Gauger   = (*Metrics)(nil)
)

// New makes the returner.
func New(c Config) (*Metrics, error) {
	path := cmp.Or(c.Path, "/metrics")
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{} ") {
		return nil, fmt.Errorf("path: %q is not the path of a page, such as /metrics", path)
	}
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Metrics{
		Handler: promhttp.HandlerFor(r, promhttp.HandlerOpts{Registry: r}), path: path, registry: r, counts: newCounts(r),
	}, nil
}

// Path is where the page is.
func (m *Metrics) Path() string { return m.path }

// Gauge adds a value to the page. A name that is taken or malformed is a mistake in the program, and it panics.
func (m *Metrics) Gauge(name, help string, value func() float64, labels ...string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: pairs(labels)}, value))
}

// Counter is Gauge for a value that only goes up.
func (m *Metrics) Counter(name, help string, value func() float64, labels ...string) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: pairs(labels)}, value))
}

func pairs(labels []string) prometheus.Labels {
	all := prometheus.Labels{}
	for pair := range slices.Chunk(labels, 2) {
		all[pair[0]] = pair[1]
	}
	return all
}

// Deliver counts the records. It never fails.
func (m *Metrics) Deliver(_ context.Context, records []fleet.Record) error {
	for _, r := range records {
		m.counts.add(r)
	}
	return nil
}
