package syntax

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// token is one word of a template. Its type has the name that Jinja gives it.
type token struct {
	typ   string
	text  string
	value any // of numbers and strings
	pos   Pos
}

var operators = []struct{ text, name string }{
	{"//", "floordiv"},
	{"**", "pow"},
	{"==", "eq"},
	{"!=", "ne"},
	{">=", "gteq"},
	{"<=", "lteq"},
	{"+", "add"},
	{"-", "sub"},
	{"/", "div"},
	{"*", "mul"},
	{"%", "mod"},
	{"~", "tilde"},
	{"[", "lbracket"},
	{"]", "rbracket"},
	{"(", "lparen"},
	{")", "rparen"},
	{"{", "lbrace"},
	{"}", "rbrace"},
	{">", "gt"},
	{"<", "lt"},
	{"=", "assign"},
	{".", "dot"},
	{":", "colon"},
	{"|", "pipe"},
	{",", "comma"},
	{";", "semicolon"},
}

// lexer cuts a template into tokens.
type lexer struct {
	Options
	src    string
	at     int
	tokens []token
	open   []byte // the brackets that are to be closed
	fresh  bool   // the last tag ended a line
	next   [3]int // where each kind of tag begins next

	counted int // how far pos has counted
	line    int // its line
	runes   int // characters of that line so far
}

// lex cuts text into tokens, of which the last is eof, or an error that the parser fails with when it comes so far.
func lex(text string, o Options) []token {
	o.defaults()
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	if !o.KeepTrailingNewline {
		text = strings.TrimSuffix(text, "\n")
	}
	l := &lexer{Options: o, src: text, fresh: true, line: 1}
	l.all()
	return l.tokens
}

func (l *lexer) all() {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			l.tokens = append(l.tokens, token{typ: "error", value: e, pos: e.Pos})
		default:
			panic(e)
		}
	}()
	for l.at < len(l.src) {
		l.root()
	}
	l.emit("eof", "", nil, l.at)
}

// pos gives the place of an offset. Offsets only grow.
func (l *lexer) pos(offset int) Pos {
	for l.counted < offset {
		_, n := utf8.DecodeRuneInString(l.src[l.counted:])
		l.runes++
		if l.src[l.counted] == '\n' {
			l.line, l.runes = l.line+1, 0
		}
		l.counted += n
	}
	return Pos{Line: l.line, Column: l.runes + 1}
}

func (l *lexer) emit(typ, text string, value any, offset int) {
	l.tokens = append(l.tokens, token{typ: typ, text: text, value: value, pos: l.pos(offset)})
}

// find gives where a marker stands next, or the end. It looks only once at each part of the text.
func (l *lexer) find(n int, marker string) int {
	if l.next[n] < l.at || l.at == 0 {
		i := strings.Index(l.src[l.at:], marker)
		if i < 0 {
			i = len(l.src) - l.at
		}
		l.next[n] = l.at + i
	}
	return l.next[n]
}

// root reads text up to a tag, and the tag.
func (l *lexer) root() {
	rest := l.src[l.at:]
	first, kind := len(rest), ""
	marker := ""
	for n, m := range []struct{ marker, kind string }{
		{l.VariableStart, "variable"}, {l.BlockStart, "block"}, {l.CommentStart, "comment"},
	} {
		i := l.find(n, m.marker) - l.at
		if i < first || i == first && i < len(rest) && len(m.marker) > len(marker) {
			first, kind, marker = i, m.kind, m.marker
		}
	}
	if first == len(rest) {
		l.emit("data", rest, nil, l.at)
		l.at = len(l.src)
		return
	}
	after := l.at + first + len(marker)
	sign := byte(0)
	if after < len(l.src) && (l.src[after] == '-' || l.src[after] == '+') {
		sign = l.src[after]
		after++
	}
	if text := l.stripped(rest[:first], sign, kind == "variable"); text != "" {
		l.emit("data", text, nil, l.at)
	}
	begin := l.at + first
	l.at = after
	switch kind {
	case "comment":
		l.comment(begin)
	case "block":
		if end, ok := l.keyword("raw", l.at); ok {
			l.raw(begin, end)
			return
		}
		l.emit("block_begin", "", nil, begin)
		l.code("block_end")
	default:
		l.emit("variable_begin", "", nil, begin)
		l.code("variable_end")
	}
}

// stripped gives the text before a tag, without what the tag's sign or the options take off.
func (l *lexer) stripped(text string, sign byte, variable bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, py.IsSpace)
	case sign != '+' && l.LstripBlocks && !variable:
		i := strings.LastIndexByte(text, '\n') + 1
		if (i > 0 || l.fresh) && strings.TrimFunc(text[i:], py.IsSpace) == "" {
			return text[:i]
		}
	}
	return text
}

