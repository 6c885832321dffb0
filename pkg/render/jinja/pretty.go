package jinja

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// Pretty is Python's pprint.pformat: one line when it fits into 80 characters, keys sorted.
func Pretty(r *py.Run, v any) string {
	p := &pretty{r: r}
	p.print(v, 0, 0, 0)
	return p.b.String()
}

type pretty struct {
	r *py.Run
	b strings.Builder
}

// print writes v at a column, with a number of characters that come behind it.
func (p *pretty) print(v any, column, behind, depth int) {
	if depth > 200 {
		py.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	flat := py.Repr(p.r, ordered(p.r, v, 0))
	if utf8.RuneCountInString(flat) <= 80-column-behind {
		p.b.WriteString(flat)
		return
	}
	switch v := v.(type) {
	case *py.List:
		p.items("[", v.Items, "]", column, behind, depth)
	case py.Tuple:
		right := ")"
		if len(v) == 1 {
			right = ",)"
		}
		p.items("(", v, right, column, behind, depth)
	case *py.Dict:
		keys := sortedKeys(p.r, v)
		p.b.WriteString("{")
		for i, k := range keys {
			p.between(i, column)
			key := py.Repr(p.r, k) + ": "
			p.b.WriteString(key)
			value, _ := v.Get(k)
			p.print(value, column+1+utf8.RuneCountInString(key), p.last(i, len(keys), behind), depth+1)
		}
		p.b.WriteString("}")
	case string, py.Markup:
		text, _ := py.Text(v)
		p.text(text, column, behind, depth)
	default:
		p.b.WriteString(flat)
	}
}

var wordAndSpace = regexp.MustCompile(`\S*\s*`)

// text writes a long string as several, one per line, which Python joins again.
func (p *pretty) text(s string, column, behind, depth int) {
	if depth == 0 {
		column, behind = column+1, behind+1
	}
	var chunks []string
	lines := py.SplitLines(s, true)
	for i, line := range lines {
		room := func(last bool) int {
			if last && i == len(lines)-1 {
				return 80 - column - behind
			}
			return 80 - column
		}
		fits := func(s string, last bool) bool { return utf8.RuneCountInString(py.Quote(s)) <= room(last) }
		if fits(line, true) {
			chunks = append(chunks, py.Quote(line))
			continue
		}
		cur := ""
		words := wordAndSpace.FindAllString(line, -1)
		for j, word := range words {
			p.r.Step(1 + len(cur)>>6)
			if !fits(cur+word, j == len(words)-1) {
				if cur != "" {
					chunks = append(chunks, py.Quote(cur))
				}
				cur = ""
			}
			cur += word
		}
		if cur != "" {
			chunks = append(chunks, py.Quote(cur))
		}
	}
	out := strings.Join(chunks, "\n"+strings.Repeat(" ", column))
	if depth == 0 && len(chunks) > 1 {
		out = "(" + out + ")"
	}
	p.r.Alloc(len(out))
	p.b.WriteString(out)
}

func (p *pretty) last(i, n, behind int) int {
	if i == n-1 {
		return behind + 1
	}
	return 1
}

func (p *pretty) between(i, column int) {
	if i > 0 {
		p.r.Alloc(column + 3)
		p.b.WriteString(",\n" + strings.Repeat(" ", column+1))
	}
}

func (p *pretty) items(left string, items []any, right string, column, behind, depth int) {
	p.b.WriteString(left)
	for i, item := range items {
		p.between(i, column)
		p.print(item, column+1, p.last(i, len(items), behind), depth+1)
	}
	p.b.WriteString(right)
}

// sortedKeys gives keys in the order that pprint gives them.
func sortedKeys(r *py.Run, d *py.Dict) []any {
	keys := d.Keys()
	r.Elements(len(keys))
	slices.SortStableFunc(keys, func(a, b any) int {
		switch {
		case py.TypeOf(a) != py.TypeOf(b) && (!py.IsNumber(a) || !py.IsNumber(b)) || a == nil:
			return strings.Compare(py.TypeOf(a), py.TypeOf(b))
		case py.Less(r, a, b):
			return -1
		case py.Less(r, b, a):
			return 1
		}
		return 0
	})
	return keys
}

// ordered is v with the keys of all its mappings sorted.
func ordered(r *py.Run, v any, depth int) any {
	if depth > 200 {
		py.Raise("RecursionError", "maximum recursion depth exceeded")
	}
	all := func(items []any) []any {
		r.Elements(len(items))
		out := make([]any, len(items))
		for i := range items {
			out[i] = ordered(r, items[i], depth+1)
		}
		return out
	}
	switch v := v.(type) {
	case *py.List:
		return &py.List{Items: all(v.Items)}
	case py.Tuple:
		return py.Tuple(all(v))
	case *py.Dict:
		out := &py.Dict{}
		for _, k := range sortedKeys(r, v) {
			value, _ := v.Get(k)
			r.Elements(4)
			out.Set(k, ordered(r, value, depth+1))
		}
		return out
	}
	return v
}
