package cmd

import (
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// reinterpret takes a stateful command's own word, the last line of its output, for whether it changed anything: JSON, or
// changed=yes comment='...' key=value.
func reinterpret(res state.Result) state.Result {
	stdout, _ := res.Changes.Get("stdout")
	text, _ := stdout.(string)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := lines[len(lines)-1]
	said, isJSON := data.FromJSON([]byte(last))
	told, ok := said.(*data.Map)
	if isJSON != nil || !ok {
		told = pairs(last)
	}
	changed, known := told.Get("changed")
	if !known {
		return args.Failed("Stateful command did not say whether it changed anything: its last line should be JSON, or changed=yes or changed=no")
	}
	if comment, ok := told.Get("comment"); ok {
		res.Comment = args.Text(comment)
	}
	if result, ok := told.Get("result"); ok && !truth(result) {
		res.Verdict = state.False
	}
	if !truth(changed) {
		res.Changes = data.NewMap()
		return res
	}
	out := data.NewMap()
	for k, v := range told.All() {
		if k != "comment" && k != "result" {
			out.Set(k, v)
		}
	}
	code, _ := res.Changes.Get("retcode")
	stderr, _ := res.Changes.Get("stderr")
	out.Set("retcode", code)
	out.Set("stdout", strings.TrimRight(strings.Join(lines[:len(lines)-1], "\n"), "\n"))
	out.Set("stderr", stderr)
	res.Changes = out
	return res
}

func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case int64:
		return v != 0
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "1", "on", "changed":
			return true
		}
	}
	return false
}

// pairs reads key=value words, where values may be quoted.
func pairs(line string) *data.Map {
	m := data.NewMap()
	words, err := split(line)
	if err != nil {
		return m
	}
	for _, word := range words {
		if key, value, ok := strings.Cut(word, "="); ok {
			m.Set(key, value)
		}
	}
	return m
}
