package jmespath

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

type token struct {
	kind  string // a name, or the symbol itself
	value any
}

func (t token) String() string {
	if t.kind == "eof" {
		return "end of the expression"
	}
	return "'" + t.kind + "'"
}

var symbols = []string{"[?", "[]", "||", "&&", "==", "!=", "<=", ">=", ".", "*", "[", "]", "{", "}", "(", ")", ",", ":", "&", "|", "!", "<", ">", "@"}

func lex(expr string) []token {
	var out []token
	for i := 0; i < len(expr); {
		c := expr[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case letter(c):
			n := i
			for n < len(expr) && (letter(expr[n]) || digit(expr[n])) {
				n++
			}
			out = append(out, token{"name", expr[i:n]})
			i = n
		case digit(c) || c == '-' && i+1 < len(expr) && digit(expr[i+1]):
			n := i + 1
			for n < len(expr) && digit(expr[n]) {
				n++
			}
			number, err := strconv.Atoi(expr[i:n])
			if err != nil {
				fail("%s: the number %s is too large", expr, expr[i:n])
			}
			out = append(out, token{"number", number})
			i = n
		case c == '\'' || c == '"' || c == '`':
			t, n := quoted(expr, i)
			out = append(out, t)
			i = n
		default:
			symbol := ""
			for _, s := range symbols {
				if strings.HasPrefix(expr[i:], s) {
					symbol = s
					break
				}
			}
			if symbol == "" {
				fail("%s: unknown character %q", expr, string(c))
			}
			out = append(out, token{kind: symbol})
			i += len(symbol)
		}
	}
	return append(out, token{kind: "eof"})
}

func letter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }

// quoted reads 'raw text', "a name" or `JSON`.
func quoted(expr string, at int) (token, int) {
	quote := expr[at]
	for i := at + 1; i < len(expr); i++ {
		switch expr[i] {
		case '\\':
			i++
		case quote:
			text := expr[at+1 : i]
			switch quote {
			case '\'':
				return token{"literal", strings.ReplaceAll(text, `\'`, "'")}, i + 1
			case '"':
				var s string
				if err := json.Unmarshal([]byte(`"`+text+`"`), &s); err != nil {
					fail("%s: %v", expr, err)
				}
				return token{"quoted", s}, i + 1
			}
			text = strings.ReplaceAll(text, "\\`", "`")
			v, err := data.FromJSON([]byte(text))
			if err != nil {
				v = strings.TrimSpace(text) // JSON's quotes may be left out
			}
			return token{"literal", v}, i + 1
		}
	}
	fail("%s: unclosed %c", expr, quote)
	return token{}, 0
}

var power = map[string]int{
	"|": 1, "||": 2, "&&": 3, "==": 5, "!=": 5, "<": 5, "<=": 5, ">": 5, ">=": 5, "[]": 9, "*": 20, "[?": 21, ".": 40, "!": 45, "{": 50, "[": 55, "(": 60,
}

// parser is a Pratt parser.
type parser struct {
	tokens []token
	at     int
	depth  int
}

func (p *parser) cur() token { return p.tokens[p.at] }

func (p *parser) ahead(n int) string { return p.tokens[min(p.at+n, len(p.tokens)-1)].kind }

func (p *parser) next() token {
	t := p.tokens[p.at]
	p.at = min(p.at+1, len(p.tokens)-1)
	return t
}

func (p *parser) expect(kind string) {
	if p.cur().kind != kind {
		fail("expected '%s', got %s", kind, p.cur())
	}
	p.next()
}

func (p *parser) parse(right int) *node {
	if p.depth++; p.depth > 100 {
		fail("the expression is nested too deeply")
	}
	defer func() { p.depth-- }()
	left := p.prefix(p.next())
	for n := 0; right < power[p.cur().kind]; n++ {
		if n > 1000 {
			fail("the expression is too long")
		}
		left = p.infix(left, p.next())
	}
	return left
}

var identity = &node{kind: "identity"}

func join(kind string, children ...*node) *node { return &node{kind: kind, children: children} }

