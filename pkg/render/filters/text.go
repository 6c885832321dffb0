package filters

import (
	"math"
	"math/big"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/brine-deploy/brine/pkg/regex"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

var safeWord = regexp.MustCompile(`^[a-zA-Z0-9_@%+=:,./-]+$`)

func texts() table {
	return table{
		"skip": filter("data", func(*jinja.Call, py.Bound) any { return "" }),
		"quote": filter("txt", func(c *jinja.Call, b py.Bound) any {
			s := py.MustText(b[0])
			if safeWord.MatchString(s) {
				return s
			}
			return "'" + py.Replace(c.Run, s, "'", `'"'"'`, -1) + "'"
		}),
		"to_bytes": filter("s encoding? errors?", func(c *jinja.Call, b py.Bound) any {
			if v, ok := b[0].(py.Bytes); ok {
				return v
			}
			s := string(bytesOf(b[0]))
			c.Alloc(len(s))
			encoding := "utf-8"
			if v, ok := py.Text(b.Or(1, nil)); ok {
				encoding = v
			}
			return py.Encode(s, encoding, b.Text(2, "strict"))
		}),
		"contains_whitespace": filter("text", func(_ *jinja.Call, b py.Bound) any {
			return strings.ContainsFunc(py.MustText(b[0]), py.IsSpace)
		}),
		"is_hex": filter("value", func(_ *jinja.Call, b py.Bound) any {
			s, ok := py.Text(b[0])
			if ok {
				_, ok = py.ParseInt(s, 16)
			}
			return ok
		}),
		"check_whitelist_blacklist": filter("value whitelist? blacklist?", whitelist),
		"path_join": filter("*", func(c *jinja.Call, b py.Bound) any {
			parts := b[0].(py.Tuple)
			out := ""
			for i, p := range parts {
				s := py.MustText(p)
				c.Alloc(len(s) + len(out))
				switch {
				case i == 0:
					out = normal(s)
				case out == "" || strings.HasSuffix(out, "/"):
					out += strings.TrimLeft(normal(s), "/")
				default:
					out += "/" + strings.TrimLeft(normal(s), "/")
				}
			}
			if len(parts) == 0 {
				return ""
			}
			return normal(out)
		}),
		"to_snake_case": filter("camel_input", func(c *jinja.Call, b py.Bound) any {
			in := []rune(py.MustText(b[0]))
			c.Alloc(8 * len(in))
			var out strings.Builder
			for i, r := range in {
				if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(in[i-1]) || i+1 < len(in) && unicode.IsLower(in[i+1])) {
					out.WriteByte('_')
				}
				out.WriteRune(unicode.ToLower(r))
			}
			return out.String()
		}),
		"to_camelcase": filter("snake_input uppercamel?", func(c *jinja.Call, b py.Bound) any {
			words := strings.Split(py.MustText(b[0]), "_")
			for i, w := range words {
				c.Alloc(len(w))
				if i > 0 || b.Bool(c.Run, 1, false) {
					words[i] = py.Capitalize(w)
				}
			}
			return strings.Join(words, "")
		}),
	}
}

// normal is Python's os.path.normpath.
func normal(s string) string {
	if strings.HasPrefix(s, "//") && !strings.HasPrefix(s, "///") {
		return "/" + path.Clean(s)
	}
	return path.Clean(s)
}

// whitelist asks whether text is named by a whitelist, and by no blacklist.
func whitelist(c *jinja.Call, b py.Bound) any {
	value := py.MustText(b[0])
	named := func(i int) (listed, any bool) {
		v := b.Or(i, nil)
		if !py.Truth(c.Run, v) {
			return false, false
		}
		if s, ok := py.Text(v); ok {
			v = py.Tuple{s}
		}
		for _, expr := range py.Collect(c.Run, v) {
			if matches(c, value, py.MustText(expr)) {
				return true, true
			}
		}
		return false, true
	}
	white, hasWhite := named(1)
	black, hasBlack := named(2)
	return (!hasBlack || !black) && (!hasWhite || white)
}

