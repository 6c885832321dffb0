// Package sysctl sets parameters of the kernel, now and for later boots: Salt's sysctl states.
package sysctl

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family { return family{"/proc/sys", "/etc"}.states() }

type family struct{ proc, etc string }

func (f family) states() state.Family {
	return state.Family{
		"present": {
			Doc:    "Gives a parameter of the kernel a value, now and, in a file of sysctl.d (config), at later boots.",
			Params: []string{"value", "config", "ignore"}, Run: f.present,
		},
	}
}

// config is the file that holds the values unless another one is named: Salt's.
func (f family) config() string {
	if info, err := os.Stat(filepath.Join(f.etc, "sysctl.d")); err == nil && info.IsDir() {
		return filepath.Join(f.etc, "sysctl.d/99-salt.conf")
	}
	return filepath.Join(f.etc, "sysctl.conf")
}

func same(a, b string) bool {
	return strings.Join(strings.Fields(a), " ") == strings.Join(strings.Fields(b), " ")
}

func (f family) present(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	value, config, ignore := a.Text("value", ""), a.Text("config", f.config()), a.Bool("ignore", false)
	if !a.Has("value") {
		a.Wrong("Missing parameter value")
	}
	path := c.Name
	if !strings.Contains(path, "/") { // with slashes, a name may have dots in it: net/ipv4/conf/eth0.1/forwarding
		path = strings.ReplaceAll(path, ".", "/")
	}
	if !filepath.IsLocal(path) || strings.ContainsAny(c.Name+value, "\r\n\x00") || strings.ContainsAny(c.Name, " \t=") {
		a.Wrong("%q is no parameter of the kernel", c.Name)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	file := filepath.Join(f.proc, path)
	now, err := os.ReadFile(file)
	if err != nil && !ignore {
		return args.Failed("Failed to set %s to %s: this kernel has no such parameter", c.Name, value)
	}
	text, err := conffile.Read(config)
	if err != nil {
		return args.Failed("%v", err)
	}
	after := configured(text, c.Name, value)
	running := same(string(now), value)
	switch {
	case running && after == text:
		return args.Fine("Sysctl value %s = %s is already set", c.Name, value)
	case c.Test:
		return args.Would(nil, "Sysctl option %s would be changed to %s", c.Name, value)
	}
	changes := data.NewMap(c.Name, value)
	if !running {
		if err := os.WriteFile(file, []byte(value), 0); err != nil && !ignore {
			return args.Failed("Failed to set %s to %s: %v", c.Name, value, err)
		}
	}
	if after != text {
		if err := conffile.Write(config, after); err != nil {
			return args.Failed("%v", err)
		}
	}
	return args.Done(changes, "Updated sysctl value %s = %s", c.Name, value)
}

// configured is the text of a configuration in which a parameter has a value.
func configured(text, name, value string) string {
	var b strings.Builder
	found := false
	for line := range strings.Lines(text) {
		key, have, ok := strings.Cut(line, "=")
		if !ok || strings.TrimSpace(key) != name || strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
			continue
		}
		if !found && same(have, value) {
			b.WriteString(line)
		} else if !found {
			b.WriteString(name + " = " + value + "\n")
		}
		found = true
	}
	if !found {
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(name + " = " + value + "\n")
	}
	return b.String()
}
