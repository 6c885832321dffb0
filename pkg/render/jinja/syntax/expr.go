package syntax

import (
	"slices"
	"strings"
)

// nameOnly reads a name that is given a value.
func (p *parser) nameOnly() string {
	t := p.expect("name")
	assignable(t.text, t.pos)
	return t.text
}

func assignable(name string, at Pos) {
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, name) {
		fail(at, "can't assign to 'const'")
	}
}

// target reads what is given a value: a name, several, or where namespaces are allowed an attribute.
func (p *parser) target(ends []string, namespace bool) Expr {
	at := p.cur().pos
	e := p.tuple(tupleRules{simple: true, ends: ends, namespace: namespace})
	checkTarget(e, at)
	return e
}

func checkTarget(e Expr, at Pos) {
	kind := ""
	switch e := e.(type) {
	case *Name, *NSRef:
		return
	case *Tuple:
		for _, item := range e.Items {
			checkTarget(item, item.At())
		}
		return
	case *Const:
		kind = "const"
	case *List:
		kind = "list"
	case *Dict:
		kind = "dict"
	default:
		kind = "expression"
	}
	fail(at, "can't assign to '%s'", kind)
}

func (p *parser) expression() Expr { return p.cond() }

// maxLinks bounds how many operators of one rank, filters or attributes follow each other.
const maxLinks = 1000

// linked counts one more link of a chain, which makes the tree deeper without the parser being so.
func (p *parser) linked(n *int) {
	if *n++; *n > maxLinks {
		fail(p.cur().pos, "the expression is too long")
	}
}

func (p *parser) cond() Expr {
	defer p.deeper()()
	x, n := p.or(), 0
	for p.cur().is("name:if") {
		p.linked(&n)
		at := p.next().pos
		test := p.or()
		var otherwise Expr
		if p.skipIf("name:else") {
			otherwise = p.cond()
		}
		x = &Cond{at, test, x, otherwise}
	}
	return x
}

func (p *parser) or() Expr {
	x, n := p.and(), 0
	for p.cur().is("name:or") {
		p.linked(&n)
		at := p.next().pos
		x = &Binary{at, "or", x, p.and()}
	}
	return x
}

func (p *parser) and() Expr {
	x, n := p.not(), 0
	for p.cur().is("name:and") {
		p.linked(&n)
		at := p.next().pos
		x = &Binary{at, "and", x, p.not()}
	}
	return x
}

func (p *parser) not() Expr {
	if p.cur().is("name:not") {
		defer p.deeper()()
		at := p.next().pos
		return &Unary{at, "not", p.not()}
	}
	return p.compare()
}

func (p *parser) compare() Expr {
	x := p.math1()
	var c *Compare
	for {
		t := p.cur()
		op := ""
		switch {
		case slices.Contains([]string{"eq", "ne", "lt", "lteq", "gt", "gteq"}, t.typ):
			op = t.text
		case t.is("name:in"):
			op = "in"
		case t.is("name:not") && p.look().is("name:in"):
			op = "not in"
			p.next()
		default:
			if c == nil {
				return x
			}
			return c
		}
		p.next()
		if c == nil {
			c = &Compare{Pos: t.pos, X: x}
		}
		c.Ops, c.With = append(c.Ops, op), append(c.With, p.math1())
	}
}

// chain reads operands with operators of one rank between them.
func (p *parser) chain(operand func() Expr, types ...string) Expr {
	x, n := operand(), 0
	for slices.Contains(types, p.cur().typ) {
		p.linked(&n)
		t := p.next()
		x = &Binary{t.pos, t.text, x, operand()}
	}
	return x
}

func (p *parser) math1() Expr { return p.chain(p.concat, "add", "sub") }

func (p *parser) concat() Expr {
	x := p.math2()
	if p.cur().typ != "tilde" {
		return x
	}
	c := &Concat{p.cur().pos, []Expr{x}}
	for p.skipIf("tilde") {
		c.Items = append(c.Items, p.math2())
	}
	return c
}

func (p *parser) math2() Expr { return p.chain(p.pow, "mul", "div", "floordiv", "mod") }

func (p *parser) pow() Expr {
	return p.chain(func() Expr { return p.unary(true) }, "pow")
}