// matches asks whether an expression is a glob or a regular expression for all of text.
func matches(c *jinja.Call, text, expr string) bool {
	c.Step(1000 + len(text) + len(expr))
	if re, err := regex.Compile(globExpression(expr), regex.DotAll); err == nil {
		m, err := re.FullMatch(text)
		must(err)
		if m != nil {
			return true
		}
	}
	re, err := regex.Compile(expr, 0)
	if err != nil {
		return false
	}
	m, err := re.FullMatch(text)
	must(err)
	return m != nil
}

// globExpression makes an expression of a pattern with * ? [seq] [!seq].
func globExpression(glob string) string {
	var b strings.Builder
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			if !strings.HasSuffix(b.String(), ".*") {
				b.WriteString(".*")
			}
		case '?':
			b.WriteByte('.')
		case '[':
			end := strings.IndexByte(glob[min(i+2, len(glob)):], ']')
			if end < 0 {
				b.WriteString(`\[`)
				continue
			}
			set := strings.ReplaceAll(glob[i+1:i+2+end], `\`, `\\`)
			switch set[0] {
			case '!':
				set = "^" + set[1:]
			case '^':
				set = `\` + set
			}
			b.WriteString("[" + set + "]")
			i += 2 + end
		default:
			b.WriteString(regex.Escape(string(c)))
		}
	}
	return b.String()
}

var size = regexp.MustCompile(`^([0-9.]*)\s*(.*)$`)

func numbers() table {
	toNumber := filter("text", func(c *jinja.Call, b py.Bound) any {
		s, ok := py.Text(b[0])
		if !ok {
			if f, isFloat := b[0].(float64); isFloat {
				n, _ := big.NewFloat(math.Trunc(f)).Int(nil)
				return py.Norm(n)
			}
			if !py.IsNumber(b[0]) {
				if u, undefined := b[0].(*py.Undefined); undefined {
					u.Raise()
				}
				py.Raise("TypeError", "int() argument must be a string, a bytes-like object or a number, not '%s'", py.TypeOf(b[0]))
			}
			return py.Plus(b[0])
		}
		c.Step(len(s))
		if n, ok := py.ParseInt(s, 10); ok {
			return n
		}
		if f, ok := py.ParseFloat(s); ok {
			return f
		}
		return b[0]
	})
	return table{
		"to_num": toNumber, "str_to_num": toNumber,
		"to_bool": filter("val", func(_ *jinja.Call, b py.Bound) any {
			switch v := b[0].(type) {
			case nil:
				return false
			case bool:
				return v
			case int64:
				return v > 0
			case *big.Int:
				return v.Sign() > 0
			case *py.List, *py.Dict, *py.Set:
				return py.Len(v) > 0
			case *py.Undefined:
				v.Raise()
			}
			s, _ := py.Text(b[0])
			s = strings.ToLower(s)
			return s == "yes" || s == "1" || s == "true"
		}),
		"human_to_bytes": filter("size default_unit? handle_metric?", humanToBytes),
	}
}

func humanToBytes(c *jinja.Call, b py.Bound) any {
	m := size.FindStringSubmatch(strings.TrimSpace(py.Str(c.Run, b[0])))
	if m == nil {
		return int64(0)
	}
	unit := strings.ToLower(m[2])
	if unit == "" {
		unit = strings.ToLower(b.Str(c.Run, 1, "B"))
	}
	var value any
	if n, ok := py.ParseInt(m[1], 10); ok {
		value = n
	} else if f, ok := py.ParseFloat(m[1]); ok {
		value = f
	} else {
		return int64(0)
	}
	power := -1
	if unit != "" {
		power = strings.IndexByte("bkmgtpezy", unit[0])
	}
	base, exponent := int64(2), int64(power*10)
	switch rest := unit[min(1, len(unit)):]; {
	case power < 0, rest != "" && rest != "ib" && (rest != "b" || power == 0), power == 0 && rest != "":
		return int64(0)
	case rest == "b" && b.Bool(c.Run, 2, false):
		base, exponent = 10, int64(power*3)
	}
	value = py.Binary(c.Run, "*", value, py.Binary(c.Run, "**", base, exponent))
	if f, ok := value.(float64); ok {
		n, _ := big.NewFloat(math.Trunc(f)).Int(nil)
		return py.Norm(n)
	}
	return value
}
