package py

import (
	"cmp"
	"math"
	"math/big"
	"strings"
	"unicode/utf8"
)

// Binary computes a op b for one of + - * / // % **.
func Binary(r *Run, op string, a, b any) any {
	for _, v := range []any{a, b} {
		if u, ok := v.(*Undefined); ok {
			u.raise()
		}
	}
	if IsNumber(a) && IsNumber(b) {
		return arithmetic(r, op, a, b)
	}
	var v any
	ok := false
	switch op {
	case "+":
		v, ok = add(r, a, b)
	case "*":
		v, ok = multiply(r, a, b)
	case "%":
		switch s := a.(type) {
		case string:
			return FormatPercent(r, s, b)
		case Markup:
			return Markup(FormatPercent(r, string(s), b))
		}
	case "-":
		x, isSet := a.(*Set)
		y, isSet2 := b.(*Set)
		if isSet && isSet2 {
			return x.filter(r, func(v any) bool { return !y.Has(v) })
		}
	}
	if !ok {
		if op == "**" {
			op = "** or pow()"
		}
		Raise("TypeError", "unsupported operand type(s) for %s: '%s' and '%s'", op, TypeOf(a), TypeOf(b))
	}
	return v
}

func (s *Set) filter(r *Run, keep func(any) bool) *Set {
	out := &Set{}
	for _, v := range s.d.Keys() {
		r.Elements(4)
		if keep(v) {
			out.Add(v)
		}
	}
	return out
}

func add(r *Run, a, b any) (any, bool) {
	switch x := a.(type) {
	case string:
		switch y := b.(type) {
		case string:
			r.Alloc(len(x) + len(y))
			return x + y, true
		case Markup:
			r.Alloc(6*len(x) + len(y))
			return Escape(x) + y, true
		}
		Raise("TypeError", `can only concatenate str (not "%s") to str`, TypeOf(b))
	case Markup:
		switch y := b.(type) {
		case string:
			r.Alloc(len(x) + 6*len(y))
			return x + Escape(y), true
		case Markup:
			r.Alloc(len(x) + len(y))
			return x + y, true
		}
	case Bytes:
		if y, ok := b.(Bytes); ok {
			r.Alloc(len(x) + len(y))
			return x + y, true
		}
		Raise("TypeError", "can't concat %s to bytes", TypeOf(b))
	case *List:
		y, ok := b.(*List)
		if !ok {
			Raise("TypeError", `can only concatenate list (not "%s") to list`, TypeOf(b))
		}
		r.Elements(len(x.Items) + len(y.Items))
		return NewList(append(append(make([]any, 0, len(x.Items)+len(y.Items)), x.Items...), y.Items...)...), true
	case Tuple:
		y, ok := b.(Tuple)
		if !ok {
			Raise("TypeError", `can only concatenate tuple (not "%s") to tuple`, TypeOf(b))
		}
		r.Elements(len(x) + len(y))
		return append(append(make(Tuple, 0, len(x)+len(y)), x...), y...), true
	}
	return nil, false
}

func multiply(r *Run, a, b any) (any, bool) {
	if _, ok := asInt(a); ok {
		a, b = b, a
	}
	n, ok := asInt(b)
	if !ok {
		return nil, false
	}
	n = max(n, 0)
	times := func(size int) int {
		if n > 0 && int64(size) > math.MaxInt32*64/n {
			r.Alloc(math.MaxInt32 * 64)
		}
		return size * int(n)
	}
	switch x := a.(type) {
	case string:
		r.Alloc(times(len(x)))
		return repeat(x, n), true
	case Markup:
		r.Alloc(times(len(x)))
		return Markup(repeat(string(x), n)), true
	case Bytes:
		r.Alloc(times(len(x)))
		return Bytes(repeat(string(x), n)), true
	case *List:
		r.Elements(times(len(x.Items)))
		return &List{Items: repeatItems(x.Items, n)}, true
	case Tuple:
		r.Elements(times(len(x)))
		return Tuple(repeatItems(x, n)), true
	}
	return nil, false
}

func repeat(s string, n int64) string {
	if s == "" {
		return ""
	}
	return strings.Repeat(s, int(n))
}

