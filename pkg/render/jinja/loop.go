package jinja

import (
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
)

// loop is what templates call loop.
type loop struct {
	in     *interp
	frame  *frame // around it
	node   *syntax.For
	depth  int64
	index  int64 // from 0
	length int   // -1 until it is known
	next   py.Iter
	ahead  []any // elements that were looked at before their turn
	before any
	value  any
	last   any // of changed()
	asked  bool
}

func (in *interp) loop(f *frame, s *syntax.For, over any, depth int64) {
	defer in.Enter()()
	in.at = s.Iter.At()
	next := py.Walk(in.Run, over)
	length := -1
	if s.Test != nil {
		next = in.only(f, s, next)
	} else if n, ok := py.Sized(over); ok {
		length = n
	}
	l := &loop{in: in, frame: f, node: s, depth: depth, index: -1, length: length, next: next}
	for l.advance() {
		inner := f.inner()
		inner.scope.set("loop", l)
		in.at = s.Target.At()
		in.assign(inner, s.Target, l.value)
		if in.exec(inner, s.Body) == breaks {
			break
		}
	}
	if l.index < 0 {
		in.exec(f.inner(), s.Else)
	}
}

// only gives those elements that the loop's condition is true for.
func (in *interp) only(f *frame, s *syntax.For, next py.Iter) py.Iter {
	return func() (any, bool) {
		for {
			v, ok := next()
			if !ok {
				return nil, false
			}
			inner := f.inner()
			in.assign(inner, s.Target, v)
			if in.truth(inner, s.Test) {
				return v, true
			}
		}
	}
}

func (l *loop) advance() bool {
	v, ok := l.peek(0)
	if !ok {
		return false
	}
	l.ahead = l.ahead[1:]
	l.before, l.value = l.value, v
	l.index++
	return true
}

// peek gives the element that is n behind the next one.
func (l *loop) peek(n int) (any, bool) {
	for len(l.ahead) <= n {
		v, ok := l.next()
		if !ok {
			return nil, false
		}
		l.ahead = append(l.ahead, v)
	}
	return l.ahead[n], true
}

func (l *loop) size() int64 {
	if l.length < 0 {
		for {
			if _, more := l.peek(len(l.ahead)); !more {
				break
			}
			l.in.Alloc(16)
		}
		l.length = int(l.index) + 1 + len(l.ahead)
	}
	return int64(l.length)
}

// TypeName is Jinja's.
func (l *loop) TypeName() string { return "jinja2.runtime.LoopContext" }

// Attr gives loop.index and the like.
func (l *loop) Attr(_ *py.Run, name string) (any, bool) {
	switch name {
	case "index":
		return l.index + 1, true
	case "index0":
		return l.index, true
	case "revindex":
		return l.size() - l.index, true
	case "revindex0":
		return l.size() - l.index - 1, true
	case "first":
		return l.index == 0, true
	case "last":
		_, more := l.peek(0)
		return !more, true
	case "length":
		return l.size(), true
	case "depth":
		return l.depth, true
	case "depth0":
		return l.depth - 1, true
	case "previtem":
		if l.index == 0 {
			return l.in.undefined("there is no previous item"), true
		}
		return l.before, true
	case "nextitem":
		if v, ok := l.peek(0); ok {
			return v, true
		}
		return l.in.undefined("there is no next item"), true
	case "cycle":
		return &py.Func{Name: "cycle", Fn: func(_ *py.Run, args []any, _ []py.Kw) any {
			if len(args) == 0 {
				py.Raise("TypeError", "no items for cycling given")
			}
			return args[int(l.index)%len(args)]
		}}, true
	case "changed":
		return &py.Func{Name: "changed", Fn: func(r *py.Run, args []any, _ []py.Kw) any {
			if l.asked && py.Equal(r, l.last, py.Tuple(args)) {
				return false
			}
			l.asked, l.last = true, py.Tuple(args)
			return true
		}}, true
	}
	return nil, false
}

// Call renders the loop again, one level deeper, over something else.
func (l *loop) Call(r *py.Run, args []any, kw []py.Kw) any {
	b := py.Bind("loop", []string{"iterable"}, args, kw)
	if !l.node.Recursive {
		py.Raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.")
	}
	if u, ok := b[0].(*py.Undefined); ok {
		u.Raise()
	}
	_ = r
	return l.in.capture(func() { l.in.loop(l.frame, l.node, b[0], l.depth+1) })
}
