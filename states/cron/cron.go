// Package cron keeps crontabs: Salt's cron states, over the host's crontab.
package cron

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

var times = []string{"minute", "hour", "daymonth", "month", "dayweek"} //nolint:gochecknoglobals // a table

// States are the functions of the family.
func States() state.Family {
	return state.Family{
		"present": {
			Doc:    "Makes a user's crontab run a command. identifier names the line, so that its command may change; it is the command unless given.",
			Params: slices.Concat([]string{"user", "comment", "commented", "identifier", "special"}, times), Run: present,
		},
		"absent": {
			Doc:    "Removes a command from a user's crontab.",
			Params: slices.Concat([]string{"user", "comment", "commented", "identifier", "special"}, times), Run: absent,
		},
		"env_present": {Doc: "Sets a variable in a user's crontab.", Params: []string{"value", "user"}, Run: envPresent},
		"env_absent":  {Doc: "Removes a variable from a user's crontab.", Params: []string{"user"}, Run: envAbsent},
		"file": {
			Doc: "Makes a file (name, or source) a user's whole crontab.",
			Params: []string{
				"source", "source_hash", "source_hash_name", "user", "template", "context", "replace", "defaults", "backup", "saltenv",
			}, Run: file,
		},
	}
}

// load reads a user's crontab; a user without one has an empty one.
func load(ctx context.Context, c *state.Call, user string) (string, error) {
	out := tool.On(c).Run(ctx, "", "crontab", "-u", user, "-l")
	if out.OK() {
		return out.Stdout, nil
	}
	if out.Code == 1 && strings.Contains(strings.ToLower(out.Stderr), "no crontab for") || strings.Contains(out.Stderr, "No such file") {
		return "", nil
	}
	return "", fmt.Errorf("read crontab of %s: %s", user, out.Said())
}

func save(ctx context.Context, c *state.Call, user, text string) error {
	if out := tool.On(c).Run(ctx, text, "crontab", "-u", user, "-"); !out.OK() {
		return fmt.Errorf("Cron %s for user %s failed to commit with error \n%s", c.Name, user, out.Said()) //nolint:staticcheck // Salt's words
	}
	return nil
}

// wanted is a job as it should be.
type wanted struct {
	user string
	job  job
	time [5]string // "random" may be among them
}

func read(c *state.Call) (w wanted, res state.Result, bad bool) {
	a := args.Of(c)
	w.user = a.Text("user", "root")
	w.job = job{cmd: strings.TrimSpace(c.Name), comment: a.Text("comment", ""), id: a.Text("identifier", c.Name), off: a.Bool("commented", false)}
	if v, isBool := a.Get("identifier").(bool); isBool && !v {
		w.job.id = c.Name
	}
	for i, name := range times {
		w.time[i] = strings.TrimSpace(a.Text(name, "*"))
		if strings.EqualFold(w.time[i], "random") {
			w.time[i] = "random"
		} else if w.time[i] == "" || strings.ContainsAny(w.time[i], " \t\n") {
			a.Wrong("%s: %q is not one field of a crontab", name, w.time[i])
		}
	}
	if special := a.Text("special", ""); special != "" {
		w.job.when = special
		if !strings.HasPrefix(special, "@") || strings.ContainsAny(special, " \t\n") {
			a.Wrong("special: %q is not @reboot or the like", special)
		}
	}
	if strings.ContainsAny(c.Name, "\r\n") || c.Name == "" {
		a.Wrong("name: a command of a crontab is one line")
	}
	if strings.ContainsAny(w.job.id, "\r\n") {
		a.Wrong("identifier: it has a newline")
	}
	res, bad = a.Bad()
	return w, res, bad
}

// settle replaces what is random, by what is there already if that will do.
func (w *wanted) settle(old string) {
	if w.job.when != "" {
		return
	}
	limits := [5][2]int{{0, 60}, {0, 24}, {1, 28}, {1, 12}, {0, 7}}
	have := strings.Fields(old)
	fields := w.time
	for i, one := range fields {
		if one != "random" {
			continue
		}
		if len(have) == 5 && have[i] != "*" {
			fields[i] = have[i]
			continue
		}
		fields[i] = fmt.Sprint(limits[i][0] + rand.IntN(limits[i][1])) //nolint:gosec // to spread load
	}
	w.job.when = strings.Join(fields[:], " ")
}

func present(ctx context.Context, c *state.Call) state.Result {
	w, res, bad := read(c)
	if bad {
		return res
	}
	text, err := load(ctx, c, w.user)
	if err != nil {
		return args.Failed("%v", err)
	}
	t := parse(text)
	at := t.find(w.job.cmd, w.job.id)
	verb, past := "added to", "added"
	if at >= 0 {
		w.settle(t.jobs[at].when)
		if t.jobs[at] == w.job {
			return args.Fine("Cron %s already present", c.Name)
		}
		t.jobs[at] = w.job
		verb, past = "updated", "updated"
	} else {
		w.settle("")
		t.jobs = append(t.jobs, w.job)
	}
	if c.Test {
		return args.Would(nil, "Cron %s is set to be %s", c.Name, past)
	}
	if err := save(ctx, c, w.user, t.String()); err != nil {
		return args.Failed("%v", err)
	}
	comment := fmt.Sprintf("Cron %s %s", c.Name, verb)
	if past == "added" {
		comment += fmt.Sprintf(" %s's crontab", w.user)
	}
	return args.Done(data.NewMap(w.user, c.Name), "%s", comment)
}