func repeatItems(items []any, n int64) []any {
	if len(items) == 0 {
		return nil
	}
	out := make([]any, 0, len(items)*int(n))
	for range n {
		out = append(out, items...)
	}
	return out
}

func arithmetic(r *Run, op string, a, b any) any {
	x, xInt := asInt(a)
	y, yInt := asInt(b)
	if xInt && yInt {
		if v, ok := small(op, x, y); ok {
			return v
		}
	}
	p, pInt := toBig(a)
	q, qInt := toBig(b)
	if pInt && qInt && op != "/" && (op != "**" || q.Sign() >= 0) {
		return large(r, op, p, q)
	}
	f, _ := toFloat(a)
	g, _ := toFloat(b)
	return floats(op, f, g, pInt && qInt)
}

// small computes what needs no more than 64 bits.
func small(op string, x, y int64) (any, bool) {
	switch op {
	case "+":
		if s := x + y; (s > x) == (y > 0) {
			return s, true
		}
	case "-":
		if s := x - y; (s < x) == (y > 0) {
			return s, true
		}
	case "*":
		if x == 0 || y == 0 {
			return int64(0), true
		}
		if p := x * y; p/y == x && x != math.MinInt64 && y != math.MinInt64 {
			return p, true
		}
	case "/":
		if y != 0 {
			return float64(x) / float64(y), true
		}
	case "//", "%":
		if y == 0 {
			Raise("ZeroDivisionError", "integer division or modulo by zero")
		}
		if x == math.MinInt64 {
			return nil, false
		}
		quotient, rest := x/y, x%y
		if rest != 0 && (rest < 0) != (y < 0) {
			quotient, rest = quotient-1, rest+y
		}
		if op == "//" {
			return quotient, true
		}
		return rest, true
	}
	return nil, false
}

func large(r *Run, op string, p, q *big.Int) any {
	bits := p.BitLen() + q.BitLen()
	switch op {
	case "*":
		r.Alloc(bits / 8)
		r.Step(1 + (p.BitLen()/64)*(q.BitLen()/64)/16)
		return Norm(new(big.Int).Mul(p, q))
	case "**":
		if p.BitLen() > 1 && (!q.IsInt64() || q.Int64() > 1<<20 || int64(p.BitLen())*q.Int64() > 1<<20) {
			Raise(LimitError, "the number is too large")
		}
		r.Step(int(q.Int64()))
		if p.BitLen() <= 1 { // 0, 1, -1
			q = new(big.Int).And(q, big.NewInt(1))
			if p.Sign() == 0 && q.Sign() == 0 {
				return int64(0)
			}
		}
		v := new(big.Int).Exp(p, q, nil)
		r.Alloc(v.BitLen() / 8)
		return Norm(v)
	}
	r.Alloc(bits / 8)
	r.Step(1 + bits/64)
	switch op {
	case "+":
		return Norm(new(big.Int).Add(p, q))
	case "-":
		return Norm(new(big.Int).Sub(p, q))
	}
	if q.Sign() == 0 {
		Raise("ZeroDivisionError", "integer division or modulo by zero")
	}
	r.Step(1 + (p.BitLen()/64)*(q.BitLen()/64)/16)
	quotient, rest := new(big.Int).QuoRem(p, q, new(big.Int))
	if rest.Sign() != 0 && rest.Sign() != q.Sign() {
		quotient.Sub(quotient, big.NewInt(1))
		rest.Add(rest, q)
	}
	if op == "//" {
		return Norm(quotient)
	}
	return Norm(rest)
}

func floats(op string, f, g float64, ints bool) any {
	switch op {
	case "+":
		return f + g
	case "-":
		return f - g
	case "*":
		return f * g
	case "**":
		if f == 0 && g < 0 {
			Raise("ZeroDivisionError", "0.0 cannot be raised to a negative power")
		}
		v := math.Pow(f, g)
		if math.IsInf(v, 0) && !math.IsInf(f, 0) && !math.IsInf(g, 0) {
			Raise("OverflowError", "(34, 'Numerical result out of range')")
		}
		return v
	case "/":
		if g == 0 {
			if ints {
				Raise("ZeroDivisionError", "division by zero")
			}
			Raise("ZeroDivisionError", "float division by zero")
		}
		return f / g
	case "//":
		if g == 0 {
			Raise("ZeroDivisionError", "float floor division by zero")
		}
		return math.Floor(f / g)
	}
	if g == 0 {
		Raise("ZeroDivisionError", "float modulo")
	}
	rest := math.Mod(f, g)
	if rest != 0 && (rest < 0) != (g < 0) {
		rest += g
	}
	return rest
}

