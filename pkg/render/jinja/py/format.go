package py

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// spec is how one value is to be printed: Python's format specification.
type spec struct {
	fill      string
	align     byte // < > = ^, or 0
	sign      byte // + - space, or 0
	alternate bool
	zero      bool
	width     int
	group     byte // , or _, or 0
	precision int  // -1 for none
	kind      byte // 0 for none
}

const widest = 1 << 20

func parseSpec(text string) spec {
	s := spec{fill: " ", precision: -1}
	_, n := utf8.DecodeRuneInString(text)
	switch {
	case len(text) > n && strings.IndexByte("<>=^", text[n]) >= 0:
		s.fill, s.align, text = text[:n], text[n], text[n+1:]
	case text != "" && strings.IndexByte("<>=^", text[0]) >= 0:
		s.align, text = text[0], text[1:]
	}
	take := func(set string) byte {
		if text != "" && strings.IndexByte(set, text[0]) >= 0 {
			c := text[0]
			text = text[1:]
			return c
		}
		return 0
	}
	s.sign = take("+- ")
	s.alternate = take("#") != 0
	if s.zero = take("0") != 0; s.zero && s.align == 0 {
		s.fill, s.align = "0", '='
	}
	s.width, text = digits(text, 0)
	s.group = take(",_")
	if take(".") != 0 {
		if text == "" || text[0] < '0' || text[0] > '9' {
			Raise("ValueError", "Format specifier missing precision")
		}
		s.precision, text = digits(text, -1)
	}
	s.kind = take("bcdeEfFgGnosxX%")
	if text != "" {
		Raise("ValueError", "Invalid format specifier")
	}
	return s
}

func digits(text string, none int) (int, string) {
	i := 0
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	if i == 0 {
		return none, text
	}
	n, err := strconv.Atoi(text[:i])
	if err != nil || n > widest {
		Raise("ValueError", "Too many decimal digits in format string")
	}
	return n, text[i:]
}

// Format is Python's format(v, spec).
func Format(r *Run, v any, text string) string {
	if u, ok := v.(*Undefined); ok {
		u.Raise()
	}
	if text == "" {
		return Str(r, v)
	}
	s := parseSpec(text)
	r.Alloc(s.width*utf8.UTFMax + max(s.precision, 0))
	switch x := v.(type) {
	case bool:
		if s.kind == 0 {
			return s.text(Str(r, v))
		}
		n, _ := asInt(x)
		return s.integer(r, big.NewInt(n))
	case int64, *big.Int:
		n, _ := toBig(x)
		if s.kind != 0 && strings.IndexByte("eEfFgG%", s.kind) >= 0 {
			f, _ := toFloat(x)
			return s.number(s.float(f))
		}
		return s.integer(r, n)
	case float64:
		if s.kind != 0 && strings.IndexByte("bcdosxX", s.kind) >= 0 {
			Raise("ValueError", "Unknown format code '%c' for object of type 'float'", s.kind)
		}
		return s.number(s.float(x))
	case string, Markup:
		if s.kind != 0 && s.kind != 's' {
			Raise("ValueError", "Unknown format code '%c' for object of type 'str'", s.kind)
		}
		if s.sign != 0 {
			Raise("ValueError", "Sign not allowed in string format specifier")
		}
		if s.align == '=' && !s.zero {
			Raise("ValueError", "'=' alignment not allowed in string format specifier")
		}
		if s.zero && s.align == '=' {
			s.align = '<'
		}
		t, _ := Text(x)
		return s.text(t)
	}
	Raise("TypeError", "unsupported format string passed to %s.__format__", TypeOf(v))
	return ""
}

func (s spec) text(t string) string {
	if s.precision >= 0 {
		if runes := []rune(t); len(runes) > s.precision {
			t = string(runes[:s.precision])
		}
	}
	if s.align == 0 {
		s.align = '<'
	}
	return s.pad("", t)
}

// pad brings a sign and what follows it to the width.
func (s spec) pad(sign, t string) string {
	missing := s.width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(t)
	if missing <= 0 {
		return sign + t
	}
	fill := func(n int) string { return strings.Repeat(s.fill, n) }
	switch s.align {
	case '<':
		return sign + t + fill(missing)
	case '=':
		return sign + fill(missing) + t
	case '^':
		return fill(missing/2) + sign + t + fill(missing-missing/2)
	}
	return fill(missing) + sign + t
}