// end reports whether the end of a tag is here, and goes behind it and what it takes off.
func (l *lexer) end(marker string, plus, trim bool) bool {
	rest := l.src[l.at:]
	switch {
	case strings.HasPrefix(rest, "-"+marker):
		tail := strings.TrimLeftFunc(rest[1+len(marker):], py.IsSpace)
		l.fresh = strings.HasSuffix(rest[:len(rest)-len(tail)], "\n")
		l.at = len(l.src) - len(tail)
	case plus && strings.HasPrefix(rest, "+"+marker):
		l.at += 1 + len(marker)
		l.fresh = false
	case strings.HasPrefix(rest, marker):
		l.at += len(marker)
		if l.fresh = trim && strings.HasPrefix(l.src[l.at:], "\n"); l.fresh {
			l.at++
		}
	default:
		return false
	}
	return true
}

func (l *lexer) comment(begin int) {
	for l.at < len(l.src) {
		if l.end(l.CommentEnd, true, l.TrimBlocks) {
			return
		}
		l.at++
	}
	fail(l.pos(begin), "Missing end of comment tag")
}

// keyword reports whether a block tag from here holds just a word, and gives where its end marker begins.
func (l *lexer) keyword(word string, at int) (end int, ok bool) {
	skip := func() {
		at = len(l.src) - len(strings.TrimLeftFunc(l.src[at:], py.IsSpace))
	}
	skip()
	if !strings.HasPrefix(l.src[at:], word) {
		return 0, false
	}
	at += len(word)
	skip()
	rest := l.src[at:]
	return at, strings.HasPrefix(rest, l.BlockEnd) || strings.HasPrefix(rest, "-"+l.BlockEnd) ||
		word == "endraw" && strings.HasPrefix(rest, "+"+l.BlockEnd)
}

func (l *lexer) raw(begin, end int) {
	l.at = end
	l.end(l.BlockEnd, false, false)
	from := l.at
	for at := from; ; {
		i := strings.Index(l.src[at:], l.BlockStart)
		if i < 0 {
			fail(l.pos(begin), "Missing end of raw directive")
		}
		at += i + len(l.BlockStart)
		sign, inside := byte(0), at
		if at < len(l.src) && (l.src[at] == '-' || l.src[at] == '+') {
			sign = l.src[at]
			inside++
		}
		stop, ok := l.keyword("endraw", inside)
		if !ok {
			continue
		}
		if text := l.stripped(l.src[from:at-len(l.BlockStart)], sign, false); text != "" {
			l.emit("data", text, nil, from)
		}
		l.at = stop
		l.end(l.BlockEnd, true, l.TrimBlocks)
		return
	}
}

// code reads tokens up to the end of a tag.
func (l *lexer) code(end string) {
	l.open = l.open[:0]
	for l.at < len(l.src) {
		offset := l.at
		if len(l.open) == 0 {
			l.pos(offset)
			if end == "block_end" && l.end(l.BlockEnd, true, l.TrimBlocks) || end == "variable_end" && l.end(l.VariableEnd, false, false) {
				l.emit(end, "", nil, offset)
				return
			}
		}
		c, size := utf8.DecodeRuneInString(l.src[l.at:])
		switch {
		case py.IsSpace(c):
			l.at += size
		case c >= '0' && c <= '9':
			l.number()
		case c == '_' || unicode.IsLetter(c) || unicode.IsDigit(c):
			l.name()
		case (c == '"' || c == '\'') && l.str():
		default:
			l.operator(c)
		}
	}
}

func (l *lexer) number() {
	from := l.at
	rest := l.src[from:]
	whole := digitsIn(rest, "0123456789")
	n := whole
	isFloat := false
	if from == 0 || l.src[from-1] != '.' {
		if m := fraction(rest[whole:]); m > 0 {
			n, isFloat = whole+m, true
		}
		if m := exponent(rest[n:]); m > 0 {
			n, isFloat = n+m, true
		}
	}
	if isFloat {
		f, _ := py.ParseFloat(rest[:n])
		l.at += n
		l.emit("float", rest[:n], f, from)
		return
	}
	l.integer(rest, whole)
}

