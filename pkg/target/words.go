package target

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// word is one word of an expression. One that came out of a nodegroup has the column of the N@ that brought it in.
type word struct {
	text   string
	column int
	group  string // the nodegroup that it came out of
}

// fail makes the error for a place in the word: offset is in bytes of its text.
func (w word) fail(offset int, format string, args ...any) *SyntaxError {
	message := fmt.Sprintf(format, args...)
	if w.group != "" {
		return &SyntaxError{Column: w.column, Message: fmt.Sprintf("in nodegroup %q: %s", w.group, message)}
	}
	return &SyntaxError{Column: w.column + utf8.RuneCountInString(w.text[:min(offset, len(w.text))]), Message: message}
}

func (w word) operator() bool {
	switch w.text {
	case "and", "or", "not", "(", ")":
		return true
	default:
		return false
	}
}

// split splits at white space.
func split(expr string) []word {
	var words []word
	column, start, startColumn := 0, -1, 0
	for i, r := range expr {
		column++
		switch space := unicode.IsSpace(r); {
		case !space && start < 0:
			start, startColumn = i, column
		case space && start >= 0:
			words = append(words, word{text: expr[start:i], column: startColumn})
			start = -1
		}
	}
	if start >= 0 {
		words = append(words, word{text: expr[start:], column: startColumn})
	}
	return words
}

// columns is split for words that were separated before.
func columns(texts []string) []word {
	words, column := make([]word, 0, len(texts)), 1
	for _, text := range texts {
		words = append(words, word{text: text, column: column})
		column += utf8.RuneCountInString(text) + 1
	}
	return words
}

// expander puts nodegroups in place, word by word, the way Salt's nodegroup_comp does.
type expander struct {
	groups Nodegroups
	inside []string // the nodegroups that are being put in place
	count  int      // of words so far
}

func expand(words []word, groups Nodegroups) ([]word, *SyntaxError) {
	e := &expander{groups: groups}
	var all []word
	for _, w := range unpack(words) {
		if !isGroup(w) {
			all = append(all, w)
			continue
		}
		got, nested, err := e.group(w)
		if err != nil {
			return nil, err
		}
		if !nested {
			got = implied(got)
		}
		all = append(all, got...)
	}
	if len(all) > maxWords {
		return nil, all[0].fail(0, "more than %d words", maxWords)
	}
	return all, nil
}

// unpack takes the parentheses, and operators before one, off words that were written without spaces: (web1 or web2),
// not(db*). Those that belong to a pattern stay: E@web(1|2).
func unpack(words []word) []word {
	out := make([]word, 0, len(words))
	for _, w := range words {
		for {
			head := leading(w.text)
			if head == "" || head == w.text {
				break
			}
			out = append(out, word{head, w.column, w.group})
			w = w.from(len(head))
		}
		var tail []word
		for len(w.text) > 1 && closesMore(w.text) {
			last := w.from(len(w.text) - 1)
			tail = append(tail, last)
			w.text = w.text[:len(w.text)-1]
		}
		slices.Reverse(tail)
		out = append(append(out, w), tail...)
	}
	return out
}

// from is the rest of a word from a byte on.
func (w word) from(offset int) word {
	if w.group == "" {
		w.column += utf8.RuneCountInString(w.text[:offset])
	}
	w.text = w.text[offset:]
	return w
}

// leading is the parenthesis, or the operator before one, that a word begins with.
func leading(text string) string {
	if strings.HasPrefix(text, "(") {
		return "("
	}
	for _, operator := range []string{"not", "and", "or"} {
		if strings.HasPrefix(text, operator+"(") {
			return operator
		}
	}
	return ""
}

// closesMore reports whether a word ends in a parenthesis that it does not open.
func closesMore(text string) bool {
	if !strings.HasSuffix(text, ")") || strings.HasSuffix(text, `\)`) {
		return false
	}
	open, escaped := 0, false
	for _, r := range text {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '(':
			open++
		case r == ')':
			open--
		}
	}
	return open < 0
}

func isGroup(w word) bool { return strings.HasPrefix(w.text, "N@") && len(w.text) > len("N@") }

// group returns the words of the nodegroup that w names. With nodegroups inside they are in parentheses, which nested says.
func (e *expander) group(w word) (words []word, nested bool, err *SyntaxError) {
	name := strings.TrimPrefix(w.text, "N@")
	own, err := e.look(w, name)
	if err != nil {
		return nil, false, err
	}
	e.inside = append(e.inside, name)
	defer func() { e.inside = e.inside[:len(e.inside)-1] }()
	inside := make([]word, len(own))
	for i, text := range own {
		inside[i] = word{text: text, column: w.column, group: name}
	}
	if len(inside) > 1 { // a single word may be a regular expression without its E@
		inside = unpack(inside)
	}
	for _, inner := range inside {
		if e.count++; e.count > maxWords {
			return nil, false, w.fail(0, "more than %d words", maxWords)
		}
		if !isGroup(inner) {
			words = append(words, inner)
			continue
		}
		nested = true
		got, deeper, err := e.group(inner)
		if err != nil {
			return nil, false, err
		}
		if !deeper {
			got = parenthesised(got)
		}
		words = append(words, got...)
	}
	if nested {
		words = parenthesised(words)
	}
	return words, nested, nil
}

// look returns the words that define a nodegroup.
func (e *expander) look(w word, name string) ([]string, *SyntaxError) {
	definition, ok := e.groups[name]
	switch {
	case !ok && len(e.groups) == 0:
		return nil, w.fail(len("N@"), "unknown nodegroup %q; there are none", name)
	case !ok:
		return nil, w.fail(len("N@"), "unknown nodegroup %q; known: %s", name, strings.Join(slices.Sorted(maps.Keys(e.groups)), ", "))
	case slices.Contains(e.inside, name):
		return nil, w.fail(len("N@"), "nodegroup %q contains itself: %s", name, strings.Join(append(e.inside, name), " > "))
	case len(e.inside) >= maxDepth:
		return nil, w.fail(len("N@"), "nodegroups are nested deeper than %d", maxDepth)
	}
	var own []string
	switch d := definition.(type) {
	case string:
		own = strings.Fields(d)
	case []string:
		own = d
	case []any:
		for _, v := range d {
			own = append(own, fmt.Sprint(v))
		}
	default:
		return nil, w.fail(len("N@"), "nodegroup %q is neither text nor a list", name)
	}
	if len(own) == 0 { // Nobody, and it stays one operand.
		own = []string{"(", "not", "*", ")"}
	}
	return own, nil
}

func parenthesised(words []word) []word {
	w := words[0]
	return slices.Concat([]word{{"(", w.column, w.group}}, words, []word{{")", w.column, w.group}})
}

// implied makes words that are neither operators nor matches with an @ or a * one list of ids, or a regular expression.
func implied(words []word) []word {
	kind, texts := "L@", make([]string, 0, len(words))
	for _, w := range words {
		typed := len(w.text) >= 2 && w.text[0] >= 'A' && w.text[0] <= 'Z' && w.text[1] == '@'
		if w.operator() || typed || strings.Contains(w.text, "*") {
			return words
		}
		if strings.ContainsAny(w.text, `([{\?}])`) {
			kind = "E@"
		}
		texts = append(texts, w.text)
	}
	w := words[0]
	w.text = kind + strings.Join(texts, ",")
	return []word{w}
}