// Negate computes -v.
func Negate(v any) any {
	switch v := v.(type) {
	case *Undefined:
		v.raise()
	case float64:
		return -v
	default:
		if n, ok := toBig(v); ok {
			return Norm(new(big.Int).Neg(n))
		}
	}
	Raise("TypeError", "bad operand type for unary -: '%s'", TypeOf(v))
	return nil
}

// Plus computes +v.
func Plus(v any) any {
	if b, ok := v.(bool); ok {
		n, _ := asInt(b)
		return n
	}
	if u, ok := v.(*Undefined); ok {
		u.raise()
	}
	if !IsNumber(v) {
		Raise("TypeError", "bad operand type for unary +: '%s'", TypeOf(v))
	}
	return v
}

// Equal is Python's ==.
func Equal(r *Run, a, b any) bool { return equal(r, a, b, 0) }

func equal(r *Run, a, b any, depth int) bool {
	r.Step(1)
	if depth > 500 {
		Raise("RecursionError", "maximum recursion depth exceeded in comparison")
	}
	for _, v := range []any{a, b} {
		if u, ok := v.(*Undefined); ok {
			u.Raise()
			_, both := a.(*Undefined)
			_, both2 := b.(*Undefined)
			return both && both2
		}
	}
	if IsNumber(a) && IsNumber(b) {
		c, ok := compareNumbers(a, b)
		return ok && c == 0
	}
	if s, ok := Text(a); ok {
		t, ok := Text(b)
		return ok && s == t
	}
	switch x := a.(type) {
	case nil:
		return b == nil
	case *List:
		y, ok := b.(*List)
		return ok && (x == y || equalItems(r, x.Items, y.Items, depth))
	case Tuple:
		y, ok := b.(Tuple)
		return ok && equalItems(r, x, y, depth)
	case *Dict:
		y, ok := b.(*Dict)
		return ok && (x == y || equalDicts(r, x, y, depth))
	case *Set:
		y, ok := b.(*Set)
		return ok && x.Len() == y.Len() && x.filter(r, y.Has).Len() == y.Len()
	case Bytes:
		return b == any(x)
	case *Slice:
		return false
	}
	switch b.(type) {
	case Tuple:
		return false
	}
	return a == b
}

func equalItems(r *Run, a, b []any, depth int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !equal(r, a[i], b[i], depth+1) {
			return false
		}
	}
	return true
}

func equalDicts(r *Run, a, b *Dict, depth int) bool {
	if a.Len() != b.Len() {
		return false
	}
	same := true
	a.Pairs(func(k, v any) {
		if same {
			other, ok := b.Get(k)
			same = ok && equal(r, v, other, depth+1)
		}
	})
	return same
}

// compareNumbers gives -1, 0 or 1, and false when one is no number.
func compareNumbers(a, b any) (int, bool) {
	if m, ok := asInt(a); ok {
		if n, ok := asInt(b); ok {
			return cmp.Compare(m, n), true
		}
	}
	p, pInt := toBig(a)
	q, qInt := toBig(b)
	if pInt && qInt {
		return p.Cmp(q), true
	}
	x, isInt := asInt(a)
	y, isInt2 := asInt(b)
	f, fOk := a.(float64)
	g, gOk := b.(float64)
	switch {
	case isInt:
		f, fOk = float64(x), true
	case isInt2:
		g, gOk = float64(y), true
	}
	if !fOk || !gOk { // a large integer and a float
		sign := 1
		n, other := p, g
		if !pInt {
			n, other, sign = q, f, -1
		}
		switch {
		case math.IsNaN(other):
			return 0, false
		case math.IsInf(other, 1):
			return -sign, true
		case math.IsInf(other, -1):
			return sign, true
		}
		return sign * new(big.Float).SetInt(n).Cmp(big.NewFloat(other)), true
	}
	switch {
	case f < g:
		return -1, true
	case f > g:
		return 1, true
	case f == g:
		return 0, true
	}
	return 0, false
}

