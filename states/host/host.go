// Package host keeps names of addresses in /etc/hosts: Salt's host states.
package host

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
)

// States are the functions of the family.
func States() state.Family { return family{"/etc/hosts"}.states() }

type family struct{ path string }

func (f family) states() state.Family {
	return state.Family{
		"present": {
			Doc:    "Makes addresses have a name (name, or names); with clean the name leaves its other addresses.",
			Params: []string{"ip", "comment", "clean"}, Run: f.present,
		},
		"absent": {Doc: "Takes a name from addresses, or from all that it has when ip is not given.", Params: []string{"ip"}, Run: f.absent},
		"only":   {Doc: "Makes hostnames the only names of an address (name).", Params: []string{"hostnames"}, Run: f.only},
	}
}

// line is one line of the file.
type line struct {
	text    string
	ip      string // empty for comments
	names   []string
	comment string
}

func parse(text string) (lines []line) {
	for raw := range strings.Lines(text) {
		l := line{text: strings.TrimRight(raw, "\r\n")}
		words, comment, _ := strings.Cut(l.text, "#")
		if f := strings.Fields(words); len(f) > 0 {
			l.ip, l.names, l.comment = f[0], f[1:], strings.TrimSpace(comment)
		}
		lines = append(lines, l)
	}
	return lines
}

func (l line) String() string {
	if l.ip == "" {
		return l.text
	}
	if l.comment != "" {
		return l.ip + "\t\t" + strings.Join(l.names, " ") + "\t# " + l.comment
	}
	return l.ip + "\t\t" + strings.Join(l.names, " ")
}

func join(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.String() + "\n")
	}
	return b.String()
}

func add(lines []line, ip, name, comment string) []line {
	for i, l := range lines {
		if l.ip == ip {
			if !slices.Contains(l.names, name) {
				lines[i].names = append(lines[i].names, name)
			}
			if comment != "" {
				lines[i].comment = comment
			}
			return lines
		}
	}
	return append(lines, line{ip: ip, names: []string{name}, comment: comment})
}

func remove(lines []line, ip, name string) []line {
	for i, l := range lines {
		if l.ip == ip && slices.Contains(l.names, name) {
			lines[i].names = slices.DeleteFunc(slices.Clone(l.names), func(n string) bool { return n == name })
		}
	}
	return slices.DeleteFunc(lines, func(l line) bool { return l.ip != "" && len(l.names) == 0 })
}

func addresses(a *args.Reader) []string {
	list := a.List("ip")
	for _, ip := range list {
		if _, err := netip.ParseAddr(ip); err != nil {
			a.Wrong("ip: %q is no address", ip)
		}
	}
	return list
}

func checkName(a *args.Reader, name string) {
	if name == "" || strings.ContainsAny(name, " \t\r\n#") {
		a.Wrong("%q is no name of a host", name)
	}
}

func (f family) present(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	ips, comment, clean := addresses(a), a.Text("comment", ""), a.Bool("clean", false)
	if len(ips) == 0 {
		a.Wrong("Missing parameter ip")
	}
	if strings.ContainsAny(comment, "\r\n") {
		a.Wrong("comment: it has a newline")
	}
	checkName(a, c.Name)
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := conffile.Read(f.path)
	if err != nil {
		return args.Failed("%v", err)
	}
	lines := parse(text)
	var comments []string
	added, removed := []any{}, []any{}
	for _, l := range parse(text) {
		if clean && slices.Contains(l.names, c.Name) && !slices.Contains(ips, l.ip) {
			lines = remove(lines, l.ip, c.Name)
			removed = append(removed, l.ip)
			comments = append(comments, fmt.Sprintf("Removed host %s (%s)", c.Name, l.ip))
		}
	}
	for _, ip := range ips {
		at := slices.IndexFunc(lines, func(l line) bool { return l.ip == ip && slices.Contains(l.names, c.Name) })
		if at >= 0 && (comment == "" || lines[at].comment == comment) {
			comments = append(comments, fmt.Sprintf("Host %s (%s) already present", c.Name, ip))
			continue
		}
		lines = add(lines, ip, c.Name, comment)
		added = append(added, ip)
		comments = append(comments, fmt.Sprintf("Added host %s (%s)", c.Name, ip))
	}
	changes := data.NewMap()
	if len(added) > 0 {
		changes.Set("added", data.NewMap(c.Name, added))
	}
	if len(removed) > 0 {
		changes.Set("removed", data.NewMap(c.Name, removed))
	}
	return f.finish(c, changes, lines, comments)
}

func (f family) finish(c *state.Call, changes *data.Map, lines []line, comments []string) state.Result {
	all := strings.Join(comments, "\n")
	switch {
	case changes.Len() == 0:
		return args.Fine("%s", all)
	case c.Test:
		all = strings.NewReplacer("Added host", "Host", "Removed host", "Host").Replace(all)
		return args.Would(changes, "%s would be changed", all)
	}
	if err := conffile.Write(f.path, join(lines)); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "%s", all)
}

func (f family) absent(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	ips := addresses(a)
	checkName(a, c.Name)
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := conffile.Read(f.path)
	if err != nil {
		return args.Failed("%v", err)
	}
	lines := parse(text)
	removed := []any{}
	var comments []string
	for _, l := range parse(text) {
		if slices.Contains(l.names, c.Name) && (len(ips) == 0 || slices.Contains(ips, l.ip)) {
			lines = remove(lines, l.ip, c.Name)
			removed = append(removed, l.ip)
			comments = append(comments, fmt.Sprintf("Removed host %s (%s)", c.Name, l.ip))
		}
	}
	if len(removed) == 0 {
		return args.Fine("Host %s already absent", c.Name)
	}
	return f.finish(c, data.NewMap("removed", data.NewMap(c.Name, removed)), lines, comments)
}

func (f family) only(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	names := a.List("hostnames")
	if _, err := netip.ParseAddr(c.Name); err != nil {
		a.Wrong("name: %q is no address", c.Name)
	}
	for _, name := range names {
		checkName(a, name)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := conffile.Read(f.path)
	if err != nil {
		return args.Failed("%v", err)
	}
	lines := parse(text)
	old := ""
	kept := slices.DeleteFunc(slices.Clone(lines), func(l line) bool {
		if l.ip == c.Name {
			old = strings.TrimSpace(old + " " + strings.Join(l.names, " "))
		}
		return l.ip == c.Name
	})
	now := strings.Join(names, " ")
	if old == now {
		return args.Fine("IP address %s already has the hostnames %s", c.Name, now)
	}
	if len(names) > 0 {
		kept = append(kept, line{ip: c.Name, names: names})
	}
	return f.finish(c, data.NewMap(c.Name, data.NewMap("old", old, "new", now)), kept, []string{fmt.Sprintf("Added host %s: %s", c.Name, now)})
}
