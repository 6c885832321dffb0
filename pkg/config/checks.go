package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/yaml"
)

func notEmpty(s string) error {
	if s == "" {
		return errors.New("it must not be empty")
	}
	return nil
}

func validName(s string) error {
	if !fleet.ValidName(s) {
		return fmt.Errorf("%q is not a name: 1 to 128 letters, digits, dots, dashes and underscores, the first a letter or digit", s)
	}
	return nil
}

func oneOf(known ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(known, s) {
			return nil
		}
		if near := yaml.Nearest(s, known); near != "" {
			return fmt.Errorf("%q is unknown; did you mean %q?", s, near)
		}
		return fmt.Errorf("%q is unknown; known: %s", s, cmp.Or(strings.Join(known, ", "), "none"))
	}
}

// address wants host:port. A listener may leave the host out and may use port 0.
func address(listen bool) func(string) error {
	return func(s string) error {
		host, port, err := net.SplitHostPort(s)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || !listen && (host == "" || n == 0) {
			return fmt.Errorf("%q is not host:port", s)
		}
		return nil
	}
}

func baseURL(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%q is not a URL such as http://master.example.com:4511", s)
	}
	return nil
}

func fileMode(s string) error {
	if _, err := strconv.ParseUint(s, 8, 9); err != nil {
		return fmt.Errorf("%q is not an octal file mode such as 0660", s)
	}
	return nil
}

func orEmpty(check func(string) error) func(string) error {
	return func(s string) error {
		if s == "" {
			return nil
		}
		return check(s)
	}
}

func positive(s string) error {
	if d, err := time.ParseDuration(s); err != nil || d < time.Second {
		return fmt.Errorf("%q is not a duration of at least 1s, such as 5m", s)
	}
	return nil
}