// Compare computes a op b for one of == != < <= > >=.
func Compare(r *Run, op string, a, b any) bool {
	switch op {
	case "==":
		return Equal(r, a, b)
	case "!=":
		return !Equal(r, a, b)
	}
	c, ok := order(r, a, b, op, 0)
	if !ok {
		return false
	}
	switch op {
	case "<":
		return c < 0
	case "<=":
		return c <= 0
	case ">":
		return c > 0
	}
	return c >= 0
}

// Less is a < b.
func Less(r *Run, a, b any) bool { return Compare(r, "<", a, b) }

func order(r *Run, a, b any, op string, depth int) (int, bool) {
	r.Step(1)
	for _, v := range []any{a, b} {
		if u, ok := v.(*Undefined); ok {
			u.raise()
		}
	}
	if depth > 500 {
		Raise("RecursionError", "maximum recursion depth exceeded in comparison")
	}
	if IsNumber(a) && IsNumber(b) {
		return compareNumbers(a, b)
	}
	if s, ok := Text(a); ok {
		if t, ok := Text(b); ok {
			r.Step(min(len(s), len(t)) >> 6)
			return strings.Compare(s, t), true
		}
	}
	switch x := a.(type) {
	case *List:
		if y, ok := b.(*List); ok {
			return orderItems(r, x.Items, y.Items, op, depth)
		}
	case Tuple:
		if y, ok := b.(Tuple); ok {
			return orderItems(r, x, y, op, depth)
		}
	case Bytes:
		if y, ok := b.(Bytes); ok {
			return strings.Compare(string(x), string(y)), true
		}
	case *Set:
		if y, ok := b.(*Set); ok {
			common := x.filter(r, y.Has).Len()
			switch {
			case common == x.Len() && common == y.Len():
				return 0, true
			case common == x.Len():
				return -1, true
			case common == y.Len():
				return 1, true
			}
			return 0, false
		}
	}
	Raise("TypeError", "'%s' not supported between instances of '%s' and '%s'", op, TypeOf(a), TypeOf(b))
	return 0, false
}

func orderItems(r *Run, a, b []any, op string, depth int) (int, bool) {
	for i := range min(len(a), len(b)) {
		if !equal(r, a[i], b[i], depth+1) {
			return order(r, a[i], b[i], op, depth+1)
		}
	}
	switch {
	case len(a) < len(b):
		return -1, true
	case len(a) > len(b):
		return 1, true
	}
	return 0, true
}

// Contains is v in container.
func Contains(r *Run, container, v any) bool {
	switch c := container.(type) {
	case *Dict:
		_, ok := c.Get(v)
		return ok
	case *Set:
		return c.Has(v)
	case Container:
		return c.Contains(r, v)
	case View:
		if c.Kind == "dict_keys" {
			_, ok := c.Of.Get(v)
			return ok
		}
	case string, Markup:
		s, _ := Text(c)
		if u, ok := v.(*Undefined); ok {
			u.raise()
		}
		t, ok := Text(v)
		if !ok {
			Raise("TypeError", "'in <string>' requires string as left operand, not %s", TypeOf(v))
		}
		r.Step(len(s) >> 6)
		return strings.Contains(s, t)
	case Bytes:
		if b, ok := v.(Bytes); ok {
			return strings.Contains(string(c), string(b))
		}
	}
	next, ok := walk(r, container)
	if !ok {
		Raise("TypeError", "argument of type '%s' is not iterable", TypeOf(container))
	}
	for {
		item, ok := next()
		if !ok {
			return false
		}
		if identical(item, v) || Equal(r, item, v) {
			return true
		}
	}
}

// identical is Python's is, for what has an identity here.
func identical(a, b any) bool {
	switch a.(type) {
	case *List, *Dict, *Set:
		return a == b
	}
	return false
}