// number pads digits that may begin with a minus.
func (s spec) number(t string) string {
	sign := ""
	switch {
	case strings.HasPrefix(t, "-"):
		sign, t = "-", t[1:]
	case s.sign == '+' || s.sign == ' ':
		sign = string(s.sign)
	}
	for _, prefix := range []string{"0x", "0X", "0o", "0b"} {
		if strings.HasPrefix(t, prefix) {
			sign, t = sign+prefix, t[2:]
		}
	}
	if s.group != 0 {
		size := 3
		if strings.IndexByte("boxX", s.kind) >= 0 && s.kind != 0 {
			size = 4
		}
		end := strings.IndexAny(t, ".eE%")
		if end < 0 || size == 4 {
			end = len(t)
		}
		head, tail := t[:end], t[end:]
		for i := len(head) - size; i > 0; i -= size {
			head = head[:i] + string(s.group) + head[i:]
		}
		t = head + tail
	}
	return s.pad(sign, t)
}

func (s spec) integer(r *Run, n *big.Int) string {
	if s.precision >= 0 {
		Raise("ValueError", "Precision not allowed in integer format specifier")
	}
	if n.BitLen() > 4300*3 {
		Raise("ValueError", "Exceeds the limit (4300 digits) for integer string conversion")
	}
	r.Step(n.BitLen() >> 3)
	base, prefix := 10, ""
	switch s.kind {
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x', 'X':
		base, prefix = 16, "0"+string(s.kind)
	case 'c':
		if !n.IsInt64() || n.Int64() < 0 || n.Int64() > utf8.MaxRune {
			Raise("OverflowError", "%%c arg not in range(0x110000)")
		}
		return s.text(string(rune(n.Int64())))
	case 's':
		Raise("ValueError", "Unknown format code 's' for object of type 'int'")
	}
	if !s.alternate {
		prefix = ""
	}
	t := new(big.Int).Abs(n).Text(base)
	if s.kind == 'X' {
		t = strings.ToUpper(t)
	}
	t = prefix + t
	if n.Sign() < 0 {
		t = "-" + t
	}
	return s.number(t)
}

func (s spec) float(f float64) string {
	switch {
	case math.IsInf(f, 0) || math.IsNaN(f):
		t := FloatRepr(f)
		if s.kind == 'F' || s.kind == 'G' || s.kind == 'E' {
			t = strings.ToUpper(t)
		}
		return t
	case s.kind == 0 && s.precision < 0:
		return FloatRepr(f)
	}
	precision := s.precision
	if precision < 0 {
		precision = 6
	}
	switch s.kind {
	case 'f', 'F':
		return strconv.FormatFloat(f, 'f', precision, 64)
	case '%':
		return strconv.FormatFloat(f*100, 'f', precision, 64) + "%"
	case 'e', 'E':
		return strconv.FormatFloat(f, s.kind, precision, 64)
	}
	return s.general(f, max(precision, 1))
}

// general prints with a number of significant digits.
func (s spec) general(f float64, precision int) string {
	e := strconv.FormatFloat(f, 'e', precision-1, 64)
	mark := strings.IndexByte(e, 'e')
	exp, _ := strconv.Atoi(e[mark+1:])
	most := precision
	if s.kind == 0 && exp == precision-1 && precision > 0 { // as repr: keep one digit after the point
		most = precision
	}
	t := e
	if exp >= -4 && exp < most {
		t = strconv.FormatFloat(f, 'f', max(precision-1-exp, 0), 64)
	}
	if !s.alternate {
		head, tail := t, ""
		if i := strings.IndexByte(t, 'e'); i >= 0 {
			head, tail = t[:i], t[i:]
		}
		if strings.Contains(head, ".") {
			head = strings.TrimRight(strings.TrimRight(head, "0"), ".")
		}
		t = head + tail
	}
	if s.kind == 0 && !strings.ContainsAny(t, ".e") {
		t += ".0"
	}
	if s.kind == 'G' {
		t = strings.ToUpper(t)
	}
	return t
}

// FormatPercent is text % v.
func FormatPercent(r *Run, text string, v any) string {
	args, isTuple := v.(Tuple)
	if !isTuple {
		args = Tuple{v}
	}
	names, _ := v.(*Dict)
	used := 0
	named := false
	next := func() any {
		if used >= len(args) {
			Raise("TypeError", "not enough arguments for format string")
		}
		used++
		return args[used-1]
	}
	var out strings.Builder
	for {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			break
		}
		r.Alloc(i)
		out.WriteString(text[:i])
		text = text[i+1:]
		var key any
		if strings.HasPrefix(text, "(") {
			name := balanced(text)
			if names == nil {
				Raise("TypeError", "format requires a mapping")
			}
			value, ok := names.Get(name)
			if !ok {
				Raise("KeyError", "%s", Quote(name))
			}
			key, named, text = value, true, text[len(name)+2:]
		}
		s, rest := percentSpec(text, next)
		text = rest[1:]
		if rest[0] == '%' {
			out.WriteByte('%')
			continue
		}
		if !named {
			key = next()
		}
		t := percent(r, s, rest[0], key)
		r.Alloc(len(t))
		out.WriteString(t)
	}
	if !named && used < len(args) && names == nil {
		if _, isList := v.(*List); !isList || used == 0 {
			Raise("TypeError", "not all arguments converted during string formatting")
		}
	}
	r.Alloc(len(text))
	return out.String() + text
}

