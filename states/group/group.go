// Package group makes groups of users: Salt's group states, over the host's groupadd, groupmod, groupdel and gpasswd.
package group

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// States are the functions of the family.
func States() state.Family { return family{}.states() }

type family struct{ db account.DB }

func (f family) states() state.Family {
	return state.Family{
		"present": {
			Doc:    "Makes a group. members are all that it has; addusers and delusers change some.",
			Params: []string{"gid", "system", "addusers", "delusers", "members", "non_unique", "local"},
			Run:    f.present,
		},
		"absent": {Doc: "Removes a group.", Params: []string{"local"}, Run: f.absent},
	}
}

func (f family) absent(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	a.Bool("local", false)
	if res, bad := a.Bad(); bad {
		return res
	}
	if _, ok := f.db.Group(ctx, c.Name); !ok {
		return args.Fine("Group not present")
	}
	if c.Test {
		return args.Would(nil, "Group %s is set for removal", c.Name)
	}
	out := tool.On(c).Run(ctx, "", "groupdel", "--", c.Name)
	if _, still := f.db.Group(ctx, c.Name); still {
		return args.Failed("Failed to remove group %s: %s", c.Name, out.Said())
	}
	return args.Done(data.NewMap(c.Name, ""), "Removed group %s", c.Name)
}

// wanted is a group as it should be.
type wanted struct {
	gid         int
	system      bool
	nonUnique   bool
	members     []string
	all         bool // members are all
	add, remove []string
}

func read(c *state.Call) (*wanted, state.Result, bool) {
	a := args.Of(c)
	w := &wanted{
		gid: int(a.Int("gid", -1)), system: a.Bool("system", false), nonUnique: a.Bool("non_unique", false), members: a.Commas("members"),
		all: a.Has("members"), add: a.Commas("addusers"), remove: a.Commas("delusers"),
	}
	if c.Name == "" || strings.HasPrefix(c.Name, "-") || strings.ContainsAny(c.Name, ":/\n") {
		a.Wrong("%q is no name for a group", c.Name)
	}
	if w.all && (len(w.add) > 0 || len(w.remove) > 0) {
		a.Wrong("Conflicting options: members, and addusers or delusers")
	}
	for _, one := range w.add {
		if slices.Contains(w.remove, one) {
			a.Wrong("Error. Same user(s) can not be added and deleted simultaneously: %s", one)
		}
	}
	res, bad := a.Bad()
	return w, res, bad
}

// target are the members that a group should have.
func (w *wanted) target(have []string) []string {
	want := slices.Clone(w.members)
	if !w.all {
		want = slices.DeleteFunc(slices.Concat(have, w.add), func(s string) bool { return slices.Contains(w.remove, s) })
	}
	slices.Sort(want)
	return slices.Compact(want)
}

func (w *wanted) differences(g account.Group) *data.Map {
	changes := data.NewMap()
	if w.gid >= 0 && w.gid != g.GID {
		changes.Set("gid", int64(w.gid))
	}
	have := slices.Sorted(slices.Values(g.Members))
	want := w.target(have)
	if slices.Equal(have, want) {
		return changes
	}
	if w.all {
		changes.Set("members", list(want))
		return changes
	}
	for _, one := range []struct {
		key        string
		minus, all []string
	}{{"addusers", have, want}, {"delusers", want, have}} {
		more := slices.DeleteFunc(slices.Clone(one.all), func(s string) bool { return slices.Contains(one.minus, s) })
		if len(more) > 0 {
			changes.Set(one.key, list(more))
		}
	}
	return changes
}

func list(names []string) []any {
	out := make([]any, len(names))
	for i, n := range names {
		out[i] = n
	}
	return out
}

func (f family) present(ctx context.Context, c *state.Call) state.Result {
	w, res, bad := read(c)
	if bad {
		return res
	}
	host := tool.On(c)
	g, ok := f.db.Group(ctx, c.Name)
	if !ok {
		return f.create(ctx, c, host, w)
	}
	changes := w.differences(g)
	switch {
	case changes.Len() == 0:
		return args.Fine("Group %s is present and up to date", c.Name)
	case c.Test:
		var b strings.Builder
		b.WriteString("The following group attributes are set to be changed:\n")
		for k, v := range changes.All() {
			fmt.Fprintf(&b, "%s: %s\n", k, args.Text(v))
		}
		return args.Would(nil, "%s", b.String())
	}
	if _, ok := changes.Get("gid"); ok {
		argv := []string{"-g", fmt.Sprint(w.gid)}
		if w.nonUnique {
			argv = append(argv, "-o")
		}
		if out := host.Run(ctx, "", "groupmod", append(argv, "--", c.Name)...); !out.OK() {
			return args.Failed("Failed to change group %s: %s", c.Name, out.Said())
		}
	}
	if err := setMembers(ctx, host, c.Name, g.Members, w.target(g.Members)); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "The following group attributes are changed: %s", args.Text(changes.Keys()))
}

func (f family) create(ctx context.Context, c *state.Call, host tool.Host, w *wanted) state.Result {
	if c.Test {
		return args.Would(nil, "Group %s set to be added", c.Name)
	}
	var argv []string
	if w.gid >= 0 {
		argv = append(argv, "-g", fmt.Sprint(w.gid))
	}
	if w.nonUnique {
		argv = append(argv, "-o")
	}
	if w.system {
		argv = append(argv, "-r")
	}
	if out := host.Run(ctx, "", "groupadd", append(argv, "--", c.Name)...); !out.OK() {
		return args.Failed("Failed to create new group %s: %s", c.Name, out.Said())
	}
	if err := setMembers(ctx, host, c.Name, nil, w.target(nil)); err != nil {
		return args.Failed("New group %s created, but: %v", c.Name, err)
	}
	g, ok := f.db.Group(ctx, c.Name)
	if !ok {
		return args.Failed("Failed to create new group %s", c.Name)
	}
	return args.Done(data.NewMap("name", g.Name, "gid", int64(g.GID), "passwd", "x", "members", list(g.Members)), "New group %s created", c.Name)
}

func setMembers(ctx context.Context, host tool.Host, name string, have, want []string) error {
	for _, one := range []struct {
		flag       string
		minus, all []string
	}{{"-a", have, want}, {"-d", want, have}} {
		for _, user := range one.all {
			if slices.Contains(one.minus, user) {
				continue
			}
			if out := host.Run(ctx, "", "gpasswd", one.flag, user, name); !out.OK() {
				return fmt.Errorf("change members of group %s: %s", name, out.Said())
			}
		}
	}
	return nil
}
