package user

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

func (f family) create(ctx context.Context, c *state.Call, w *wanted) state.Result {
	if c.Test {
		return args.Would(nil, "User %s set to be added", c.Name)
	}
	argv := w.common(account.User{})
	switch w.usergroup {
	case true:
		argv = append(argv, "-U")
	case false:
		argv = append(argv, "-N")
	}
	if w.system {
		argv = append(argv, "-r")
	}
	if w.createHome {
		argv = append(argv, "-m")
	} else {
		argv = append(argv, "-M")
	}
	if len(w.groups) > 0 {
		argv = append(argv, "-G", strings.Join(w.groups, ","))
	}
	if _, ok := f.db.Group(ctx, c.Name); ok && w.gid < 0 && w.usergroup != false {
		argv = append(argv, "-g", c.Name) // useradd refuses to make a group that is there
		argv = drop(argv, "-U")
	}
	host := tool.On(c)
	if out := host.Run(ctx, "", "useradd", append(argv, "--", c.Name)...); !out.OK() {
		return args.Failed("Failed to create new user %s: %s", c.Name, out.Said())
	}
	u, ok := f.db.User(ctx, c.Name)
	if !ok {
		return args.Failed("Failed to create new user %s", c.Name)
	}
	changes := f.info(u)
	if err := f.shadow(ctx, host, w, changes); err != nil {
		return state.Result{Comment: fmt.Sprintf("New user %s created, but: %v", c.Name, err), Changes: changes}
	}
	return args.Done(changes, "New user %s created", c.Name)
}

func drop(argv []string, word string) []string {
	for i, one := range argv {
		if one == word {
			return append(argv[:i:i], argv[i+1:]...)
		}
	}
	return argv
}

// common are the options that useradd and usermod share, for what a user does not have.
func (w *wanted) common(u account.User) (argv []string) {
	fresh := u.Name == ""
	if w.uid >= 0 && (fresh || w.uid != u.UID) {
		argv = append(argv, "-u", number(w.uid))
		if !w.unique {
			argv = append(argv, "-o")
		}
	}
	if w.gid >= 0 && (fresh || w.gid != u.GID) {
		argv = append(argv, "-g", number(w.gid))
	}
	if w.home != "" && w.home != u.Home {
		argv = append(argv, "-d", w.home)
	}
	if w.shell != "" && w.shell != u.Shell {
		argv = append(argv, "-s", w.shell)
	}
	if line := w.gecosLine(u); line != u.Gecos {
		argv = append(argv, "-c", line)
	}
	return argv
}

func (f family) change(ctx context.Context, c *state.Call, w *wanted, u account.User, differ *data.Map) error {
	argv := w.common(u)
	if groups, differ := f.groups(w, u); differ {
		argv = append(argv, "-G", strings.Join(groups, ","))
	}
	host := tool.On(c)
	if len(argv) > 0 {
		if out := host.Run(ctx, "", "usermod", append(argv, "--", c.Name)...); !out.OK() {
			return fmt.Errorf("Failed to change user %s: %s", c.Name, out.Said()) //nolint:staticcheck // Salt's words
		}
	}
	return f.shadow(ctx, host, w, differ)
}

// shadow sees to passwords, which never are arguments that others could see, and to their ages.
func (f family) shadow(ctx context.Context, host tool.Host, w *wanted, changes *data.Map) error {
	differ := data.NewMap()
	f.shadowDifferences(w, differ)
	if _, ok := differ.Get("passwd"); ok {
		if strings.ContainsAny(w.password, "\n") {
			return errors.New("password: it has a newline")
		}
		if out := host.Run(ctx, w.name+":"+w.password+"\n", "chpasswd", "-e"); !out.OK() {
			return fmt.Errorf("set password of %s: %s", w.name, out.Said())
		}
		changes.Set("passwd", "XXX-REDACTED-XXX")
	}
	if _, ok := differ.Get("empty_password"); ok {
		if out := host.Run(ctx, "", "passwd", "-d", w.name); !out.OK() {
			return fmt.Errorf("empty password of %s: %s", w.name, out.Said())
		}
		changes.Set("empty_password", true)
	}
	var argv []string
	for _, one := range w.aging {
		if _, ok := differ.Get(one.name); ok {
			argv = append(argv, one.flag, fmt.Sprint(one.value))
			changes.Set(one.name, one.value)
		}
	}
	if len(argv) == 0 {
		return nil
	}
	if out := host.Run(ctx, "", "chage", append(argv, w.name)...); !out.OK() {
		return fmt.Errorf("change password ages of %s: %s", w.name, out.Said())
	}
	return nil
}