func absent(ctx context.Context, c *state.Call) state.Result {
	w, res, bad := read(c)
	if bad {
		return res
	}
	text, err := load(ctx, c, w.user)
	if err != nil {
		return args.Failed("%v", err)
	}
	t := parse(text)
	at := t.find(w.job.cmd, w.job.id)
	switch {
	case at < 0:
		return args.Fine("Cron %s already absent", c.Name)
	case c.Test:
		return args.Would(nil, "Cron %s is set to be removed", c.Name)
	}
	t.jobs = slices.Delete(t.jobs, at, at+1)
	if err := save(ctx, c, w.user, t.String()); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(data.NewMap(w.user, c.Name), "Cron %s removed from %s's crontab", c.Name, w.user)
}

func envPresent(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	user, value := a.Text("user", "root"), a.Text("value", "")
	if strings.ContainsAny(value+c.Name, "\n\r") || strings.ContainsAny(c.Name, "= \t") || c.Name == "" {
		a.Wrong("a variable of a crontab is one line NAME=VALUE")
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := load(ctx, c, user)
	if err != nil {
		return args.Failed("%v", err)
	}
	t := parse(text)
	past := "added"
	at := slices.IndexFunc(t.env, func(v variable) bool { return v.name == c.Name })
	switch {
	case at < 0:
		t.env = append(t.env, variable{c.Name, value})
	case strings.Trim(t.env[at].value, `"'`) == strings.Trim(value, `"'`):
		return args.Fine("Cron env %s already present", c.Name)
	default:
		t.env[at].value = value
		past = "updated"
	}
	if c.Test {
		return args.Would(nil, "Cron env %s is set to be %s", c.Name, past)
	}
	if err := save(ctx, c, user, t.String()); err != nil {
		return args.Failed("%v", err)
	}
	if past == "updated" {
		return args.Done(data.NewMap(user, c.Name), "Cron env %s updated", c.Name)
	}
	return args.Done(data.NewMap(user, c.Name), "Cron env %s added to %s's crontab", c.Name, user)
}

func envAbsent(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	user := a.Text("user", "root")
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := load(ctx, c, user)
	if err != nil {
		return args.Failed("%v", err)
	}
	t := parse(text)
	at := slices.IndexFunc(t.env, func(v variable) bool { return v.name == c.Name })
	switch {
	case at < 0:
		return args.Fine("Cron env %s already absent", c.Name)
	case c.Test:
		return args.Would(nil, "Cron env %s is set to be removed", c.Name)
	}
	t.env = slices.Delete(t.env, at, at+1)
	if err := save(ctx, c, user, t.String()); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(data.NewMap(user, c.Name), "Cron env %s removed from %s's crontab", c.Name, user)
}

// maxTab bounds crontabs.
const maxTab = 1 << 20

func file(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	user, source, engine, replace := a.Text("user", "root"), a.Text("source", c.Name), a.Text("template", ""), a.Bool("replace", true)
	hash := a.Text("source_hash", "")
	vars := data.NewMap()
	for _, name := range []string{"defaults", "context"} {
		for k, v := range a.Map(name).All() {
			vars.Set(k, v)
		}
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	want, err := content(ctx, c, source, hash, engine, vars)
	if err != nil {
		return args.Failed("Unable to manage file: %v", err)
	}
	have, err := load(ctx, c, user)
	if err != nil {
		return args.Failed("%v", err)
	}
	switch {
	case have == want || !replace && have != "":
		return args.Fine("Crontab for user %s is in the correct state", user)
	case c.Test:
		return args.Would(data.NewMap("diff", "Crontab is set to be changed"), "Crontab for user %s is set to be updated", user)
	}
	if err := save(ctx, c, user, want); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(data.NewMap("diff", "Crontab was replaced"), "Crontab for user %s was updated", user)
}

func content(ctx context.Context, c *state.Call, source, hash, engine string, vars *data.Map) (string, error) {
	sum, err := fetch.SumOf(ctx, c.Host, hash, source, "", source)
	if err != nil {
		return "", err
	}
	blob, err := fetch.Get(ctx, c.Host, source, sum)
	if err != nil {
		return "", err
	}
	defer blob.Close()
	if got, err := blob.Sum(sum); sum.Given() && (err != nil || got != sum) {
		return "", fmt.Errorf("checksum of %s is %s, not %s", source, got.Hex, sum.Hex)
	}
	text, err := blob.Bytes(maxTab)
	if err != nil || engine == "" {
		return string(text), err
	}
	if c.Host.Render == nil {
		return "", fmt.Errorf("render %s: this host cannot render templates", source)
	}
	return c.Host.Render(ctx, source, string(text), engine, vars)
}
