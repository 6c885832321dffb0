package py

import (
	"encoding/hex"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// textMethod is a method of text that gives text of the same type.
func textMethod(run func(r *Run, s string, b Bound) string, params ...string) method {
	return method{params, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Alloc(len(s))
		return like(self, run(r, s, b))
	}}
}

func simple(run func(string) string) method {
	return textMethod(func(_ *Run, s string, _ Bound) string { return run(s) })
}

// is is a method that asks something about text.
func is(run func(string) bool) method {
	return method{nil, func(r *Run, self any, _ Bound) any {
		s, _ := Text(self)
		r.Step(len(s) >> 6)
		return run(s)
	}}
}

// all reports whether text is not empty and all of it is so.
func all(f func(rune) bool) method {
	return is(func(s string) bool {
		return s != "" && strings.IndexFunc(s, func(c rune) bool { return !f(c) }) < 0
	})
}

func pad(r *Run, s string, b Bound, place func(missing int) (left int)) string {
	fill := b.Text(1, " ")
	if utf8.RuneCountInString(fill) != 1 {
		Raise("TypeError", "The fill character must be exactly one character long")
	}
	missing := Index(b[0]) - utf8.RuneCountInString(s)
	if missing <= 0 {
		return s
	}
	r.Alloc(missing)
	r.Alloc(missing * len(fill))
	left := place(missing)
	return strings.Repeat(fill, left) + s + strings.Repeat(fill, missing-left)
}

// Center puts text in the middle of a width, as str.center does.
func Center(r *Run, s string, width int) string {
	return pad(r, s, Bound{int64(width), missing{}}, func(n int) int {
		return n/2 + n&width&1
	})
}

func strip(name string, left, right bool) method {
	return textMethod(func(_ *Run, s string, b Bound) string {
		if v := b.Or(0, nil); v != nil {
			if _, ok := Text(v); !ok {
				Raise("TypeError", "%s arg must be None or str", name)
			}
		}
		return Strip(s, b.Or(0, nil), left, right)
	}, "chars?")
}

// Strip takes characters off the ends of text: white space when chars is nil.
func Strip(s string, chars any, left, right bool) string {
	cut := func(c rune) bool { return IsSpace(c) }
	if set, ok := Text(chars); ok {
		cut = func(c rune) bool { return strings.ContainsRune(set, c) }
	}
	if left {
		s = strings.TrimLeftFunc(s, cut)
	}
	if right {
		s = strings.TrimRightFunc(s, cut)
	}
	return s
}

// IsSpace reports what Python takes for white space.
func IsSpace(c rune) bool { return unicode.IsSpace(c) || c >= 0x1c && c <= 0x1f }

// Title is str.title: letters after others are lower, first ones upper.
func Title(s string) string {
	inside := false
	return strings.Map(func(c rune) rune {
		was := inside
		inside = unicode.IsLetter(c)
		if was {
			return unicode.ToLower(c)
		}
		return unicode.ToTitle(c)
	}, s)
}

// Capitalize is str.capitalize.
func Capitalize(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + strings.ToLower(s[n:])
}

// part gives the part of text that start and stop name, and at which character it begins.
func part(s string, start, stop any) (string, int) {
	if start == nil && stop == nil {
		return s, 0
	}
	length := utf8.RuneCountInString(s)
	from, _, count := (&Slice{Start: start, Stop: stop}).bounds(length)
	runes := []rune(s)
	return string(runes[from : from+count]), from
}

func find(name string, last bool) method {
	return method{[]string{"sub", "start?", "end?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Alloc(len(s))
		s, from := part(s, b.Or(1, nil), b.Or(2, nil))
		sub := MustText(b[0])
		i := strings.Index(s, sub)
		if last {
			i = strings.LastIndex(s, sub)
		}
		switch {
		case i >= 0:
			return int64(from + utf8.RuneCountInString(s[:i]))
		case strings.HasSuffix(name, "index"):
			Raise("ValueError", "substring not found")
		}
		return int64(-1)
	}}
}