// balanced gives what stands in the parentheses at the beginning of text.
func balanced(text string) string {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return text[1:i]
			}
		}
	}
	Raise("ValueError", "incomplete format key")
	return ""
}

func percentSpec(text string, next func() any) (spec, string) {
	s := spec{fill: " ", align: '>', precision: -1}
	i := 0
	for ; i < len(text) && strings.IndexByte("#0- +", text[i]) >= 0; i++ {
		switch text[i] {
		case '#':
			s.alternate = true
		case '0':
			s.zero = true
		case '-':
			s.align = '<'
		default:
			s.sign = text[i]
		}
	}
	number := func(text string) (int, string) {
		if strings.HasPrefix(text, "*") {
			n := Index(next())
			if n > widest || n < -widest {
				Raise("OverflowError", "width is too large")
			}
			return n, text[1:]
		}
		return digits(text, 0)
	}
	s.width, text = number(text[i:])
	if s.width < 0 {
		s.align, s.width = '<', -s.width
	}
	if strings.HasPrefix(text, ".") {
		s.precision, text = number(text[1:])
		s.precision = max(s.precision, 0)
	}
	text = strings.TrimLeft(text, "hlL")
	if text == "" {
		Raise("ValueError", "incomplete format")
	}
	return s, text
}

func percent(r *Run, s spec, kind byte, v any) string {
	r.Alloc(s.width + max(s.precision, 0))
	if u, ok := v.(*Undefined); ok {
		u.Raise()
	}
	zero := func() spec {
		if s.zero && s.align != '<' {
			s.fill, s.align = "0", '='
		}
		s.kind = kind
		return s
	}
	switch kind {
	case 's':
		return s.text(Str(r, v))
	case 'r', 'a':
		return s.text(Repr(r, v))
	case 'c':
		if t, ok := Text(v); ok && utf8.RuneCountInString(t) == 1 {
			return s.text(t)
		}
		s.kind, s.precision = 'c', -1
		if n, ok := asInt(v); ok {
			return s.integer(r, big.NewInt(n))
		}
		Raise("TypeError", "%%c requires int or char")
	case 'd', 'i', 'u', 'x', 'X', 'o':
		n, ok := toBig(v)
		if f, isFloat := v.(float64); isFloat && strings.IndexByte("diu", kind) >= 0 && !math.IsInf(f, 0) && !math.IsNaN(f) {
			n, _ = big.NewFloat(math.Trunc(f)).Int(nil)
			ok = true
		}
		if !ok {
			if strings.IndexByte("xXo", kind) >= 0 {
				Raise("TypeError", "%%%c format: an integer is required, not %s", kind, TypeOf(v))
			}
			Raise("TypeError", "%%%c format: a real number is required, not %s", kind, TypeOf(v))
		}
		if strings.IndexByte("iu", kind) >= 0 {
			kind = 'd'
		}
		z := zero()
		least := z.precision
		z.precision = -1
		if least > 0 {
			t := new(big.Int).Abs(n).String()
			if len(t) < least && kind == 'd' {
				sign := ""
				if n.Sign() < 0 {
					sign = "-"
				}
				return z.number(sign + strings.Repeat("0", least-len(t)) + t)
			}
		}
		return z.integer(r, n)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		f, ok := toFloat(v)
		if !ok {
			Raise("TypeError", "must be real number, not %s", TypeOf(v))
		}
		z := zero()
		return z.number(z.float(f))
	}
	Raise("ValueError", "unsupported format character '%c' (0x%x)", kind, kind)
	return ""
}

func formatMethod(self any, name string) *Func {
	text, _ := Text(self)
	return &Func{Name: name, Fn: func(r *Run, args []any, kw []Kw) any {
		b := &brace{r: r, args: args, named: &Dict{}}
		if name == "format_map" {
			Bind(name, []string{"mapping"}, args, kw)
			d, ok := args[0].(*Dict)
			if !ok {
				Raise("TypeError", "format_map() argument must be a mapping, not %s", TypeOf(args[0]))
			}
			b.named, b.args = d, nil
		}
		for _, k := range kw {
			b.named.Set(k.Name, k.Value)
		}
		return like(self, b.format(text, 2))
	}}
}

