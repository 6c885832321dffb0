package haproxy

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"github.com/brine-deploy/brine/master/balancer"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/registry"
)

// Config is the section of a balancer of type haproxy.
type Config struct {
	// Socket is HAProxy's admin socket: an absolute path or host:port.
	Socket string `yaml:"socket"`

	// Sockets are several of them, for several processes or machines with the same backends. A member is in when all
	// let it in and out when all let it out.
	Sockets []string `yaml:"sockets"`

	// Timeout is for one command and its answer; 5 s when zero.
	Timeout fleet.Duration `yaml:"timeout"`

	// ServerOptions are for servers that HAProxy's configuration does not have and that are added while it runs:
	// keywords of a server line, without default-server's; "check" when empty. Without "check" among them, and for any
	// server of the configuration without it, HAProxy cannot tell health, and each member counts as healthy.
	ServerOptions string `yaml:"server_options"`
}

// Plugin is this driver's line in the list of balancers.
func Plugin() registry.Plugin[balancer.Balancer] {
	return registry.Plugin[balancer.Balancer]{
		Name: "haproxy",
		Help: "HAProxy 2.6 or later, over its runtime API",
		New: func(s registry.Section, _ *slog.Logger) (balancer.Balancer, error) {
			var c Config
			if err := s.Decode(&c); err != nil {
				return nil, err
			}
			return New(c)
		},
	}
}

// New makes the driver. It does not connect.
func New(c Config) (*HAProxy, error) {
	paths := c.Sockets
	if c.Socket != "" {
		paths = append([]string{c.Socket}, paths...)
	}
	if len(paths) == 0 {
		return nil, errors.New("socket is missing: the path of HAProxy's admin socket, such as /run/haproxy/admin.sock")
	}
	h := &HAProxy{options: strings.Fields(cmp.Or(c.ServerOptions, "check"))}
	for _, option := range h.options {
		if !optionWord.MatchString(option) {
			return nil, fmt.Errorf("server_options: %q cannot be a word of a server line", option)
		}
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") && !strings.Contains(path, ":") {
			return nil, fmt.Errorf("socket %q is neither an absolute path nor host:port", path)
		}
		h.sockets = append(h.sockets, newSocket(path, c.Timeout.Or(5*time.Second)))
	}
	return h, nil
}

// What may go into a command: HAProxy's own rule for names, and words that cannot end a command or begin a payload.
var (
	nameWord   = regexp.MustCompile(`^[A-Za-z0-9_.:-]+$`)
	optionWord = regexp.MustCompile(`^[A-Za-z0-9_.:/=,@%+()-]+$`)
)

// checkNames checks a pool's name and a member's.
func checkNames(names ...string) error {
	for i, name := range names {
		if !nameWord.MatchString(name) {
			return fmt.Errorf("%s %q: HAProxy's names have letters, digits and . : _ - only", []string{"pool", "member"}[i], name)
		}
	}
	return nil
}