func affix(has func(s, affix string) bool) method {
	return method{[]string{"prefix", "start?", "end?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Step(1 + len(s)>>6)
		s, _ = part(s, b.Or(1, nil), b.Or(2, nil))
		options, ok := b[0].(Tuple)
		if !ok {
			options = Tuple{b[0]}
		}
		for _, o := range options {
			if has(s, MustText(o)) {
				return true
			}
		}
		return false
	}}
}

func split(fromRight bool) method {
	return method{[]string{"sep?", "maxsplit?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		most := b.Int(1, -1)
		var parts []string
		sep := b.Or(0, nil)
		if sep == nil {
			parts = fields(s, most, fromRight)
		} else {
			parts = splitOn(s, MustText(sep), most, fromRight)
		}
		r.Elements(len(parts))
		r.Alloc(len(s))
		items := make([]any, len(parts))
		for i, p := range parts {
			items[i] = like(self, p)
		}
		return &List{Items: items}
	}}
}

func splitOn(s, sep string, most int, fromRight bool) []string {
	if sep == "" {
		Raise("ValueError", "empty separator")
	}
	if most < 0 {
		return strings.Split(s, sep)
	}
	if !fromRight {
		return strings.SplitN(s, sep, most+1)
	}
	var tail []string
	for len(tail) < most {
		i := strings.LastIndex(s, sep)
		if i < 0 {
			break
		}
		tail = append(tail, s[i+len(sep):])
		s = s[:i]
	}
	parts := []string{s}
	slices.Reverse(tail)
	return append(parts, tail...)
}

func fields(s string, most int, fromRight bool) []string {
	if most < 0 {
		return strings.FieldsFunc(s, IsSpace)
	}
	var parts []string
	if fromRight {
		for s = strings.TrimRightFunc(s, IsSpace); s != ""; s = strings.TrimRightFunc(s, IsSpace) {
			i := strings.LastIndexFunc(s, IsSpace)
			if len(parts) == most || i < 0 {
				i = -1
			} else {
				_, n := utf8.DecodeRuneInString(s[i:])
				i += n - 1
			}
			parts = append([]string{s[i+1:]}, parts...)
			s = s[:i+1]
		}
		return parts
	}
	for s = strings.TrimLeftFunc(s, IsSpace); s != ""; s = strings.TrimLeftFunc(s, IsSpace) {
		i := strings.IndexFunc(s, IsSpace)
		if len(parts) == most || i < 0 {
			return append(parts, s)
		}
		parts = append(parts, s[:i])
		s = s[i:]
	}
	return parts
}

// SplitLines is str.splitlines.
func SplitLines(s string, keep bool) []string {
	var lines []string
	for s != "" {
		i := strings.IndexFunc(s, func(c rune) bool {
			return c >= '\n' && c <= '\r' || c >= 0x1c && c <= 0x1e || c == 0x85 || c == 0x2028 || c == 0x2029
		})
		if i < 0 {
			return append(lines, s)
		}
		_, n := utf8.DecodeRuneInString(s[i:])
		if strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		if keep {
			lines = append(lines, s[:i+n])
		} else {
			lines = append(lines, s[:i])
		}
		s = s[i+n:]
	}
	return lines
}

func partition(last bool) method {
	return method{[]string{"sep"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		sep := MustText(b[0])
		if sep == "" {
			Raise("ValueError", "empty separator")
		}
		r.Alloc(len(s))
		i := strings.Index(s, sep)
		if last {
			i = strings.LastIndex(s, sep)
		}
		switch {
		case i >= 0:
			return Tuple{like(self, s[:i]), like(self, sep), like(self, s[i+len(sep):])}
		case last:
			return Tuple{"", "", self}
		}
		return Tuple{self, "", ""}
	}}
}

// Replace is str.replace; most is negative for all.
func Replace(r *Run, s, from, to string, most int) string {
	n := strings.Count(s, from)
	if most >= 0 {
		n = min(n, most)
	}
	r.Step(len(s) >> 4)
	if extra := len(to) - len(from); extra > 0 {
		r.Alloc(min(n, 1<<31) * extra)
	}
	r.Alloc(len(s))
	return strings.Replace(s, from, to, n)
}