func (p *parser) unary(filters bool) Expr {
	var x Expr
	switch t := p.cur(); t.typ {
	case "sub", "add":
		defer p.deeper()()
		p.next()
		x = &Unary{t.pos, t.text, p.unary(false)}
	default:
		x = p.primary(false)
	}
	x = p.postfix(x)
	if !filters {
		return x
	}
	for n := 0; ; p.linked(&n) {
		switch t := p.cur(); {
		case t.typ == "pipe":
			x = p.filter(x, false)
		case t.is("name:is"):
			x = p.test(x)
		case t.typ == "lparen":
			x = &Call{t.pos, x, p.args()}
		default:
			return x
		}
	}
}

func (p *parser) primary(namespace bool) Expr {
	defer p.deeper()()
	t := p.cur()
	switch t.typ {
	case "name":
		p.next()
		return p.name(t, namespace)
	case "string":
		var b strings.Builder
		for p.cur().typ == "string" {
			s, _ := p.next().value.(string)
			b.WriteString(s)
		}
		return &Const{t.pos, b.String()}
	case "integer", "float":
		p.next()
		return &Const{t.pos, t.value}
	case "lparen":
		p.next()
		x := p.tuple(tupleRules{cond: true, parens: true})
		p.expect("rparen")
		return x
	case "lbracket":
		return p.list()
	case "lbrace":
		return p.dict()
	}
	fail(t.pos, "unexpected '%s'", t.describe())
	return nil
}

func (p *parser) name(t *token, namespace bool) Expr {
	switch t.text {
	case "true", "True":
		return &Const{t.pos, true}
	case "false", "False":
		return &Const{t.pos, false}
	case "none", "None":
		return &Const{t.pos, nil}
	case "caller", "varargs", "kwargs":
		for i := range p.uses {
			p.uses[i].Caller = p.uses[i].Caller || t.text == "caller"
			p.uses[i].Varargs = p.uses[i].Varargs || t.text == "varargs"
			p.uses[i].Kwargs = p.uses[i].Kwargs || t.text == "kwargs"
		}
	}
	if namespace && p.skipIf("dot") {
		return &NSRef{t.pos, t.text, p.expect("name").text}
	}
	return &Name{t.pos, t.text}
}

// tupleRules say how far a tuple goes.
type tupleRules struct {
	simple    bool // names and constants only
	cond      bool // conditional expressions too
	ends      []string
	parens    bool // it stands in parentheses, and may be empty
	namespace bool
}

func (p *parser) tuple(rules tupleRules) Expr {
	at := p.cur().pos
	var items []Expr
	isTuple := false
	for {
		if len(items) > 0 {
			p.expect("comma")
		}
		if p.cur().isAny("variable_end", "block_end", "rparen") || p.cur().isAny(rules.ends...) {
			break
		}
		switch {
		case rules.simple:
			items = append(items, p.primary(rules.namespace))
		case rules.cond:
			items = append(items, p.cond())
		default:
			items = append(items, p.or())
		}
		if p.cur().typ != "comma" {
			break
		}
		isTuple = true
	}
	if !isTuple && len(items) > 0 {
		return items[0]
	}
	if !isTuple && !rules.parens {
		fail(p.cur().pos, "Expected an expression, got '%s'", p.cur().describe())
	}
	return &Tuple{at, items}
}

func (p *parser) list() Expr {
	l := &List{Pos: p.expect("lbracket").pos}
	for p.cur().typ != "rbracket" {
		if len(l.Items) > 0 {
			p.expect("comma")
		}
		if p.cur().typ == "rbracket" {
			break
		}
		l.Items = append(l.Items, p.expression())
	}
	p.expect("rbracket")
	return l
}

func (p *parser) dict() Expr {
	d := &Dict{Pos: p.expect("lbrace").pos}
	for p.cur().typ != "rbrace" {
		if len(d.Keys) > 0 {
			p.expect("comma")
		}
		if p.cur().typ == "rbrace" {
			break
		}
		d.Keys = append(d.Keys, p.expression())
		p.expect("colon")
		d.Values = append(d.Values, p.expression())
	}
	p.expect("rbrace")
	return d
}

