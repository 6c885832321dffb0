// Package args reads the arguments of one state as Salt's functions would: a number where text is wanted is its digits, a
// single value where a list is wanted is a list of one. What cannot be meant is collected, and told all at once.
package args

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/state"
)

// Reader reads the arguments of one call. It is for one goroutine.
type Reader struct {
	args     *data.Map
	problems []string
	asked    []string
}

// Of begins to read a call's arguments.
func Of(c *state.Call) *Reader { return &Reader{args: c.Args} }

// Get is an argument as it was given; nil when it was not, or is null.
func (r *Reader) Get(name string) any {
	r.asked = append(r.asked, name)
	v, _ := r.args.Get(name)
	return v
}

// Has reports whether an argument was given and is not null.
func (r *Reader) Has(name string) bool { return r.Get(name) != nil }

// Asked are the names that were asked for.
func (r *Reader) Asked() []string { return r.asked }

// Wrong notes a problem.
func (r *Reader) Wrong(format string, values ...any) {
	r.problems = append(r.problems, fmt.Sprintf(format, values...))
}

// Bad is the result for what was wrong so far; ok is false when nothing was.
func (r *Reader) Bad() (res state.Result, bad bool) {
	if len(r.problems) == 0 {
		return state.Result{}, false
	}
	return state.Result{Comment: strings.Join(r.problems, "\n"), Reason: "bad arguments"}, true
}

// Text is an argument as text, def when it was not given.
func (r *Reader) Text(name, def string) string {
	switch v := r.Get(name).(type) {
	case nil:
		return def
	case *data.Map, []any:
		r.Wrong("%s: expected text, got %s", name, kind(v))
		return def
	default:
		return Text(v)
	}
}

// Need is Text of an argument that must be given.
func (r *Reader) Need(name string) string {
	if !r.Has(name) {
		r.Wrong("Missing parameter %s", name)
		return ""
	}
	return r.Text(name, "")
}

// Bool is an argument that says yes or no.
func (r *Reader) Bool(name string, def bool) bool {
	switch v := r.Get(name).(type) {
	case nil:
		return def
	case bool:
		return v
	case int64:
		return v != 0
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1":
			return true
		case "false", "no", "off", "0", "none", "":
			return false
		}
		r.Wrong("%s: expected True or False, got %q", name, v)
	default:
		r.Wrong("%s: expected True or False, got %s", name, kind(v))
	}
	return def
}

// Int is an argument that is a whole number.
func (r *Reader) Int(name string, def int64) int64 {
	switch v := r.Get(name).(type) {
	case nil:
		return def
	case int64:
		return v
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
		r.Wrong("%s: expected a whole number, got %v", name, v)
	case string:
		n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		if err == nil {
			return n
		}
		r.Wrong("%s: expected a number, got %q", name, v)
	default:
		r.Wrong("%s: expected a number, got %s", name, kind(v))
	}
	return def
}

// List is an argument that is a list of texts; a single one is a list of one.
func (r *Reader) List(name string) []string {
	switch v := r.Get(name).(type) {
	case nil:
		return nil
	case *data.Map:
		r.Wrong("%s: expected a list, got %s", name, kind(v))
		return nil
	case []any:
		texts := make([]string, 0, len(v))
		for _, one := range v {
			if _, isMap := one.(*data.Map); isMap {
				r.Wrong("%s: expected a list of texts, got %s in it", name, kind(one))
				return nil
			}
			texts = append(texts, Text(one))
		}
		return texts
	default:
		return []string{Text(v)}
	}
}

// Commas is List, where a single text is split at its commas.
func (r *Reader) Commas(name string) []string {
	list := r.List(name)
	if _, single := r.Get(name).(string); !single {
		return list
	}
	list = strings.Split(list[0], ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}

// Map is an argument that is a mapping, or a list of mappings, as SLS files have both.
func (r *Reader) Map(name string) *data.Map {
	switch v := r.Get(name).(type) {
	case nil:
		return nil
	case *data.Map:
		return v
	case []any:
		all := data.NewMap()
		for _, one := range v {
			m, ok := one.(*data.Map)
			if !ok {
				r.Wrong("%s: expected a mapping, got a list with %s in it", name, kind(one))
				return nil
			}
			for k, v := range m.All() {
				all.Set(k, v)
			}
		}
		return all
	default:
		r.Wrong("%s: expected a mapping, got %s", name, kind(v))
		return nil
	}
}

// Mode is an argument that is a file's mode, with four digits or more: 644, "644", "0644" and 0o644 are all "0644". It is
// empty when the argument was not given, and "keep" for that word.
func (r *Reader) Mode(name string) string {
	text := strings.Trim(r.Text(name, ""), `"'`)
	if text == "" || strings.EqualFold(text, "keep") {
		return strings.ToLower(text)
	}
	digits := strings.TrimLeft(strings.TrimPrefix(text, "0o"), "0")
	if n, err := strconv.ParseUint(digits, 8, 32); digits != "" && (err != nil || n > 0o7777) {
		r.Wrong("%s: %q is not a file mode", name, text)
		return ""
	}
	return strings.Repeat("0", max(0, 4-len(digits))) + digits
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case *data.Map:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		return "text"
	case bool:
		return "a truth value"
	default:
		return "a number"
	}
}

// Text is a value as Python prints it.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any, *data.Map:
		return quoted(v)
	default:
		return scalar(v)
	}
}

func scalar(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case *big.Int:
		return v.String()
	case float64:
		text := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(text, ".einN") {
			text += ".0"
		}
		return text
	default:
		return fmt.Sprint(v)
	}
}

// quoted is Python's repr.
func quoted(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "'") && !strings.Contains(v, `"`) {
			return `"` + v + `"`
		}
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\t", `\t`, "\r", `\r`).Replace(v) + "'"
	case []any:
		b.WriteString("[")
		for i, one := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quoted(one))
		}
		b.WriteString("]")
	case *data.Map:
		b.WriteString("{")
		first := true
		for k, one := range v.All() {
			if !first {
				b.WriteString(", ")
			}
			first = false
			b.WriteString(quoted(k) + ": " + quoted(one))
		}
		b.WriteString("}")
	default:
		return scalar(v)
	}
	return b.String()
}