// Join is str.join over values that must be text.
func Join(r *Run, sep string, v any) string {
	var out strings.Builder
	i := 0
	for next := Walk(r, v); ; i++ {
		item, ok := next()
		if !ok {
			return out.String()
		}
		s, ok := Text(item)
		if !ok {
			if u, ok := item.(*Undefined); ok {
				u.raise()
			}
			Raise("TypeError", "sequence item %d: expected str instance, %s found", i, TypeOf(item))
		}
		r.Alloc(len(s) + len(sep))
		if i > 0 {
			out.WriteString(sep)
		}
		out.WriteString(s)
	}
}

func cased(want func(rune) bool, other func(rune) bool) method {
	return is(func(s string) bool { return strings.ContainsFunc(s, want) && !strings.ContainsFunc(s, other) })
}

var strMethods = map[string]method{
	"capitalize": simple(Capitalize),
	"casefold":   simple(func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "ß", "ss") }),
	"lower":      simple(strings.ToLower),
	"upper":      simple(func(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "ß", "SS")) }),
	"title":      simple(Title),
	"swapcase": simple(func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsUpper(c) {
				return unicode.ToLower(c)
			}
			return unicode.ToUpper(c)
		}, s)
	}),
	"strip":  strip("strip", true, true),
	"lstrip": strip("lstrip", true, false),
	"rstrip": strip("rstrip", false, true),
	"center": textMethod(func(r *Run, s string, b Bound) string {
		return pad(r, s, b, func(n int) int { return n/2 + n&Index(b[0])&1 })
	}, "width", "fillchar?"),
	"ljust": textMethod(func(r *Run, s string, b Bound) string {
		return pad(r, s, b, func(int) int { return 0 })
	}, "width", "fillchar?"),
	"rjust": textMethod(func(r *Run, s string, b Bound) string {
		return pad(r, s, b, func(n int) int { return n })
	}, "width", "fillchar?"),
	"zfill": textMethod(func(r *Run, s string, b Bound) string {
		sign := ""
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[:1], s[1:]
		}
		width := int64(Index(b[0]) - len(sign))
		return sign + pad(r, s, Bound{width, "0"}, func(n int) int { return n })
	}, "width"),
	"expandtabs": textMethod(func(r *Run, s string, b Bound) string {
		size := b.Int(0, 8)
		var out strings.Builder
		column := 0
		for _, c := range s {
			switch c {
			case '\t':
				n := 0
				if size > 0 {
					n = size - column%size
				}
				r.Alloc(n)
				out.WriteString(strings.Repeat(" ", n))
				column += n
			case '\n', '\r':
				out.WriteRune(c)
				column = 0
			default:
				out.WriteRune(c)
				column++
			}
		}
		return out.String()
	}, "tabsize?"),
	"replace": textMethod(func(r *Run, s string, b Bound) string {
		return Replace(r, s, MustText(b[0]), MustText(b[1]), b.Int(2, -1))
	}, "old", "new", "count?"),
	"removeprefix": textMethod(func(_ *Run, s string, b Bound) string {
		return strings.TrimPrefix(s, MustText(b[0]))
	}, "prefix"),
	"removesuffix": textMethod(func(_ *Run, s string, b Bound) string {
		return strings.TrimSuffix(s, MustText(b[0]))
	}, "suffix"),
	"join":       textMethod(func(r *Run, s string, b Bound) string { return Join(r, s, b[0]) }, "iterable"),
	"find":       find("find", false),
	"rfind":      find("rfind", true),
	"index":      find("index", false),
	"rindex":     find("rindex", true),
	"startswith": affix(strings.HasPrefix),
	"endswith":   affix(strings.HasSuffix),
	"split":      split(false),
	"rsplit":     split(true),
	"partition":  partition(false),
	"rpartition": partition(true),
	"splitlines": {[]string{"keepends?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Alloc(len(s))
		lines := SplitLines(s, b.Bool(r, 0, false))
		r.Elements(len(lines))
		l := &List{}
		for _, line := range lines {
			l.Items = append(l.Items, like(self, line))
		}
		return l
	}},
	"count": {[]string{"sub", "start?", "end?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Alloc(len(s))
		s, _ = part(s, b.Or(1, nil), b.Or(2, nil))
		return int64(strings.Count(s, MustText(b[0])))
	}},
	"encode": {[]string{"encoding?", "errors?"}, func(r *Run, self any, b Bound) any {
		s, _ := Text(self)
		r.Alloc(len(s))
		return Encode(s, b.Text(0, "utf-8"), b.Text(1, "strict"))
	}},
	"isalnum":   all(func(c rune) bool { return unicode.IsLetter(c) || unicode.IsNumber(c) }),
	"isalpha":   all(unicode.IsLetter),
	"isdecimal": all(unicode.IsDigit),
	"isdigit": all(func(c rune) bool {
		return unicode.IsDigit(c) || strings.ContainsRune("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", c)
	}),
	"isnumeric": all(unicode.IsNumber),
	"isspace":   all(IsSpace),
	"isascii": is(func(s string) bool {
		return strings.IndexFunc(s, func(c rune) bool { return c > unicode.MaxASCII }) < 0
	}),
	"isprintable":  is(func(s string) bool { return strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 }),
	"islower":      cased(unicode.IsLower, unicode.IsUpper),
	"isupper":      cased(unicode.IsUpper, unicode.IsLower),
	"istitle":      is(func(s string) bool { return strings.ContainsFunc(s, unicode.IsLetter) && s == Title(s) }),
	"isidentifier": is(IsIdentifier),
}

