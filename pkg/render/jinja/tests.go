package jinja

import (
	"math/big"
	"strings"
	"unicode"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// Tests are Jinja's own. The map is the caller's.
func Tests() map[string]Builtin {
	all := map[string]Builtin{}
	put := func(run func(c *Call, v any) bool, names ...string) {
		for _, n := range names {
			all[n] = Builtin{[]string{"value"}, func(c *Call, b py.Bound) any { return run(c, b[0]) }}
		}
	}
	with := func(run func(c *Call, v, other any) bool, names ...string) {
		for _, n := range names {
			all[n] = Builtin{[]string{"value", "other"}, func(c *Call, b py.Bound) any { return run(c, b[0], b[1]) }}
		}
	}
	compare := func(op string, names ...string) {
		with(func(c *Call, v, other any) bool { return py.Compare(c.Run, op, v, other) }, names...)
	}
	isUndefined := func(_ *Call, v any) bool { _, ok := v.(*py.Undefined); return ok }
	put(isUndefined, "undefined")
	put(func(c *Call, v any) bool { return !isUndefined(c, v) }, "defined")
	put(func(_ *Call, v any) bool { return v == nil }, "none")
	put(func(_ *Call, v any) bool { _, ok := v.(bool); return ok }, "boolean")
	put(func(_ *Call, v any) bool { return v == any(true) }, "true")
	put(func(_ *Call, v any) bool { return v == any(false) }, "false")
	put(func(_ *Call, v any) bool { return isInteger(v) }, "integer")
	put(func(_ *Call, v any) bool { _, ok := v.(float64); return ok }, "float")
	put(func(_ *Call, v any) bool { return py.IsNumber(v) }, "number")
	put(func(_ *Call, v any) bool { _, ok := py.Text(v); return ok }, "string")
	put(func(_ *Call, v any) bool { _, ok := v.(*py.Dict); return ok }, "mapping")
	put(func(_ *Call, v any) bool { return py.IsIterable(v) }, "iterable")
	put(func(_ *Call, v any) bool { return isSequence(v) }, "sequence")
	put(func(_ *Call, v any) bool { return isCallable(v) }, "callable")
	put(func(_ *Call, v any) bool { _, ok := v.(py.Markup); return ok }, "escaped")
	put(func(c *Call, v any) bool { return remainder(c, v, 2) == 1 }, "odd")
	put(func(c *Call, v any) bool { return remainder(c, v, 2) == 0 }, "even")
	with(func(c *Call, v, by any) bool {
		return py.Equal(c.Run, py.Binary(c.Run, "%", v, by), int64(0))
	}, "divisibleby")
	put(func(c *Call, v any) bool {
		s := py.Str(c.Run, v)
		return s == strings.ToLower(s) && strings.ContainsFunc(s, unicode.IsLower)
	}, "lower")
	put(func(c *Call, v any) bool {
		s := py.Str(c.Run, v)
		return s == strings.ToUpper(s) && strings.ContainsFunc(s, unicode.IsUpper)
	}, "upper")
	with(func(_ *Call, v, other any) bool { return py.Identical(v, other) }, "sameas")
	with(func(c *Call, v, other any) bool { return py.Contains(c.Run, other, v) }, "in")
	compare("==", "eq", "equalto", "==")
	compare("!=", "ne", "!=")
	compare("<", "lt", "lessthan", "<")
	compare("<=", "le", "<=")
	compare(">", "gt", "greaterthan", ">")
	compare(">=", "ge", ">=")
	put(func(c *Call, v any) bool { s, _ := py.Text(v); _, ok := c.in.env.Filters[s]; return ok }, "filter")
	put(func(c *Call, v any) bool { s, _ := py.Text(v); _, ok := c.in.env.Tests[s]; return ok }, "test")
	return all
}

func isInteger(v any) bool {
	switch v.(type) {
	case int64, *big.Int:
		return true
	}
	return false
}

func isCallable(v any) bool {
	switch v.(type) {
	case py.Callable, *global, Builtin:
		return true
	}
	return false
}

// isSequence reports what Jinja takes for a sequence: all that has a length and elements.
func isSequence(v any) bool {
	switch v := v.(type) {
	case string, py.Markup, py.Bytes, py.Tuple, *py.List, *py.Dict, py.Range:
		return true
	case *py.Undefined:
		v.Raise()
	}
	return false
}

func remainder(c *Call, v any, by int64) int64 {
	n, _ := py.Binary(c.Run, "%", v, by).(int64)
	return n
}
