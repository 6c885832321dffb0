// Package jmespath queries values of package data with JMESPath (https://jmespath.org/specification.html), as the
// json_query filter of templates does.
package jmespath

import (
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
)

// Error says what is wrong with an expression, or with what it was applied to.
type Error struct{ Message string }

func (e *Error) Error() string { return e.Message }

func fail(format string, args ...any) { panic(&Error{fmt.Sprintf(format, args...)}) }

// Search gives what an expression finds in a value. Step is called for each value that is looked at, and may panic to
// stop it. The error is an *[Error].
func Search(expr string, v any, step func()) (out any, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		default:
			panic(e)
		}
	}()
	p := &parser{tokens: lex(expr)}
	n := p.parse(0)
	if t := p.cur(); t.kind != "eof" {
		fail("%s: unexpected %s", expr, t)
	}
	return (&eval{step: step}).do(n, v), nil
}

// node is one of an expression. What its children are depends on its kind.
type node struct {
	kind     string
	children []*node
	value    any // a literal, a field's name, an index, an operator
	names    []string
}

// eval applies expressions.
type eval struct{ step func() }

func truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case *data.Map:
		return v.Len() > 0
	}
	return true
}

func (e *eval) do(n *node, v any) any {
	e.step()
	switch n.kind {
	case "identity":
		return v
	case "literal":
		return n.value
	case "field":
		if m, ok := v.(*data.Map); ok {
			out, _ := m.Get(n.value)
			return out
		}
		return nil
	case "index":
		list, _ := v.([]any)
		i := n.value.(int)
		if i < 0 {
			i += len(list)
		}
		if i < 0 || i >= len(list) {
			return nil
		}
		return list[i]
	case "slice":
		return e.slice(n, v)
	case "sub", "pipe":
		return e.do(n.children[1], e.do(n.children[0], v))
	case "or":
		if left := e.do(n.children[0], v); truth(left) {
			return left
		}
		return e.do(n.children[1], v)
	case "and":
		if left := e.do(n.children[0], v); !truth(left) {
			return left
		}
		return e.do(n.children[1], v)
	case "not":
		return !truth(e.do(n.children[0], v))
	case "compare":
		return compare(n.value.(string), e.do(n.children[0], v), e.do(n.children[1], v))
	case "call":
		return e.call(n, v)
	case "reference":
		return n.children[0]
	}
	return e.many(n, v)
}

// many are the kinds that give lists and mappings.
func (e *eval) many(n *node, v any) any {
	switch n.kind {
	case "projection":
		list, ok := e.do(n.children[0], v).([]any)
		if !ok {
			return nil
		}
		return e.each(list, n.children[1], nil)
	case "filter":
		list, ok := e.do(n.children[0], v).([]any)
		if !ok {
			return nil
		}
		return e.each(list, n.children[1], n.children[2])
	case "values":
		m, ok := e.do(n.children[0], v).(*data.Map)
		if !ok {
			return nil
		}
		return e.each(values(m), n.children[1], nil)
	case "flatten":
		list, ok := e.do(n.children[0], v).([]any)
		if !ok {
			return nil
		}
		out := []any{}
		for _, item := range list {
			if inner, ok := item.([]any); ok {
				out = append(out, inner...)
			} else {
				out = append(out, item)
			}
		}
		return out
	case "list":
		if v == nil {
			return nil
		}
		out := make([]any, len(n.children))
		for i, c := range n.children {
			out[i] = e.do(c, v)
		}
		return out
	}
	if v == nil {
		return nil
	}
	m := &data.Map{}
	for i, c := range n.children {
		m.Set(n.names[i], e.do(c, v))
	}
	return m
}

// each applies an expression to those elements that a condition, if any, is true for, and keeps what is not null.
func (e *eval) each(list []any, n, condition *node) any {
	out := []any{}
	for _, item := range list {
		if condition != nil && !truth(e.do(condition, item)) {
			continue
		}
		if v := e.do(n, item); v != nil {
			out = append(out, v)
		}
	}
	return out
}

func values(m *data.Map) []any {
	out := []any{}
	for _, v := range m.All() {
		out = append(out, v)
	}
	return out
}

func (e *eval) slice(n *node, v any) any {
	list, ok := v.([]any)
	if !ok {
		return nil
	}
	bounds := n.value.([3]*int)
	step := 1
	if bounds[2] != nil {
		if step = *bounds[2]; step == 0 {
			fail("a slice's step cannot be 0")
		}
	}
	low, high := 0, len(list)
	start, stop := low, high
	if step < 0 {
		low, high = -1, len(list)-1
		start, stop = high, low
	}
	clamp := func(b *int, otherwise int) int {
		if b == nil {
			return otherwise
		}
		i := *b
		if i < 0 {
			i += len(list)
		}
		return min(max(i, low), high)
	}
	out := []any{}
	for i, end := clamp(bounds[0], start), clamp(bounds[1], stop); step > 0 && i < end || step < 0 && i > end; i += step {
		out = append(out, list[i])
	}
	return out
}

func compare(op string, a, b any) any {
	switch op {
	case "==":
		return data.Equal(a, b)
	case "!=":
		return !data.Equal(a, b)
	}
	x, ok := number(a)
	y, ok2 := number(b)
	if !ok || !ok2 {
		return nil
	}
	switch op {
	case "<":
		return x < y
	case "<=":
		return x <= y
	case ">":
		return x > y
	}
	return x >= y
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
