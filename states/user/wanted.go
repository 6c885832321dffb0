package user

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// wanted is a user as he should be.
type wanted struct {
	name                 string
	uid, gid             int // -1: any
	usergroup            any // nil: as the host does
	groups               []string
	setGroups, removeOld bool
	home, shell          string
	createHome           bool
	password             string
	enforcePassword      bool
	emptyPassword        bool
	unique, system       bool
	gecos                [5]*string // fullname, roomnumber, workphone, homephone, other; nil: any
	aging                []aging
}

// aging is a field of shadow.
type aging struct {
	name, flag string
	field      int
	value      int64
}

var gecosNames = [5]string{"fullname", "roomnumber", "workphone", "homephone", "other"} //nolint:gochecknoglobals // a table

func (f family) read(ctx context.Context, c *state.Call) (w *wanted, res state.Result, stop bool) {
	a := args.Of(c)
	w = &wanted{
		name: c.Name, uid: int(a.Int("uid", -1)), gid: -1, removeOld: a.Bool("remove_groups", true), home: a.Text("home", ""), shell: a.Text("shell", ""),
		createHome: a.Bool("createhome", true), password: a.Text("password", ""), enforcePassword: a.Bool("enforce_password", true),
		emptyPassword: a.Bool("empty_password", false), unique: a.Bool("unique", true), system: a.Bool("system", false),
	}
	if a.Has("usergroup") {
		w.usergroup = a.Bool("usergroup", false)
	}
	for i, name := range gecosNames {
		if a.Has(name) {
			text := a.Text(name, "")
			w.gecos[i] = &text
			if strings.ContainsAny(text, ":\n") || i < 4 && strings.Contains(text, ",") {
				a.Wrong("%s: %q has a character that passwd cannot hold", name, text)
			}
		}
	}
	for i, one := range []aging{
		{"date", "-d", 2, 0}, {"mindays", "-m", 3, 0}, {"maxdays", "-M", 4, 0}, {"warndays", "-W", 5, 0}, {"inactdays", "-I", 6, 0}, {"expire", "-E", 7, 0},
	} {
		if a.Has(one.name) {
			one.value = a.Int(one.name, 0)
			w.aging = append(w.aging, one)
		}
		_ = i
	}
	groups, optional := a.Commas("groups"), a.Commas("optional_groups")
	w.setGroups = a.Has("groups") || a.Has("optional_groups")
	gid := a.Text("gid", "")
	if a.Bool("gid_from_name", false) {
		gid = c.Name
	}
	hash := a.Bool("hash_password", false)
	if c.Name == "" || strings.HasPrefix(c.Name, "-") || strings.ContainsAny(c.Name, ":/\n") {
		a.Wrong("%q is no name for a user", c.Name)
	}
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	if hash && w.password != "" {
		return nil, args.Failed("hash_password is not supported: give the hash, as mkpasswd makes it"), true
	}
	if gid != "" {
		id, ok := f.db.GID(ctx, gid)
		if !ok {
			return nil, args.Failed("Default group with name %q is not present", gid), true
		}
		w.gid = id
	}
	var missing []string
	for _, name := range groups {
		if _, ok := f.db.Group(ctx, name); !ok {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 && !c.Test {
		return nil, args.Failed("The following group(s) are not present: %s", strings.Join(missing, ",")), true
	}
	for _, name := range optional {
		if _, ok := f.db.Group(ctx, name); ok {
			groups = append(groups, name)
		}
	}
	slices.Sort(groups)
	w.groups = slices.Compact(groups)
	return w, res, false
}

// differences are the attributes that a user does not have, as Salt names them.
func (f family) differences(w *wanted, u account.User) *data.Map {
	changes := data.NewMap()
	if w.uid >= 0 && w.uid != u.UID {
		changes.Set("uid", int64(w.uid))
	}
	if w.gid >= 0 && w.gid != u.GID {
		changes.Set("gid", int64(w.gid))
	}
	if groups, differ := f.groups(w, u); differ {
		list := make([]any, len(groups))
		for i, g := range groups {
			list[i] = g
		}
		changes.Set("groups", list)
	}
	if w.home != "" && w.home != u.Home {
		changes.Set("home", w.home)
	}
	if w.shell != "" && w.shell != u.Shell {
		changes.Set("shell", w.shell)
	}
	f.shadowDifferences(w, changes)
	have := gecosOf(u)
	for i, want := range w.gecos {
		if want != nil && *want != have[i] {
			changes.Set(gecosNames[i], *want)
		}
	}
	return changes
}

func (f family) shadowDifferences(w *wanted, changes *data.Map) {
	shadow, ok := f.db.Shadow(w.name)
	if !ok {
		return
	}
	switch {
	case w.emptyPassword:
		if shadow[1] != "" {
			changes.Set("empty_password", true)
		}
	case w.password != "" && shadow[1] != w.password && (w.enforcePassword || strings.HasPrefix(shadow[1], "!") || shadow[1] == "*" || shadow[1] == ""):
		changes.Set("passwd", "XXX-REDACTED-XXX")
	}
	for _, one := range w.aging {
		have, err := strconv.ParseInt(shadow[one.field], 10, 64)
		if err != nil {
			have = -1
		}
		if have != one.value {
			changes.Set(one.name, one.value)
		}
	}
}

// groups are the supplementary groups that a user should be in, and whether he is in others.
func (f family) groups(w *wanted, u account.User) (want []string, differ bool) {
	if !w.setGroups {
		return nil, false
	}
	primary := f.db.GroupName(u.GID)
	have := slices.DeleteFunc(f.db.GroupsOf(w.name), func(g string) bool { return g == primary })
	want = slices.DeleteFunc(slices.Clone(w.groups), func(g string) bool { return g == primary })
	if !w.removeOld {
		want = append(want, have...)
		slices.Sort(want)
		want = slices.Compact(want)
	}
	return want, !slices.Equal(have, want)
}

func gecosOf(u account.User) (fields [5]string) {
	copy(fields[:], strings.SplitN(u.Gecos, ",", 5))
	return fields
}

// gecosLine is the whole field: what is wanted, and of the rest what is there.
func (w *wanted) gecosLine(u account.User) string {
	fields := gecosOf(u)
	for i, want := range w.gecos {
		if want != nil {
			fields[i] = *want
		}
	}
	return strings.TrimRight(strings.Join(fields[:], ","), ",")
}

// info is what Salt tells of a new user.
func (f family) info(u account.User) *data.Map {
	fields := gecosOf(u)
	groups := []any{f.db.GroupName(u.GID)}
	for _, g := range f.db.GroupsOf(u.Name) {
		if g != groups[0] {
			groups = append(groups, g)
		}
	}
	return data.NewMap("name", u.Name, "uid", int64(u.UID), "gid", int64(u.GID), "groups", groups, "home", u.Home, "passwd", u.Password, "shell", u.Shell,
		"fullname", fields[0], "roomnumber", fields[1], "workphone", fields[2], "homephone", fields[3], "other", fields[4])
}

func number(n int) string { return fmt.Sprint(n) }