// Identical reports whether two values are the same object.
func Identical(a, b any) bool {
	switch x := a.(type) {
	case Tuple:
		y, ok := b.(Tuple)
		return ok && len(x) == len(y) && (len(x) == 0 || &x[0] == &y[0])
	case Range, View, float64:
		return false
	}
	switch b.(type) {
	case Tuple:
		return false
	}
	return a == b
}

// Subscript gives v[key], and false when there is no such element.
func Subscript(r *Run, v, key any) (any, bool) {
	switch v := v.(type) {
	case *Dict:
		switch key.(type) {
		case *List, *Dict, *Slice, *Set:
			return nil, false
		}
		return v.Get(key)
	case *Undefined:
		v.raise()
	case Indexer:
		return v.Index(r, key)
	}
	if u, ok := key.(*Undefined); ok {
		u.raise()
	}
	if s, ok := key.(*Slice); ok {
		return slice(r, v, s)
	}
	n, ok := asInt(key)
	if !ok {
		return nil, false
	}
	at := func(length int) (int, bool) {
		if n < 0 {
			n += int64(length)
		}
		return int(n), n >= 0 && n < int64(length)
	}
	switch v := v.(type) {
	case *List:
		if i, ok := at(len(v.Items)); ok {
			return v.Items[i], true
		}
	case Tuple:
		if i, ok := at(len(v)); ok {
			return v[i], true
		}
	case Range:
		if i, ok := at(v.Len()); ok {
			return v.Start + int64(i)*v.Step, true
		}
	case Bytes:
		if i, ok := at(len(v)); ok {
			return int64(v[i]), true
		}
	case string, Markup:
		s, _ := Text(v)
		if i, ok := at(utf8.RuneCountInString(s)); ok {
			r.Step(len(s) >> 6)
			for i > 0 {
				_, n := utf8.DecodeRuneInString(s)
				s = s[n:]
				i--
			}
			_, n := utf8.DecodeRuneInString(s)
			return like(v, s[:n]), true
		}
	}
	return nil, false
}

// like gives text the type of v.
func like(v any, text string) any {
	if _, ok := v.(Markup); ok {
		return Markup(text)
	}
	return text
}

// bounds computes where a slice of something of a length begins, by what it steps and how many elements it has.
func (s *Slice) bounds(length int) (start, step, count int) {
	step = 1
	if s.Step != nil {
		step = Index(s.Step)
	}
	if step == 0 {
		Raise("ValueError", "slice step cannot be zero")
	}
	low, high := 0, length
	start, stop := 0, length
	if step < 0 {
		low, high = -1, length-1
		start, stop = high, low
	}
	clamp := func(v any, otherwise int) int {
		if v == nil {
			return otherwise
		}
		n := Index(v)
		if n < 0 {
			n += length
		}
		return min(max(n, low), high)
	}
	start, stop = clamp(s.Start, start), clamp(s.Stop, stop)
	return start, step, Range{Start: int64(start), Stop: int64(stop), Step: int64(step)}.Len()
}

func slice(r *Run, v any, s *Slice) (any, bool) {
	pick := func(items []any) []any {
		start, step, count := s.bounds(len(items))
		r.Elements(count)
		out := make([]any, count)
		for i := range out {
			out[i] = items[start+i*step]
		}
		return out
	}
	switch v := v.(type) {
	case *List:
		return &List{Items: pick(v.Items)}, true
	case Tuple:
		return Tuple(pick(v)), true
	case Bytes:
		start, step, count := s.bounds(len(v))
		r.Alloc(count)
		out := make([]byte, count)
		for i := range out {
			out[i] = v[start+i*step]
		}
		return Bytes(out), true
	case Range:
		start, step, count := s.bounds(v.Len())
		from := v.Start + int64(start)*v.Step
		return Range{Start: from, Stop: from + int64(count)*int64(step)*v.Step, Step: int64(step) * v.Step}, true
	case string, Markup:
		text, _ := Text(v)
		r.Alloc(4 * len(text))
		runes := []rune(text)
		start, step, count := s.bounds(len(runes))
		out := make([]rune, count)
		for i := range out {
			out[i] = runes[start+i*step]
		}
		return like(v, string(out)), true
	}
	return nil, false
}

var escaper = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")

// Escape makes text safe in HTML.
func Escape(s string) Markup { return Markup(escaper.Replace(s)) }
