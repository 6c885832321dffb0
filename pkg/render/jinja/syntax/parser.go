package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// maxDepth bounds how deep expressions and statements are inside each other.
const maxDepth = 120

// parser reads tokens by recursive descent, in the way and with the words of Jinja's own.
type parser struct {
	tokens []token
	at     int
	depth  int
	tags   []string    // the statements that are open
	ends   [][]string  // what each of them waits for
	uses   []Signature // of the macros that are open
	loops  int         // that are open in this macro
	blocks []*Block
}

// Parse reads a template.
func Parse(text string, o Options) (t *Template, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case *Error:
			err = e
		default:
			panic(e)
		}
	}()
	p := &parser{tokens: lex(text, o)}
	body := p.subparse(nil)
	return &Template{Body: body, Blocks: p.blocks}, nil
}

func (p *parser) cur() *token {
	t := &p.tokens[p.at]
	if e, ok := t.value.(*Error); ok {
		panic(e)
	}
	return t
}

func (p *parser) look() *token { return &p.tokens[min(p.at+1, len(p.tokens)-1)] }

// next gives the current token and goes on to the one behind it.
func (p *parser) next() *token {
	t := p.cur()
	p.at = min(p.at+1, len(p.tokens)-1)
	return t
}

// is reports whether a token is of a type, or with name:x that name.
func (t *token) is(expr string) bool {
	if name, ok := strings.CutPrefix(expr, "name:"); ok {
		return t.typ == "name" && t.text == name
	}
	return t.typ == expr
}

func (t *token) isAny(exprs ...string) bool { return slices.ContainsFunc(exprs, t.is) }

func (p *parser) skipIf(expr string) bool {
	if p.cur().is(expr) {
		p.next()
		return true
	}
	return false
}

var described = map[string]string{
	"block_begin": "begin of statement block", "block_end": "end of statement block", "variable_begin": "begin of print statement",
	"variable_end": "end of print statement", "data": "template data / text", "eof": "end of template",
}

func describe(typ string) string {
	if text := described[typ]; text != "" {
		return text
	}
	for _, op := range operators {
		if op.name == typ {
			return op.text
		}
	}
	return strings.TrimPrefix(typ, "name:")
}

func (t *token) describe() string {
	if t.typ == "name" {
		return t.text
	}
	return describe(t.typ)
}

func (p *parser) expect(expr string) *token {
	t := p.cur()
	if !t.is(expr) {
		if t.typ == "eof" {
			fail(t.pos, "unexpected end of template, expected '%s'.", describe(expr))
		}
		fail(t.pos, "expected token '%s', got '%s'", describe(expr), t.describe())
	}
	return p.next()
}

func (p *parser) deeper() func() {
	p.depth++
	if p.depth > maxDepth {
		fail(p.cur().pos, "the template is nested too deeply")
	}
	return func() { p.depth-- }
}

// subparse reads text, prints and statements until one of ends, which it leaves.
func (p *parser) subparse(ends []string) []Stmt {
	defer p.deeper()()
	if ends != nil {
		p.ends = append(p.ends, ends)
		defer func() { p.ends = p.ends[:len(p.ends)-1] }()
	}
	var body []Stmt
	var output *Output
	add := func(e Expr) {
		if output == nil {
			output = &Output{Pos: e.At()}
			body = append(body, output)
		}
		output.Items = append(output.Items, e)
	}
	for {
		switch t := p.cur(); t.typ {
		case "data":
			p.next()
			add(&Data{t.pos, t.text})
		case "variable_begin":
			p.next()
			add(p.tuple(tupleRules{cond: true}))
			p.expect("variable_end")
		case "block_begin":
			output = nil
			p.next()
			if ends != nil && p.cur().isAny(ends...) {
				return body
			}
			body = append(body, p.statement()...)
			p.expect("block_end")
		default:
			return body
		}
	}
}

// body reads the inside of a statement, up to one of ends, which it leaves.
func (p *parser) body(ends ...string) []Stmt {
	p.skipIf("colon")
	p.expect("block_end")
	body := p.subparse(ends)
	if p.cur().typ == "eof" {
		p.ends = append(p.ends, ends)
		p.unexpected("", p.cur().pos)
	}
	return body
}

// bodyTo reads the inside of a statement, and its end.
func (p *parser) bodyTo(end string) []Stmt {
	body := p.body(end)
	p.next()
	return body
}

// unexpected fails because of a tag that nobody knows here, or because the template ends.
func (p *parser) unexpected(tag string, at Pos) {
	var looking []string
	known := false
	for _, ends := range p.ends {
		known = known || slices.Contains(ends, "name:"+tag)
	}
	if len(p.ends) > 0 {
		for _, e := range p.ends[len(p.ends)-1] {
			looking = append(looking, "'"+describe(e)+"'")
		}
	}
	message := "Unexpected end of template."
	if tag != "" {
		message = fmt.Sprintf("Encountered unknown tag '%s'.", tag)
	}
	switch {
	case len(looking) > 0 && tag != "" && known:
		message += " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for " +
			strings.Join(looking, " or ") + "."
	case len(looking) > 0:
		message += " Jinja was looking for the following tags: " + strings.Join(looking, " or ") + "."
	}
	if len(p.tags) > 0 {
		message += fmt.Sprintf(" The innermost block that needs to be closed is '%s'.", p.tags[len(p.tags)-1])
	}
	fail(at, "%s", message)
}