func (p *parser) prefix(t token) *node {
	switch t.kind {
	case "literal":
		return &node{kind: "literal", value: t.value}
	case "name", "quoted":
		if t.kind == "quoted" && p.cur().kind == "(" {
			fail("a quoted name cannot be called")
		}
		return &node{kind: "field", value: t.value}
	case "*":
		if p.cur().kind == "]" {
			return join("values", identity, identity)
		}
		return join("values", identity, p.projected(power["*"]))
	case "[?":
		return p.infix(identity, t)
	case "{":
		return p.hash()
	case "(":
		n := p.parse(0)
		p.expect(")")
		return n
	case "[]":
		return join("projection", join("flatten", identity), p.projected(power["[]"]))
	case "!":
		return join("not", p.parse(power["!"]))
	case "[":
		switch {
		case p.cur().kind == "number" || p.cur().kind == ":":
			return p.indexed(identity)
		case p.cur().kind == "*" && p.ahead(1) == "]":
			p.next()
			p.next()
			return join("projection", identity, p.projected(power["*"]))
		}
		return p.list()
	case "@":
		return identity
	case "&":
		return join("reference", p.parse(0))
	}
	fail("unexpected %s", t)
	return nil
}

func (p *parser) infix(left *node, t token) *node {
	switch t.kind {
	case ".":
		if p.cur().kind != "*" {
			return join("sub", left, p.dotted(power["."]))
		}
		p.next()
		return join("values", left, p.projected(power["."]))
	case "|":
		return join("pipe", left, p.parse(power["|"]))
	case "||":
		return join("or", left, p.parse(power["||"]))
	case "&&":
		return join("and", left, p.parse(power["&&"]))
	case "(":
		return p.call(left)
	case "[?":
		condition := p.parse(0)
		p.expect("]")
		right := identity
		if p.cur().kind != "[]" {
			right = p.projected(power["[?"])
		}
		return join("filter", left, right, condition)
	case "==", "!=", "<", "<=", ">", ">=":
		n := join("compare", left, p.parse(power[t.kind]))
		n.value = t.kind
		return n
	case "[]":
		return join("projection", join("flatten", left), p.projected(power["[]"]))
	case "[":
		if p.cur().kind == "number" || p.cur().kind == ":" {
			return p.indexed(left)
		}
		p.expect("*")
		p.expect("]")
		return join("projection", left, p.projected(power["*"]))
	}
	fail("unexpected %s", t)
	return nil
}

// projected reads what a projection applies to each element.
func (p *parser) projected(right int) *node {
	switch k := p.cur().kind; {
	case power[k] < 10:
		return identity
	case k == "[" || k == "[?":
		return p.parse(right)
	case k == ".":
		p.next()
		return p.dotted(right)
	}
	fail("unexpected %s", p.cur())
	return nil
}

func (p *parser) dotted(right int) *node {
	switch p.cur().kind {
	case "name", "quoted", "*":
		return p.parse(right)
	case "[":
		p.next()
		n := p.list()
		return n
	case "{":
		p.next()
		return p.hash()
	}
	fail("unexpected %s behind a dot", p.cur())
	return nil
}

// indexed reads [1] or [1:2:3] behind its bracket.
func (p *parser) indexed(left *node) *node {
	if p.cur().kind == "number" && p.ahead(1) == "]" {
		n := &node{kind: "index", value: p.next().value}
		p.next()
		return join("sub", left, n)
	}
	var bounds [3]*int
	for i := 0; p.cur().kind != "]"; {
		switch t := p.next(); t.kind {
		case ":":
			if i++; i > 2 {
				fail("a slice has at most two colons")
			}
		case "number":
			n := t.value.(int)
			bounds[i] = &n
		default:
			fail("unexpected %s in a slice", t)
		}
	}
	p.next()
	slice := &node{kind: "slice", value: bounds}
	return join("projection", join("sub", left, slice), p.projected(power["*"]))
}

func (p *parser) list() *node {
	n := join("list")
	for {
		n.children = append(n.children, p.parse(0))
		if p.cur().kind != "," {
			p.expect("]")
			return n
		}
		p.next()
	}
}

func (p *parser) hash() *node {
	n := join("hash")
	for {
		t := p.next()
		name, ok := t.value.(string)
		if !ok || t.kind == "literal" {
			fail("unexpected %s for a key", t)
		}
		p.expect(":")
		n.names = append(n.names, name)
		n.children = append(n.children, p.parse(0))
		if p.cur().kind != "," {
			p.expect("}")
			return n
		}
		p.next()
	}
}

func (p *parser) call(left *node) *node {
	if left.kind != "field" {
		fail("only functions can be called")
	}
	n := &node{kind: "call", value: left.value}
	for p.cur().kind != ")" {
		n.children = append(n.children, p.parse(0))
		if p.cur().kind == "," {
			p.next()
		}
	}
	p.next()
	return n
}
