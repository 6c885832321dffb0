// Package user makes accounts: Salt's user states, over the host's useradd, usermod, userdel, chage and chpasswd.
package user

import (
	"context"
	"fmt"
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
			Doc: "Makes a user with the attributes given. Groups are set exactly, unless remove_groups is False. password is a hash as in shadow.",
			Params: []string{
				"uid", "gid", "usergroup", "groups", "optional_groups", "remove_groups", "home", "createhome", "password", "hash_password",
				"enforce_password", "empty_password", "shell", "unique", "system", "fullname", "roomnumber", "workphone", "homephone", "other",
				"loginclass", "date", "mindays", "maxdays", "inactdays", "warndays", "expire", "allow_uid_change", "allow_gid_change", "nologinit",
				"password_lock", "gid_from_name", "local",
			},
			Run: f.present,
		},
		"absent": {
			Doc:    "Removes a user; with purge his home too.",
			Params: []string{"purge", "force", "local"},
			Run:    f.absent,
		},
	}
}

func (f family) absent(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	purge, force := a.Bool("purge", false), a.Bool("force", false)
	if res, bad := a.Bad(); bad {
		return res
	}
	if _, ok := f.db.User(ctx, c.Name); !ok {
		return args.Fine("User %s is not present", c.Name)
	}
	if c.Test {
		return args.Would(nil, "User %s set for removal", c.Name)
	}
	_, group := f.db.Group(ctx, c.Name)
	argv := []string{}
	if purge {
		argv = append(argv, "-r")
	}
	if force {
		argv = append(argv, "-f")
	}
	out := tool.On(c).Run(ctx, "", "userdel", append(argv, "--", c.Name)...)
	if _, still := f.db.User(ctx, c.Name); still {
		return args.Failed("Failed to remove user %s: %s", c.Name, out.Said())
	}
	changes := data.NewMap()
	if _, still := f.db.Group(ctx, c.Name); group && !still {
		changes.Set(c.Name+" group", "removed")
	}
	changes.Set(c.Name, "removed")
	return args.Done(changes, "Removed user %s", c.Name)
}

func (f family) present(ctx context.Context, c *state.Call) state.Result {
	w, res, stop := f.read(ctx, c)
	if stop {
		return res
	}
	old, ok := f.db.User(ctx, c.Name)
	if !ok {
		return f.create(ctx, c, w)
	}
	differ := f.differences(w, old)
	switch {
	case differ.Len() == 0:
		return args.Fine("User %s is present and up to date", c.Name)
	case c.Test:
		var b strings.Builder
		b.WriteString("The following user attributes are set to be changed:\n")
		for k, v := range differ.All() {
			fmt.Fprintf(&b, "%s: %s\n", k, args.Text(v))
		}
		return args.Would(nil, "%s", b.String())
	}
	if err := f.change(ctx, c, w, old, differ); err != nil {
		return args.Failed("%v", err)
	}
	if w.password != "" {
		if _, ok := differ.Get("passwd"); ok {
			differ.Set("passwd", "XXX-REDACTED-XXX")
		}
	}
	if now, ok := f.db.User(ctx, c.Name); ok {
		if left := f.differences(w, now); left.Len() > 0 {
			return state.Result{
				Comment: fmt.Sprintf("These values could not be changed: %s", args.Text(left.Keys())), Changes: differ,
			}
		}
	}
	return args.Done(differ, "Updated user %s", c.Name)
}
