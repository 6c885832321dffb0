package jmespath

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/data"
)

// arity is how many arguments functions take; -1 for any but none.
var arity = map[string]int{
	"abs": 1, "avg": 1, "ceil": 1, "contains": 2, "ends_with": 2, "floor": 1, "join": 2, "keys": 1, "length": 1, "map": 2, "max": 1, "max_by": 2,
	"merge": -1, "min": 1, "min_by": 2, "not_null": -1, "reverse": 1, "sort": 1, "sort_by": 2, "starts_with": 2, "sum": 1, "to_array": 1,
	"to_number": 1, "to_string": 1, "type": 1, "values": 1,
}

func (e *eval) call(n *node, v any) any {
	name := n.value.(string)
	want, ok := arity[name]
	switch {
	case !ok:
		fail("Unknown function: %s()", name)
	case want >= 0 && len(n.children) != want || want < 0 && len(n.children) == 0:
		fail("Expected %d arguments for function %s(), received %d", max(want, 1), name, len(n.children))
	}
	args := make([]any, len(n.children))
	for i, c := range n.children {
		args[i] = e.do(c, v)
	}
	switch name {
	case "abs", "ceil", "floor", "to_number":
		return ofNumber(name, args[0])
	case "contains", "ends_with", "starts_with", "join":
		return ofText(name, args)
	case "map", "max_by", "min_by", "sort_by":
		return e.by(name, args)
	case "avg", "sum", "max", "min", "sort", "reverse":
		return ofList(name, args[0])
	}
	return general(name, args)
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case *data.Map:
		return "object"
	case *node:
		return "expref"
	}
	return "number"
}

// bad fails because of an argument's type.
func bad(name string, v any) any {
	fail("In function %s(), invalid type for value: %s", name, kind(v))
	return nil
}

func ofNumber(name string, v any) any {
	if name == "to_number" {
		s, ok := v.(string)
		if !ok {
			if kind(v) == "number" {
				return v
			}
			return nil
		}
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		if f, err := strconv.ParseFloat(s, 64); err == nil {
			return f
		}
		return nil
	}
	if n, ok := v.(int64); ok {
		if name == "abs" && n < 0 {
			return -n
		}
		return n
	}
	f, ok := v.(float64)
	switch {
	case !ok:
		return bad(name, v)
	case name == "abs":
		return math.Abs(f)
	case name == "ceil":
		return int64(math.Ceil(f))
	}
	return int64(math.Floor(f))
}

func ofText(name string, args []any) any {
	if list, ok := args[0].([]any); ok && name == "contains" {
		return slices.ContainsFunc(list, func(v any) bool { return data.Equal(v, args[1]) })
	}
	a, ok := args[0].(string)
	if !ok {
		return bad(name, args[0])
	}
	if name == "join" {
		list, ok := args[1].([]any)
		if !ok {
			return bad(name, args[1])
		}
		parts := make([]string, len(list))
		for i, v := range list {
			if parts[i], ok = v.(string); !ok {
				return bad(name, v)
			}
		}
		return strings.Join(parts, a)
	}
	b, ok := args[1].(string)
	switch {
	case !ok && name == "contains":
		return false
	case !ok:
		return bad(name, args[1])
	case name == "contains":
		return strings.Contains(a, b)
	case name == "ends_with":
		return strings.HasSuffix(a, b)
	}
	return strings.HasPrefix(a, b)
}

// less orders numbers and text; lists that hold both cannot be.
func less(name string, a, b any) int {
	if x, ok := a.(string); ok {
		if y, ok := b.(string); ok {
			return strings.Compare(x, y)
		}
	}
	x, ok := number(a)
	y, ok2 := number(b)
	if !ok {
		bad(name, a)
	}
	if !ok2 {
		bad(name, b)
	}
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

func ofList(name string, v any) any {
	if s, ok := v.(string); ok && name == "reverse" {
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes)
	}
	list, ok := v.([]any)
	if !ok {
		return bad(name, v)
	}
	list = slices.Clone(list)
	compare := func(a, b any) int { return less(name, a, b) }
	switch name {
	case "reverse":
		slices.Reverse(list)
		return list
	case "sort":
		slices.SortStableFunc(list, compare)
		return list
	case "max", "min":
		if len(list) == 0 {
			return nil
		}
		if name == "max" {
			return slices.MaxFunc(list, compare)
		}
		return slices.MinFunc(list, compare)
	}
	return total(name, list)
}

func total(name string, list []any) any {
	sum, whole, isWhole := 0.0, int64(0), true
	for _, v := range list {
		n, ok := number(v)
		if !ok {
			return bad(name, v)
		}
		i, isInt := v.(int64)
		sum, whole, isWhole = sum+n, whole+i, isWhole && isInt
	}
	switch {
	case name == "avg" && len(list) == 0:
		return nil
	case name == "avg":
		return sum / float64(len(list))
	case isWhole:
		return whole
	}
	return sum
}

// by are the functions that apply an expression to each element.
func (e *eval) by(name string, args []any) any {
	if name == "map" {
		args[0], args[1] = args[1], args[0]
	}
	list, ok := args[0].([]any)
	if !ok {
		return bad(name, args[0])
	}
	n, ok := args[1].(*node)
	if !ok {
		return bad(name, args[1])
	}
	keys := make([]any, len(list))
	order := make([]int, len(list))
	for i, v := range list {
		keys[i], order[i] = e.do(n, v), i
	}
	compare := func(a, b int) int { return less(name, keys[a], keys[b]) }
	switch {
	case name == "map":
		return keys
	case name == "sort_by":
		slices.SortStableFunc(order, compare)
		out := make([]any, len(list))
		for i, at := range order {
			out[i] = list[at]
		}
		return out
	case len(list) == 0:
		return nil
	case name == "max_by":
		return list[slices.MaxFunc(order, compare)]
	}
	return list[slices.MinFunc(order, compare)]
}

func general(name string, args []any) any {
	m, _ := args[0].(*data.Map)
	switch name {
	case "type":
		return kind(args[0])
	case "not_null":
		for _, v := range args {
			if v != nil {
				return v
			}
		}
		return nil
	case "to_array":
		if _, ok := args[0].([]any); ok {
			return args[0]
		}
		return []any{args[0]}
	case "to_string":
		if s, ok := args[0].(string); ok {
			return s
		}
		text, err := json.Marshal(args[0])
		if err != nil {
			return bad(name, args[0])
		}
		return string(text)
	case "length":
		switch v := args[0].(type) {
		case string:
			return int64(utf8.RuneCountInString(v))
		case []any:
			return int64(len(v))
		case *data.Map:
			return int64(v.Len())
		}
		return bad(name, args[0])
	case "merge":
		out := &data.Map{}
		for _, v := range args {
			m, ok := v.(*data.Map)
			if !ok {
				return bad(name, v)
			}
			for k, value := range m.All() {
				out.Set(k, value)
			}
		}
		return out
	}
	if m == nil {
		return bad(name, args[0])
	}
	if name == "keys" {
		return m.Keys()
	}
	return values(m)
}