func (p *parser) statement() []Stmt {
	t := p.cur()
	if t.typ != "name" {
		fail(t.pos, "tag name expected")
	}
	read := statementOf(t.text)
	if read == nil {
		p.unexpected(t.text, t.pos)
	}
	p.tags = append(p.tags, t.text)
	defer func() { p.tags = p.tags[:len(p.tags)-1] }()
	return read(p, t.pos)
}

// one makes a reader of many statements of a reader of one that has read its own tag.
func one(read func(p *parser, at Pos) Stmt) func(p *parser, at Pos) []Stmt {
	return func(p *parser, at Pos) []Stmt {
		p.next()
		return []Stmt{read(p, at)}
	}
}

func statementOf(tag string) func(p *parser, at Pos) []Stmt {
	switch tag {
	case "if":
		return one((*parser).parseIf)
	case "for":
		return one((*parser).parseFor)
	case "set":
		return one((*parser).parseSet)
	case "with":
		return one((*parser).parseWith)
	case "block":
		return one((*parser).parseBlock)
	case "extends":
		return one(func(p *parser, at Pos) Stmt { return &Extends{at, p.expression()} })
	case "include":
		return one((*parser).parseInclude)
	case "import", "import_yaml", "import_json", "import_text":
		load := strings.TrimPrefix(tag, "import")
		if load != "" {
			load = "load" + load
		}
		return one(func(p *parser, at Pos) Stmt { return p.parseImport(at, load) })
	case "from":
		return one((*parser).parseFrom)
	case "macro":
		return one((*parser).parseMacro)
	case "call":
		return one((*parser).parseCallBlock)
	case "filter":
		return one(func(p *parser, at Pos) Stmt {
			f := p.filter(nil, true)
			return &FilterBlock{at, f, p.bodyTo("name:endfilter")}
		})
	case "print":
		return one((*parser).parsePrint)
	case "do":
		return one(func(p *parser, at Pos) Stmt { return &Do{at, p.tuple(tupleRules{cond: true})} })
	case "break", "continue":
		return one(func(p *parser, at Pos) Stmt {
			if p.loops == 0 {
				fail(at, "'%s' outside loop", tag)
			}
			return &Jump{at, tag == "break"}
		})
	case "autoescape":
		return one(func(p *parser, at Pos) Stmt {
			on := p.expression()
			return &Autoescape{at, on, p.bodyTo("name:endautoescape")}
		})
	case "load_yaml", "load_json", "load_text":
		return one(func(p *parser, at Pos) Stmt {
			p.expect("name:as")
			target := p.target(nil, false)
			return &Load{at, tag, target, p.bodyTo("name:endload")}
		})
	case "profile":
		return func(p *parser, at Pos) []Stmt {
			p.next()
			p.expect("name:as")
			label := p.expression()
			return append([]Stmt{&Do{at, label}}, p.bodyTo("name:endprofile")...)
		}
	}
	return nil
}

func (p *parser) parseIf(at Pos) Stmt {
	node := &If{Pos: at}
	for {
		test := p.tuple(tupleRules{})
		node.Branches = append(node.Branches, Branch{test, p.body("name:elif", "name:else", "name:endif")})
		switch t := p.next(); t.text {
		case "elif":
			continue
		case "else":
			node.Branches = append(node.Branches, Branch{nil, p.bodyTo("name:endif")})
		}
		return node
	}
}

func (p *parser) parseFor(at Pos) Stmt {
	node := &For{Pos: at, Target: p.target([]string{"name:in"}, false)}
	p.expect("name:in")
	node.Iter = p.tuple(tupleRules{ends: []string{"name:recursive"}})
	if p.skipIf("name:if") {
		node.Test = p.expression()
	}
	node.Recursive = p.skipIf("name:recursive")
	p.loops++
	node.Body = p.body("name:endfor", "name:else")
	p.loops--
	if p.next().text == "else" {
		node.Else = p.bodyTo("name:endfor")
	}
	return node
}

func (p *parser) parseSet(at Pos) Stmt {
	target := p.target(nil, true)
	if p.skipIf("assign") {
		return &Set{at, target, p.tuple(tupleRules{cond: true})}
	}
	filter := p.filter(nil, false)
	return &SetBlock{at, target, filter, p.bodyTo("name:endset")}
}

func (p *parser) parseWith(at Pos) Stmt {
	node := &With{Pos: at}
	for p.cur().typ != "block_end" {
		if len(node.Targets) > 0 {
			p.expect("comma")
		}
		node.Targets = append(node.Targets, p.target(nil, false))
		p.expect("assign")
		node.Values = append(node.Values, p.expression())
	}
	node.Body = p.bodyTo("name:endwith")
	return node
}

