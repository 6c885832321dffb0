package file

import (
	"context"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var keyvalueParams = []string{ //nolint:gochecknoglobals // a table
	"key", "value", "key_values", "separator", "append_if_not_found", "prepend_if_not_found", "search_only", "show_changes", "ignore_if_missing",
	"count", "uncomment", "key_ignore_case", "value_ignore_case", "create_if_missing",
}

// keyvalue is what a file of KEY=VALUE lines should say.
type keyvalue struct {
	keys             []string
	values           map[string]string
	separator        string
	uncomment        string
	count            int64
	foldKey, foldVal bool
	found            map[string]int64
	changed          int
}

func runKeyvalue(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	k := keyvalue{
		values: map[string]string{}, separator: a.Text("separator", "="), uncomment: a.Text("uncomment", ""), count: a.Int("count", 1),
		foldKey: a.Bool("key_ignore_case", false), foldVal: a.Bool("value_ignore_case", false), found: map[string]int64{},
	}
	if key := a.Text("key", ""); key != "" {
		k.keys, k.values[key] = []string{key}, a.Text("value", "")
	}
	for key, value := range a.Map("key_values").All() {
		k.keys = append(k.keys, args.Text(key))
		k.values[args.Text(key)] = args.Text(value)
	}
	toEnd, toStart, searchOnly := a.Bool("append_if_not_found", false), a.Bool("prepend_if_not_found", false), a.Bool("search_only", false)
	show, ignoreMissing, create := a.Bool("show_changes", true), a.Bool("ignore_if_missing", false), a.Bool("create_if_missing", false)
	if len(k.keys) == 0 {
		a.Wrong("Missing parameter key, or key_values")
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	before, err := readText(name)
	if _, missing := os.Stat(name); missing != nil && (ignoreMissing || create) {
		err, before = nil, ""
		if !create {
			return args.Fine("unable to open %s: ignored", name)
		}
	}
	if err != nil {
		return args.Failed("unable to open %s: %v", name, err)
	}
	after := k.apply(before)
	if !searchOnly && (toEnd || toStart) {
		after = k.addMissing(after, toStart)
	}
	changes := data.NewMap()
	if show && after != before {
		changes.Set("diff", diff([]byte(before), []byte(after)))
	} else if after != before {
		changes.Set("diff", "<show_changes=False>")
	}
	switch {
	case after == before:
		return args.Fine("File %s: no changes needed to be made", name)
	case searchOnly:
		return args.Failed("File %s: keys have other values", name)
	case c.Test:
		return args.Would(changes, "File %s is set to be changed (%d lines)", name, k.changed)
	}
	if err := writeText(name, after); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(changes, "Changed %d lines", k.changed)
}

func (k *keyvalue) apply(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		changed, ok := k.line(line)
		if !ok {
			b.WriteString(line)
			continue
		}
		b.WriteString(changed)
	}
	return b.String()
}

// line gives a line that names one of the keys as it should be; ok is false for others.
func (k *keyvalue) line(line string) (string, bool) {
	bare := strings.TrimLeft(line, " \t")
	indent := line[:len(line)-len(bare)]
	commented := k.uncomment != "" && strings.HasPrefix(bare, k.uncomment)
	if commented {
		bare = strings.TrimLeft(strings.TrimPrefix(bare, k.uncomment), " \t")
	}
	key, value, ok := strings.Cut(strings.TrimRight(bare, "\r\n"), k.separator)
	if !ok {
		return "", false
	}
	for _, want := range k.keys {
		same := strings.TrimSpace(key) == want || k.foldKey && strings.EqualFold(strings.TrimSpace(key), want)
		if !same || commented && k.found[want] > 0 || k.count > 0 && k.found[want] >= k.count {
			continue
		}
		k.found[want]++
		has := strings.TrimSpace(value)
		if !commented && (has == k.values[want] || k.foldVal && strings.EqualFold(has, k.values[want])) {
			return line, true
		}
		k.changed++
		return indent + want + k.separator + k.values[want] + "\n", true
	}
	return "", false
}

func (k *keyvalue) addMissing(text string, atStart bool) string {
	var lines []string
	for _, key := range k.keys {
		if k.found[key] == 0 {
			lines = append(lines, key+k.separator+k.values[key])
			k.changed++
		}
	}
	if len(lines) == 0 {
		return text
	}
	return added(text, lines, atStart)
}
