package jinja

import (
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// onText makes a filter of a function of text.
func onText(run func(s string) string) Builtin {
	return filter("s", func(c *Call, b py.Bound) any {
		s := py.Str(c.Run, b[0])
		c.Alloc(len(s))
		return same(b[0], run(s))
	})
}

// same gives text the type of v.
func same(v any, s string) any {
	if _, ok := v.(py.Markup); ok {
		return py.Markup(s)
	}
	return s
}

func textFilters() map[string]Builtin {
	escape := filter("s", func(c *Call, b py.Bound) any {
		s := c.in.escaped(b[0])
		c.Alloc(len(s))
		return py.Markup(s)
	})
	return map[string]Builtin{
		"upper":      onText(strings.ToUpper),
		"lower":      onText(strings.ToLower),
		"capitalize": onText(py.Capitalize),
		"title":      onText(title),
		"string": filter("s", func(c *Call, b py.Bound) any {
			if _, ok := b[0].(py.Markup); ok {
				return b[0]
			}
			return py.Str(c.Run, b[0])
		}),
		"escape": escape, "e": escape,
		"forceescape": filter("s", func(c *Call, b py.Bound) any { return py.Escape(py.Str(c.Run, b[0])) }),
		"safe":        filter("s", func(c *Call, b py.Bound) any { return py.Markup(py.Str(c.Run, b[0])) }),
		"striptags": filter("s", func(c *Call, b py.Bound) any {
			s := py.Str(c.Run, b[0])
			c.Alloc(len(s))
			s = comments.ReplaceAllString(s, "")
			return html.UnescapeString(strings.Join(strings.Fields(tags.ReplaceAllString(s, "")), " "))
		}),
		"trim": filter("value chars?", func(c *Call, b py.Bound) any {
			return same(b[0], py.Strip(py.Str(c.Run, b[0]), b.Or(1, nil), true, true))
		}),
		"replace": filter("s old new count?", func(c *Call, b py.Bound) any {
			count := -1
			if n := b.Or(3, nil); n != nil {
				count = py.Index(n)
			}
			return same(b[0], py.Replace(c.Run, py.Str(c.Run, b[0]), py.Str(c.Run, b[1]), py.Str(c.Run, b[2]), count))
		}),
		"center": filter("value width?", func(c *Call, b py.Bound) any {
			return py.Center(c.Run, py.Str(c.Run, b[0]), b.Int(1, 80))
		}),
		"indent":    filter("s width? first? blank?", indent),
		"wordcount": filter("s", func(c *Call, b py.Bound) any { return int64(len(words.FindAllString(py.Str(c.Run, b[0]), -1))) }),
		"wordwrap":  filter("s width? break_long_words? wrapstring? break_on_hyphens?", wordwrap),
		"truncate":  filter("s length? killwords? end? leeway?", truncate),
		"format": filter("value * **", func(c *Call, b py.Bound) any {
			args, kw := b[1].(py.Tuple), b[2].(*py.Dict)
			if len(args) > 0 && kw.Len() > 0 {
				py.Raise(py.RuntimeError, "can't handle positional and keyword arguments at the same time")
			}
			if kw.Len() > 0 {
				return py.FormatPercent(c.Run, py.Str(c.Run, b[0]), kw)
			}
			return py.FormatPercent(c.Run, py.Str(c.Run, b[0]), args)
		}),
		"urlencode": filter("value", urlencode),
		"urlize":    filter("value trim_url_limit? nofollow? target? rel? extra_schemes?", urlize),
		"xmlattr":   filter("d autospace?", xmlattr),
		"tojson": filter("value indent?", func(c *Call, b py.Bound) any {
			indent := -1
			if v := b.Or(1, nil); v != nil {
				indent = py.Index(v)
			}
			text := JSON(c.Run, b[0], JSONStyle{Indent: indent, ASCII: true, Sorted: true})
			return py.Markup(forHTML.Replace(text))
		}),
		"pprint": filter("value", func(c *Call, b py.Bound) any { return Pretty(c.Run, b[0]) }),
	}
}

var (
	comments = regexp.MustCompile(`(?s)<!--.*?-->`)
	tags     = regexp.MustCompile(`(?s)<.*?>`)
	words    = regexp.MustCompile(`[\pL\pN_]+`)
	forHTML  = strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`, "'", `\u0027`)
)

// title makes the first letter of each word large, where words are between white space and brackets.
func title(s string) string {
	first := true
	return strings.Map(func(c rune) rune {
		was := first
		first = py.IsSpace(c) || strings.ContainsRune("-({[<", c)
		if was {
			return unicode.ToUpper(c)
		}
		return unicode.ToLower(c)
	}, s)
}

func indent(c *Call, b py.Bound) any {
	in := ""
	if w, ok := py.Text(b.Or(1, int64(4))); ok {
		in = w
	} else {
		n := max(b.Int(1, 4), 0)
		c.Alloc(n)
		in = strings.Repeat(" ", n)
	}
	s := py.Str(c.Run, b[0]) + "\n"
	lines := py.SplitLines(s, false)
	c.Alloc(len(s))
	c.Alloc(min(len(lines), 1<<30) * len(in))
	blank := b.Bool(c.Run, 3, false)
	for i, line := range lines {
		if i > 0 && (line != "" || blank) || i == 0 && b.Bool(c.Run, 2, false) {
			lines[i] = in + line
		}
	}
	return same(b[0], strings.Join(lines, "\n"))
}

func wordwrap(c *Call, b py.Bound) any {
	width, long, sep := b.Int(1, 79), b.Bool(c.Run, 2, true), "\n"
	if v := b.Or(3, nil); v != nil {
		sep = py.Str(c.Run, v)
	}
	if width <= 0 {
		py.Raise("ValueError", "invalid width %d (must be > 0)", width)
	}
	s := py.Str(c.Run, b[0])
	c.Alloc(len(s) * (1 + len(sep)))
	var out []string
	for _, line := range py.SplitLines(s, false) {
		out = append(out, strings.Join(wrapLine(line, width, long, b.Bool(c.Run, 4, true)), sep))
	}
	return strings.Join(out, sep)
}

var chunk = regexp.MustCompile(`\s+|[^\s-]*[^\s\W]-+|\S+?-{2,}|\S+`)

// wrapLine is textwrap.wrap without the white space being changed.
func wrapLine(line string, width int, long, hyphens bool) []string {
	pattern := regexp.MustCompile(`\s+|\S+`)
	if hyphens {
		pattern = chunk
	}
	chunks := pattern.FindAllString(line, -1)
	var lines []string
	for len(chunks) > 0 {
		if len(lines) > 0 && strings.TrimSpace(chunks[0]) == "" {
			chunks = chunks[1:]
			continue
		}
		var cur []string
		size := 0
		for len(chunks) > 0 && size+utf8.RuneCountInString(chunks[0]) <= width {
			size += utf8.RuneCountInString(chunks[0])
			cur, chunks = append(cur, chunks[0]), chunks[1:]
		}
		if len(chunks) > 0 && utf8.RuneCountInString(chunks[0]) > width {
			room := width - size
			switch r := []rune(chunks[0]); {
			case long:
				room = max(room, 1)
				cur = append(cur, string(r[:room]))
				chunks = append([]string{string(r[room:])}, chunks[1:]...)
			case len(cur) == 0:
				cur, chunks = chunks[:1], chunks[1:]
			}
		}
		if len(cur) > 0 && strings.TrimSpace(cur[len(cur)-1]) == "" {
			cur = cur[:len(cur)-1]
		}
		if len(cur) > 0 {
			lines = append(lines, strings.Join(cur, ""))
		}
	}
	return lines
}

func truncate(c *Call, b py.Bound) any {
	s := []rune(py.Str(c.Run, b[0]))
	c.Alloc(4 * len(s))
	length, end, leeway := b.Int(1, 255), []rune(b.Str(c.Run, 3, "...")), 5
	if v := b.Or(4, nil); v != nil {
		leeway = py.Index(v)
	}
	if length < len(end) {
		py.Raise("AssertionError", "expected length >= %d, got %d", len(end), length)
	}
	if leeway < 0 {
		py.Raise("AssertionError", "expected leeway >= 0, got %d", leeway)
	}
	if len(s) <= length+leeway {
		return same(b[0], string(s))
	}
	cut := string(s[:length-len(end)])
	if !b.Bool(c.Run, 2, false) {
		if i := strings.LastIndexByte(cut, ' '); i >= 0 {
			cut = cut[:i]
		}
	}
	return cut + string(end)
}

// quoted is urllib's quote_plus or quote with / left alone.
func quoted(s string, slash bool) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	if slash {
		return strings.ReplaceAll(s, "%2F", "/")
	}
	return strings.ReplaceAll(s, "%20", "+")
}

func urlencode(c *Call, b py.Bound) any {
	_, isText := py.Text(b[0])
	if isText || !py.IsIterable(b[0]) {
		s := py.Str(c.Run, b[0])
		c.Alloc(3 * len(s))
		return quoted(s, true)
	}
	pairs := b[0]
	if d, ok := b[0].(*py.Dict); ok {
		pairs = py.View{Of: d, Kind: "dict_items"}
	}
	var parts []string
	for _, p := range py.Collect(c.Run, pairs) {
		pair := py.Collect(c.Run, p)
		if len(pair) != 2 {
			py.Raise("ValueError", "not enough values to unpack (expected 2, got %d)", len(pair))
		}
		k, v := py.Str(c.Run, pair[0]), py.Str(c.Run, pair[1])
		c.Alloc(3 * (len(k) + len(v)))
		parts = append(parts, quoted(k, false)+"="+quoted(v, false))
	}
	return strings.Join(parts, "&")
}

var link = regexp.MustCompile(`^(?:https?://|www\.)[^\s<>"]+$`)

func urlize(c *Call, b py.Bound) any {
	s := py.Str(c.Run, b[0])
	c.Alloc(8 * len(s))
	rel := []string{"noopener"}
	if b.Bool(c.Run, 2, false) {
		rel = append(rel, "nofollow")
	}
	rel = append(rel, strings.Fields(b.Str(c.Run, 4, ""))...)
	slices.Sort(rel)
	attrs := ` rel="` + strings.Join(slices.Compact(rel), " ") + `"`
	if t := b.Or(3, nil); t != nil {
		attrs += ` target="` + string(py.Escape(py.Str(c.Run, t))) + `"`
	}
	parts := regexp.MustCompile(`\s+|\S+`).FindAllString(string(py.Escape(s)), -1)
	for i, word := range parts {
		if !link.MatchString(word) {
			continue
		}
		tail := word[len(strings.TrimRight(word, ".,;:!?)")):]
		word = strings.TrimSuffix(word, tail)
		href, text := word, word
		if strings.HasPrefix(word, "www.") {
			href = "https://" + word
		}
		if v := b.Or(1, nil); v != nil {
			if limit, r := py.Index(v), []rune(word); limit >= 0 && len(r) > limit {
				text = string(r[:limit]) + "..."
			}
		}
		parts[i] = `<a href="` + href + `"` + attrs + `>` + text + `</a>` + tail
	}
	out := strings.Join(parts, "")
	if c.in.escape {
		return py.Markup(out)
	}
	return out
}

func xmlattr(c *Call, b py.Bound) any {
	d, ok := b[0].(*py.Dict)
	if !ok {
		py.Raise("TypeError", "xmlattr wants a mapping, not %s", py.TypeOf(b[0]))
	}
	var parts []string
	d.Pairs(func(k, v any) {
		if _, undefined := v.(*py.Undefined); v == nil || undefined {
			return
		}
		key := py.Str(c.Run, k)
		if strings.ContainsAny(key, " />=\t\n\r\f") {
			py.Raise("ValueError", "Invalid character in attribute name: %s", py.Quote(key))
		}
		parts = append(parts, string(py.Escape(key))+`="`+c.in.escaped(v)+`"`)
	})
	out := strings.Join(parts, " ")
	if out != "" && b.Bool(c.Run, 1, true) {
		out = " " + out
	}
	c.Alloc(len(out))
	if c.in.escape {
		return py.Markup(out)
	}
	return out
}
