package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

// Config is the section of a balancer of type proxy.
type Config struct {
	Pools map[string]PoolConfig `yaml:"pools"`

	// State is the file that remembers over a restart who is in; the master's own place for it when empty.
	State string `yaml:"state"`
}

// PoolConfig is one pool: a listener and how its members are checked.
type PoolConfig struct {
	Listen string `yaml:"listen"` // host:port
	Health Health `yaml:"health"`
}

// Health says when a member is well: GET http://address/path gives a status from 200 to 399. Without a path it is
// enough that it accepts a connection.
type Health struct {
	Path     string         `yaml:"path"`
	Interval fleet.Duration `yaml:"interval"` // between checks of a member that is in; 1 s when zero
	Timeout  fleet.Duration `yaml:"timeout"`  // for one check; 500 ms when zero
	Rise     int            `yaml:"rise"`     // checks in a row that must pass to get in; 2 when zero
	Fall     int            `yaml:"fall"`     // checks in a row that must fail to be down; 2 when zero
}

// newcomerInterval is for members that are being let in, so that a deployment does not wait for the usual pace.
const newcomerInterval = 100 * time.Millisecond

func (h Health) interval(newcomer bool) time.Duration {
	interval := h.Interval.Or(time.Second)
	if newcomer {
		return min(interval, newcomerInterval)
	}
	return interval
}

// Plugin is this driver's line in the list of balancers.
func Plugin() registry.Plugin[balancer.Balancer] {
	return registry.Plugin[balancer.Balancer]{
		Name: "proxy",
		Help: "HTTP reverse proxy inside the master, for trying out and small sites",
		New: func(s registry.Section, log *slog.Logger) (balancer.Balancer, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c, log)
		},
	}
}

// New makes a proxy with the members that its state file names. It listens and checks from Serve on.
func New(c Config, log *slog.Logger) (*Proxy, error) {
	if len(c.Pools) == 0 {
		return nil, errors.New("pools is empty: name at least one, with the address it listens on")
	}
	p := &Proxy{log: log, pools: make(map[string]*pool, len(c.Pools))}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		pc := c.Pools[name]
		if err := pc.validate(); err != nil {
			return nil, fmt.Errorf("pool %s: %w", name, err)
		}
		p.pools[name] = newPool(name, pc, log.With("pool", name))
	}
	if c.State != "" {
		return p, p.open(c.State)
	}
	return p, nil
}

func (c *PoolConfig) validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen: %q is not host:port, such as 127.0.0.1:8080", c.Listen)
	}
	h := &c.Health
	if h.Path != "" && !strings.HasPrefix(h.Path, "/") {
		return fmt.Errorf("health: path %q does not begin with /", h.Path)
	}
	if h.Rise < 0 || h.Fall < 0 {
		return errors.New("health: rise and fall are counts from 1 on")
	}
	if h.Rise == 0 {
		h.Rise = 2
	}
	if h.Fall == 0 {
		h.Fall = 2
	}
	return nil
}