// brace is one call of str.format.
type brace struct {
	r     *Run
	args  []any
	named *Dict
	auto  int // fields without a number so far; -1 when they have numbers
}

func (b *brace) format(text string, depth int) string {
	if depth < 0 {
		Raise("ValueError", "Max string recursion exceeded")
	}
	var out strings.Builder
	for text != "" {
		i := strings.IndexAny(text, "{}")
		if i < 0 {
			break
		}
		out.WriteString(text[:i])
		b.r.Alloc(i + 1)
		c := text[i]
		text = text[i+1:]
		if text != "" && text[0] == c {
			out.WriteByte(c)
			text = text[1:]
			continue
		}
		if c == '}' {
			Raise("ValueError", "Single '}' encountered in format string")
		}
		var field string
		field, text = b.field(text)
		t := b.value(field, depth)
		b.r.Alloc(len(t))
		out.WriteString(t)
	}
	return out.String() + text
}

// field cuts off what stands before the closing brace.
func (b *brace) field(text string) (field, rest string) {
	depth, bracket := 1, false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '[' && depth == 1:
			bracket = true
		case c == ']':
			bracket = false
		case bracket:
		case c == '{':
			depth++
		case c == '}':
			if depth--; depth == 0 {
				return text[:i], text[i+1:]
			}
		}
	}
	if text == "" {
		Raise("ValueError", "Single '{' encountered in format string")
	}
	Raise("ValueError", "expected '}' before end of string")
	return "", ""
}

func (b *brace) value(field string, depth int) string {
	name, format, _ := strings.Cut(field, ":")
	if i, j := strings.IndexByte(field, '['), strings.IndexByte(field, ']'); i >= 0 && i < len(name) && j > len(name) {
		name, format, _ = strings.Cut(field[j:], ":")
		name = field[:j] + name
	}
	conversion := ""
	if i := strings.LastIndexByte(name, '!'); i >= 0 {
		name, conversion = name[:i], name[i+1:]
	}
	v := b.lookup(name)
	switch conversion {
	case "r", "a":
		v = Repr(b.r, v)
	case "s":
		v = Str(b.r, v)
	case "":
	default:
		Raise("ValueError", "Unknown conversion specifier '%s'", conversion)
	}
	return Format(b.r, v, b.format(format, depth-1))
}

func (b *brace) lookup(name string) any {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, rest := name[:end], name[end:]
	var v any
	n, err := strconv.Atoi(first)
	switch {
	case first == "":
		if b.auto < 0 {
			Raise("ValueError", "cannot switch from manual field specification to automatic field numbering")
		}
		n = b.auto
		b.auto++
		v = b.arg(n)
	case err == nil:
		if b.auto > 0 {
			Raise("ValueError", "cannot switch from automatic field numbering to manual field specification")
		}
		b.auto = -1
		v = b.arg(n)
	default:
		value, ok := b.named.Get(first)
		if !ok {
			Raise("KeyError", "%s", Quote(first))
		}
		v = value
	}
	for rest != "" {
		v, rest = b.step(v, rest)
	}
	return v
}

func (b *brace) arg(n int) any {
	if n < 0 || n >= len(b.args) {
		Raise("IndexError", "Replacement index %d out of range for positional args tuple", n)
	}
	return b.args[n]
}

func (b *brace) step(v any, rest string) (any, string) {
	if rest[0] == '.' {
		end := strings.IndexAny(rest[1:], ".[") + 1
		if end == 0 {
			end = len(rest)
		}
		name := rest[1:end]
		if strings.HasPrefix(name, "_") {
			Raise(SecurityError, "access to attribute %s of %s object is unsafe.", Quote(name), Quote(TypeOf(v)))
		}
		out, ok := Attr(b.r, v, name)
		if !ok {
			if out, ok = Subscript(b.r, v, name); !ok {
				Raise(UndefinedError, "'%s object' has no attribute '%s'", TypeOf(v), name)
			}
		}
		return out, rest[end:]
	}
	name, after, ok := strings.Cut(rest[1:], "]")
	if !ok {
		Raise("ValueError", "Missing ']' in format string")
	}
	var key any = name
	if n, err := strconv.ParseInt(name, 10, 64); err == nil {
		key = n
	}
	out, ok := Subscript(b.r, v, key)
	if !ok {
		Raise("KeyError", "%s", Repr(b.r, key))
	}
	if after != "" && after[0] != '.' && after[0] != '[' {
		Raise("ValueError", "Only '.' or '[' may follow ']' in format field specifier")
	}
	return out, after
}