func (p *parser) postfix(x Expr) Expr {
	for n := 0; ; p.linked(&n) {
		switch t := p.cur(); t.typ {
		case "dot", "lbracket":
			x = p.subscript(x)
		case "lparen":
			x = &Call{t.pos, x, p.args()}
		default:
			return x
		}
	}
}

func (p *parser) subscript(x Expr) Expr {
	t := p.next()
	if t.typ == "dot" {
		attr := p.next()
		switch attr.typ {
		case "name":
			return &Getattr{attr.pos, x, attr.text}
		case "integer":
			return &Getitem{attr.pos, x, &Const{attr.pos, attr.value}}
		}
		fail(attr.pos, "expected name or number")
	}
	var keys []Expr
	for p.cur().typ != "rbracket" {
		if len(keys) > 0 {
			p.expect("comma")
		}
		keys = append(keys, p.key())
	}
	p.expect("rbracket")
	if len(keys) == 1 {
		return &Getitem{t.pos, x, keys[0]}
	}
	return &Getitem{t.pos, x, &Tuple{t.pos, keys}}
}

func (p *parser) key() Expr {
	s := &Slice{Pos: p.cur().pos}
	if p.cur().typ != "colon" {
		x := p.expression()
		if p.cur().typ != "colon" {
			return x
		}
		s.Start = x
	}
	p.next()
	if !p.cur().isAny("colon", "rbracket", "comma") {
		s.Stop = p.expression()
	}
	if p.skipIf("colon") && !p.cur().isAny("rbracket", "comma") {
		s.Step = p.expression()
	}
	return s
}

func (p *parser) args() Args {
	var a Args
	at := p.expect("lparen").pos
	ensure := func(ok bool) {
		if !ok {
			fail(at, "invalid syntax for function call expression")
		}
	}
	for comma := false; p.cur().typ != "rparen"; comma = true {
		if comma {
			p.expect("comma")
			if p.cur().typ == "rparen" {
				break
			}
		}
		switch {
		case p.cur().typ == "mul":
			ensure(a.Star == nil && a.Stars2 == nil)
			p.next()
			a.Star = p.expression()
		case p.cur().typ == "pow":
			ensure(a.Stars2 == nil)
			p.next()
			a.Stars2 = p.expression()
		case p.cur().typ == "name" && p.look().typ == "assign":
			ensure(a.Stars2 == nil)
			a.Names = append(a.Names, p.next().text)
			p.next()
			a.Values = append(a.Values, p.expression())
		default:
			ensure(a.Star == nil && a.Stars2 == nil && len(a.Names) == 0)
			a.Args = append(a.Args, p.expression())
		}
	}
	p.expect("rparen")
	return a
}

// dotted reads a name that may have dots.
func (p *parser) dotted() (string, Pos) {
	t := p.expect("name")
	parts := []string{t.text}
	for p.skipIf("dot") {
		parts = append(parts, p.expect("name").text)
	}
	return strings.Join(parts, "."), t.pos
}

// filter reads filters behind x; inline, the first one has no pipe before it.
func (p *parser) filter(x Expr, inline bool) Expr {
	for n := 0; p.cur().typ == "pipe" || inline; p.linked(&n) {
		if !inline {
			p.next()
		}
		inline = false
		name, at := p.dotted()
		f := &Filter{Pos: at, X: x, Name: name}
		if p.cur().typ == "lparen" {
			f.Args = p.args()
		}
		x = f
	}
	return x
}

func (p *parser) test(x Expr) Expr {
	at := p.next().pos
	negated := p.skipIf("name:not")
	name, _ := p.dotted()
	t := &Test{Pos: at, X: x, Name: name}
	switch c := p.cur(); {
	case c.typ == "lparen":
		t.Args = p.args()
	case c.isAny("name", "string", "integer", "float", "lbracket", "lbrace") && !c.isAny("name:else", "name:or", "name:and"):
		if c.is("name:is") {
			fail(c.pos, "You cannot chain multiple tests with is")
		}
		t.Args.Args = []Expr{p.postfix(p.primary(false))}
	}
	if negated {
		return &Unary{at, "not", t}
	}
	return t
}
