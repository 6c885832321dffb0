package target

import "strings"

// parser is a recursive descent over the words:
//
//	or   = and { "or" and }
//	and  = not { ["and"] not }      the "and" may only be left out before "not"
//	not  = { "not" } ( "(" or ")" | match )
type parser struct {
	words []word
	next  int
	end   word // stands for the end of the expression
	depth int
}

func newParser(expr string, words []word) *parser {
	return &parser{words: words, end: word{column: len([]rune(strings.TrimRight(expr, " \t\r\n"))) + 1}}
}

func (p *parser) parse() (matcher, *SyntaxError) {
	if len(p.words) == 0 {
		p.end.column = 1
		return nil, p.end.fail(0, "the target is empty; * is every minion")
	}
	m, err := p.or()
	if err != nil {
		return nil, err
	}
	switch w := p.peek(); {
	case p.next == len(p.words):
		return m, nil
	case w.text == ")":
		return nil, w.fail(0, `")" without "("`)
	default:
		return nil, w.fail(0, `expected "and" or "or" before %q (operators are lower case)`, w.text)
	}
}

// peek returns the next word; at the end one with an empty text.
func (p *parser) peek() word {
	if p.next < len(p.words) {
		return p.words[p.next]
	}
	return p.end
}

// accept goes past an operator if it is the next word.
func (p *parser) accept(operator string) bool {
	if p.next == len(p.words) || p.words[p.next].text != operator {
		return false
	}
	p.next++
	return true
}

func (p *parser) or() (matcher, *SyntaxError) {
	var either []matcher
	for {
		m, err := p.and()
		if err != nil {
			return nil, err
		}
		either = append(either, m)
		if !p.accept("or") {
			return anyOf(either), nil
		}
	}
}

func (p *parser) and() (matcher, *SyntaxError) {
	var all []matcher
	for {
		m, err := p.not()
		if err != nil {
			return nil, err
		}
		all = append(all, m)
		if !p.accept("and") && p.peek().text != "not" {
			return allOf(all), nil
		}
	}
}

func (p *parser) not() (matcher, *SyntaxError) {
	negate := false
	for p.accept("not") {
		negate = !negate
	}
	m, err := p.operand()
	if err != nil || !negate {
		return m, err
	}
	return func(s *Subject) bool { return !m(s) }, nil
}

func (p *parser) operand() (matcher, *SyntaxError) {
	w := p.peek()
	switch {
	case p.next == len(p.words):
		return nil, w.fail(0, "expected a match at the end")
	case w.text == "(":
		return p.parentheses()
	case w.operator():
		return nil, w.fail(0, "expected a match before %q", w.text)
	}
	p.next++
	return match(w)
}

func (p *parser) parentheses() (matcher, *SyntaxError) {
	open := p.peek()
	p.next++
	if p.depth++; p.depth > maxDepth {
		return nil, open.fail(0, "parentheses are nested deeper than %d", maxDepth)
	}
	m, err := p.or()
	if err != nil {
		return nil, err
	}
	p.depth--
	if p.accept(")") {
		return m, nil
	}
	if w := p.peek(); p.next < len(p.words) {
		return nil, w.fail(0, `expected "and", "or" or ")" before %q (operators are lower case)`, w.text)
	}
	return nil, open.fail(0, `"(" is not closed`)
}

func anyOf(ms []matcher) matcher {
	if len(ms) == 1 {
		return ms[0]
	}
	return func(s *Subject) bool {
		for _, m := range ms {
			if m(s) {
				return true
			}
		}
		return false
	}
}

func allOf(ms []matcher) matcher {
	if len(ms) == 1 {
		return ms[0]
	}
	return func(s *Subject) bool {
		for _, m := range ms {
			if !m(s) {
				return false
			}
		}
		return true
	}
}