func (l *lexer) integer(rest string, whole int) {
	n, base := whole, 10
	if whole == 1 && rest[0] == '0' && len(rest) > 1 {
		for _, p := range []struct {
			letter, digits string
			base           int
		}{{"xX", "0123456789abcdefABCDEF", 16}, {"oO", "01234567", 8}, {"bB", "01", 2}} {
			if strings.Contains(p.letter, rest[1:2]) {
				if m := digitsIn(strings.TrimPrefix(rest[2:], "_"), p.digits); m > 0 {
					if rest[2] == '_' {
						m++
					}
					n, base = 2+m, p.base
				}
			}
		}
	}
	if base == 10 && rest[0] == '0' { // 0644 is 0 and 644 to Jinja, which is an error then
		n = digitsIn(rest, "0")
	}
	text := strings.ReplaceAll(rest[:n], "_", "")
	if base != 10 {
		text = text[2:]
	}
	if len(text) > 4300 {
		fail(l.pos(l.at), "the number is too long")
	}
	value, _ := new(big.Int).SetString(text, base)
	from := l.at
	l.at += n
	l.emit("integer", rest[:n], py.Norm(value), from)
}

// digitsIn counts digits with single underscores between them.
func digitsIn(text, set string) int {
	n := 0
	for n < len(text) {
		switch {
		case strings.IndexByte(set, text[n]) >= 0:
			n++
		case text[n] == '_' && n > 0 && n+1 < len(text) && strings.IndexByte(set, text[n+1]) >= 0:
			n++
		default:
			return n
		}
	}
	return n
}

func fraction(text string) int {
	if !strings.HasPrefix(text, ".") {
		return 0
	}
	n := digitsIn(text[1:], "0123456789")
	if n == 0 {
		return 0
	}
	return 1 + n
}

func exponent(text string) int {
	if text == "" || text[0] != 'e' && text[0] != 'E' {
		return 0
	}
	n := 1
	if n < len(text) && (text[n] == '+' || text[n] == '-') {
		n++
	}
	m := digitsIn(text[n:], "0123456789")
	if m == 0 {
		return 0
	}
	return n + m
}

func (l *lexer) name() {
	from := l.at
	for l.at < len(l.src) {
		c, size := utf8.DecodeRuneInString(l.src[l.at:])
		if c != '_' && !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c) {
			break
		}
		l.at += size
	}
	text := l.src[from:l.at]
	if !py.IsIdentifier(text) {
		fail(l.pos(from), "Invalid character in identifier")
	}
	l.emit("name", text, nil, from)
}

// str reads a string, and reports whether there is one.
func (l *lexer) str() bool {
	from := l.at
	quote := l.src[from]
	for i := from + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case '\\':
			i++
		case quote:
			l.at = i + 1
			l.emit("string", l.src[from:i+1], l.unescape(l.src[from+1:i], from), from)
			return true
		}
	}
	return false
}

var escapes = map[byte]string{
	'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

func (l *lexer) unescape(s string, offset int) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++
		c := s[i] // the lexer saw that something follows
		if plain, ok := escapes[c]; ok {
			b.WriteString(plain)
			continue
		}
		size := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		switch {
		case size > 0:
			code, err := strconv.ParseUint(s[i+1:min(i+1+size, len(s))], 16, 32)
			if err != nil || i+1+size > len(s) || code > unicode.MaxRune {
				fail(l.pos(offset), `truncated \%c%s escape`, c, strings.Repeat(string('X'), size))
			}
			b.WriteRune(rune(code))
			i += size
		case c >= '0' && c <= '7':
			n := 1
			for n < 3 && i+n < len(s) && s[i+n] >= '0' && s[i+n] <= '7' {
				n++
			}
			code, _ := strconv.ParseUint(s[i:i+n], 8, 32)
			b.WriteRune(rune(code))
			i += n - 1
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (l *lexer) operator(c rune) {
	rest := l.src[l.at:]
	for _, op := range operators {
		if !strings.HasPrefix(rest, op.text) {
			continue
		}
		l.balance(op.text)
		l.emit(op.name, op.text, nil, l.at)
		l.at += len(op.text)
		return
	}
	fail(l.pos(l.at), "unexpected char %s at %d", py.Quote(string(c)), utf8.RuneCountInString(l.src[:l.at]))
}

func (l *lexer) balance(op string) {
	switch op {
	case "{":
		l.open = append(l.open, '}')
	case "(":
		l.open = append(l.open, ')')
	case "[":
		l.open = append(l.open, ']')
	case "}", ")", "]":
		if len(l.open) == 0 {
			fail(l.pos(l.at), "unexpected '%s'", op)
		}
		want := l.open[len(l.open)-1]
		l.open = l.open[:len(l.open)-1]
		if want != op[0] {
			fail(l.pos(l.at), "unexpected '%s', expected '%c'", op, want)
		}
	}
}
