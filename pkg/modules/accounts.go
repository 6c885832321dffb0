package modules

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

// accountLines are the lines of /etc/passwd or /etc/group, split, that have so many fields.
func accountLines(name string, fields int) ([][]string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var lines [][]string
	for line := range strings.Lines(string(text)) {
		if parts := strings.Split(strings.TrimRight(line, "\n"), ":"); len(parts) >= fields && !strings.HasPrefix(line, "#") {
			lines = append(lines, parts)
		}
	}
	return lines, nil
}

func users() ([][]string, error)  { return accountLines("/etc/passwd", 7) }
func groups() ([][]string, error) { return accountLines("/etc/group", 4) }

func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	return text
}

func userFamily() map[string]Function {
	return map[string]Function{
		"user.info": {
			Doc: "What is known of a user; an empty map when there is none.\nname\n  user.info root", Params: []string{"name"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := userInfos(stringArg(args, "name", ""))
				if err != nil || len(all) == 0 {
					return &data.Map{}, err
				}
				return all[0], nil
			},
		},
		"user.getent": {
			Doc: "What is known of all users.\n  user.getent", Params: []string{"refresh"},
			Run: func(context.Context, *Env, *data.Map) (any, error) { return userInfos("") },
		},
		"user.list_users": {
			Doc: "The names of all users.\n  user.list_users", Params: []string{"root"},
			Run: func(context.Context, *Env, *data.Map) (any, error) { return first(users()) },
		},
		"user.list_groups": {
			Doc: "The names of a user's groups.\nname\n  user.list_groups root", Params: []string{"name", "root"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := userInfos(stringArg(args, "name", ""))
				if err != nil || len(all) == 0 {
					return []any{}, err
				}
				of, _ := all[0].(*data.Map).Get("groups")
				return of, nil
			},
		},
	}
}

func first(lines [][]string, err error) (any, error) {
	names := make([]any, len(lines))
	for i, l := range lines {
		names[i] = l[0]
	}
	slices.SortFunc(names, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	return names, err
}

// userInfos gives what is known of one user, or of all.
func userInfos(only string) ([]any, error) {
	lines, err := users()
	if err != nil {
		return nil, err
	}
	all, err := groups()
	if err != nil {
		return nil, err
	}
	infos := []any{}
	for _, u := range lines {
		if only != "" && u[0] != only {
			continue
		}
		in := []string{}
		for _, g := range all {
			if g[2] == u[3] || slices.Contains(strings.Split(g[3], ","), u[0]) {
				in = append(in, g[0])
			}
		}
		slices.Sort(in)
		gecos := append(strings.SplitN(u[4], ",", 5), "", "", "", "", "")
		infos = append(infos, data.NewMap(
			"gid", number(u[3]), "groups", list(in), "home", u[5], "name", u[0], "passwd", u[1], "shell", u[6], "uid", number(u[2]),
			"fullname", gecos[0], "roomnumber", gecos[1], "workphone", gecos[2], "homephone", gecos[3], "other", gecos[4],
		))
	}
	return infos, nil
}

func groupFamily() map[string]Function {
	infos := func(only string) ([]any, error) {
		lines, err := groups()
		infos := []any{}
		for _, g := range lines {
			if only == "" || g[0] == only {
				infos = append(infos, data.NewMap("name", g[0], "passwd", g[1], "gid", number(g[2]), "members", list(texts(g[3]))))
			}
		}
		return infos, err
	}
	return map[string]Function{
		"group.info": {
			Doc: "What is known of a group; an empty map when there is none.\nname\n  group.info root", Params: []string{"name"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := infos(stringArg(args, "name", ""))
				if err != nil || len(all) == 0 {
					return &data.Map{}, err
				}
				return all[0], nil
			},
		},
		"group.getent": {
			Doc: "What is known of all groups.\n  group.getent", Params: []string{"refresh"},
			Run: func(context.Context, *Env, *data.Map) (any, error) { return infos("") },
		},
	}
}