// IsIdentifier reports whether text can be a name.
func IsIdentifier(s string) bool {
	for i, c := range s {
		if c != '_' && !unicode.IsLetter(c) && (i == 0 || !unicode.IsDigit(c) && !unicode.IsMark(c)) {
			return false
		}
	}
	return s != ""
}

// Encode makes bytes of text.
func Encode(s, encoding, errors string) Bytes {
	switch strings.ReplaceAll(strings.ToLower(encoding), "_", "-") {
	case "utf-8", "utf8":
		return Bytes(s)
	case "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1":
	default:
		Raise("LookupError", "unknown encoding: %s", encoding)
	}
	most := rune(0x7f)
	if strings.Contains(strings.ToLower(encoding), "1") {
		most = 0xff
	}
	var out []byte
	for i, c := range []rune(s) {
		switch {
		case c <= most:
			out = append(out, byte(c))
		case errors == "replace":
			out = append(out, '?')
		case errors != "ignore":
			Raise("UnicodeEncodeError", "'%s' codec can't encode character %s in position %d: ordinal not in range(%d)",
				encoding, Quote(string(c)), i, most+1)
		}
	}
	return Bytes(out)
}

// Decode makes text of bytes.
func Decode(b Bytes, encoding, errors string) string {
	switch strings.ReplaceAll(strings.ToLower(encoding), "_", "-") {
	case "utf-8", "utf8", "ascii", "us-ascii":
	case "latin-1", "latin1", "iso-8859-1":
		runes := make([]rune, len(b))
		for i := range len(b) {
			runes[i] = rune(b[i])
		}
		return string(runes)
	default:
		Raise("LookupError", "unknown encoding: %s", encoding)
	}
	switch {
	case utf8.ValidString(string(b)):
		return string(b)
	case errors == "replace":
		return strings.ToValidUTF8(string(b), "\uFFFD")
	case errors == "ignore":
		return strings.ToValidUTF8(string(b), "")
	}
	Raise("UnicodeDecodeError", "'utf-8' codec can't decode bytes: invalid data")
	return ""
}

var bytesMethods = map[string]method{
	"decode": {[]string{"encoding?", "errors?"}, func(r *Run, self any, b Bound) any {
		r.Alloc(len(self.(Bytes)))
		return Decode(self.(Bytes), b.Text(0, "utf-8"), b.Text(1, "strict"))
	}},
	"hex": {nil, func(r *Run, self any, _ Bound) any {
		r.Alloc(2 * len(self.(Bytes)))
		return hex.EncodeToString([]byte(self.(Bytes)))
	}},
}
