package nginx

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

// Config is the section of a balancer of type nginx.
type Config struct {
	Dir    string                `yaml:"dir"`    // of the upstreams' files, which nginx.conf includes; /etc/nginx/brine.d when empty
	Binary string                `yaml:"binary"` // "nginx" when empty
	Config string                `yaml:"config"` // nginx.conf; the binary's own when empty
	PID    string                `yaml:"pid"`    // file; /run/nginx.pid when empty
	Pools  map[string]PoolConfig `yaml:"pools"`
}

// PoolConfig is one upstream.
type PoolConfig struct {
	Options []string `yaml:"options"` // lines of the upstream block, without the semicolon: "least_conn", "keepalive 16"
	Server  string   `yaml:"server"`  // parameters of every server line: "max_fails=2 fail_timeout=5s"
	Health  Health   `yaml:"health"`
}

// Health says when a member is well, which nginx itself does not look for: GET http://address/path gives a status from 200
// to 399. Without a path it is enough that it accepts a connection.
type Health struct {
	Path     string         `yaml:"path"`
	Interval fleet.Duration `yaml:"interval"` // 100 ms when zero
	Timeout  fleet.Duration `yaml:"timeout"`  // for one check; 1 s when zero
	Rise     int            `yaml:"rise"`     // checks in a row that must pass; 2 when zero
}

// Plugin is this driver's line in the list of balancers.
func Plugin() registry.Plugin[balancer.Balancer] {
	return registry.Plugin[balancer.Balancer]{
		Name: "nginx",
		Help: "nginx on the master's host, by an included file and reloads",
		New: func(s registry.Section, _ *slog.Logger) (balancer.Balancer, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c)
		},
	}
}

// What may stand in a file of nginx without ending a line of it.
var (
	poolWord   = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	memberWord = regexp.MustCompile(`^[A-Za-z0-9_.:@-]+$`)
	line       = regexp.MustCompile(`^[A-Za-z0-9_$."':/=,@%+() -]+$`)
)

// New makes the driver. It touches nothing yet.
func New(c Config) (*Nginx, error) {
	if len(c.Pools) == 0 {
		return nil, errors.New("pools is missing: the upstreams, by name")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Pools)) {
		p := c.Pools[name]
		if !poolWord.MatchString(name) {
			return nil, fmt.Errorf("pool %q: letters, digits and . _ - are wanted", name)
		}
		for _, text := range append(slices.Clone(p.Options), p.Server) {
			if text != "" && !line.MatchString(text) {
				return nil, fmt.Errorf("pool %s: %q cannot be a line of an upstream; no semicolon or brace is needed", name, text)
			}
		}
		if p.Health.Path != "" && !strings.HasPrefix(p.Health.Path, "/") {
			return nil, fmt.Errorf("pool %s: health.path %q does not begin with /", name, p.Health.Path)
		}
	}
	n := &Nginx{
		pools: c.Pools, dir: cmp.Or(c.Dir, "/etc/nginx/brine.d"),
		server: server{binary: cmp.Or(c.Binary, "nginx"), config: c.Config, pidFile: cmp.Or(c.PID, "/run/nginx.pid")},
		turn:   make(chan struct{}, 1), mu: new(sync.Mutex),
		check: &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true, Proxy: nil},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if !filepath.IsAbs(n.dir) {
		return nil, fmt.Errorf("dir %q is no absolute path", n.dir)
	}
	return n, nil
}

// file is where a pool's upstream is.
func (n *Nginx) file(pool string) string { return filepath.Join(n.dir, pool+".conf") }

func (n *Nginx) read(pool string) (upstream, error) {
	text, err := os.ReadFile(n.file(pool))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w; brine alone writes this file", n.file(pool), err)
	}
	return u, nil
}

func (h Health) pause() time.Duration { return h.Interval.Or(100 * time.Millisecond) }
func (h Health) limit() time.Duration { return h.Timeout.Or(time.Second) }