func (p *parser) parseBlock(at Pos) Stmt {
	node := &Block{Pos: at, Name: p.expect("name").text}
	node.Scoped = p.skipIf("name:scoped")
	node.Required = p.skipIf("name:required")
	if p.cur().typ == "sub" {
		fail(p.cur().pos, "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.")
	}
	if slices.ContainsFunc(p.blocks, func(b *Block) bool { return b.Name == node.Name }) {
		fail(at, "block '%s' defined twice", node.Name)
	}
	p.blocks = append(p.blocks, node)
	loops := p.loops
	p.loops = 0
	node.Body = p.bodyTo("name:endblock")
	p.loops = loops
	if node.Required {
		for _, s := range node.Body {
			o, ok := s.(*Output)
			if !ok || slices.ContainsFunc(o.Items, func(e Expr) bool {
				d, ok := e.(*Data)
				return !ok || strings.TrimSpace(d.Text) != ""
			}) {
				fail(s.At(), "Required blocks can only contain comments or whitespace")
			}
		}
	}
	p.skipIf("name:" + node.Name)
	return node
}

// context reads with context or without context.
func (p *parser) context(otherwise bool) bool {
	if p.cur().isAny("name:with", "name:without") && p.look().is("name:context") {
		with := p.next().text == "with"
		p.next()
		return with
	}
	return otherwise
}

func (p *parser) parseInclude(at Pos) Stmt {
	node := &Include{Pos: at, Template: p.expression()}
	if p.cur().is("name:ignore") && p.look().is("name:missing") {
		node.IgnoreMissing = true
		p.next()
		p.next()
	}
	node.WithContext = p.context(true)
	return node
}

func (p *parser) parseImport(at Pos, load string) Stmt {
	node := &Import{Pos: at, Template: p.expression(), Load: load}
	p.expect("name:as")
	node.Target = p.nameOnly()
	node.WithContext = p.context(false)
	return node
}

func (p *parser) parseFrom(at Pos) Stmt {
	node := &FromImport{Pos: at, Template: p.expression()}
	p.expect("name:import")
	for {
		if len(node.Names) > 0 {
			p.expect("comma")
		}
		if p.cur().typ != "name" {
			p.expect("name")
		}
		before := p.at
		node.WithContext = p.context(false)
		if p.at != before {
			return node
		}
		name := p.nameOnly()
		if strings.HasPrefix(name, "_") {
			fail(p.tokens[p.at-1].pos, "names starting with an underline can not be imported")
		}
		alias := name
		if p.skipIf("name:as") {
			alias = p.nameOnly()
		}
		node.Names, node.Aliases = append(node.Names, name), append(node.Aliases, alias)
		before = p.at
		node.WithContext = p.context(false)
		if p.at != before || p.cur().typ != "comma" {
			return node
		}
	}
}

func (p *parser) signature() Signature {
	var s Signature
	p.expect("lparen")
	for p.cur().typ != "rparen" {
		if len(s.Params) > 0 {
			p.expect("comma")
		}
		at := p.cur().pos
		s.Params = append(s.Params, p.nameOnly())
		switch {
		case p.skipIf("assign"):
			s.Defaults = append(s.Defaults, p.expression())
		case len(s.Defaults) > 0:
			fail(at, "non-default argument follows default argument")
		}
	}
	p.expect("rparen")
	return s
}

// inside reads the body of a macro or call block and learns which special names it uses.
func (p *parser) inside(s *Signature, end string) []Stmt {
	p.uses = append(p.uses, Signature{})
	loops := p.loops
	p.loops = 0
	body := p.bodyTo(end)
	p.loops = loops
	used := p.uses[len(p.uses)-1]
	p.uses = p.uses[:len(p.uses)-1]
	s.Caller, s.Varargs, s.Kwargs = used.Caller, used.Varargs, used.Kwargs
	if s.Caller && slices.Contains(s.Params, "caller") {
		s.Caller = false
	}
	return body
}

func (p *parser) parseMacro(at Pos) Stmt {
	node := &Macro{Pos: at, Name: p.nameOnly()}
	node.Signature = p.signature()
	node.Body = p.inside(&node.Signature, "name:endmacro")
	return node
}

func (p *parser) parseCallBlock(at Pos) Stmt {
	node := &CallBlock{Pos: at}
	if p.cur().typ == "lparen" {
		node.Signature = p.signature()
	}
	call, ok := p.expression().(*Call)
	if !ok {
		fail(at, "expected call")
	}
	node.Call = call
	node.Body = p.inside(&node.Signature, "name:endcall")
	return node
}

func (p *parser) parsePrint(at Pos) Stmt {
	node := &Output{Pos: at}
	for p.cur().typ != "block_end" {
		if len(node.Items) > 0 {
			p.expect("comma")
		}
		node.Items = append(node.Items, p.expression())
	}
	return node
}
