package target

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says what an expression is, where its place says so: an option of brine target, "match:" in a top file, a function
// match.grain. The values are Salt's names.
type Kind string

// The kinds. The zero Kind is Compound.
const (
	Compound     Kind = "compound"
	IDGlob       Kind = "glob"
	IDRegexp     Kind = "pcre"
	IDList       Kind = "list"
	Grain        Kind = "grain"
	GrainRegexp  Kind = "grain_pcre"
	Pillar       Kind = "pillar"
	PillarRegexp Kind = "pillar_pcre"
	PillarExact  Kind = "pillar_exact"
	Network      Kind = "ipcidr"
	Nodegroup    Kind = "nodegroup"
)

// Kinds lists all of them.
func Kinds() []Kind {
	return []Kind{Compound, IDGlob, IDRegexp, IDList, Grain, GrainRegexp, Pillar, PillarRegexp, PillarExact, Network, Nodegroup}
}

// KindNamed is the kind of that name; Salt has two for some.
func KindNamed(name string) (Kind, error) {
	switch name {
	case "re", "E":
		return IDRegexp, nil
	case "grains":
		return Grain, nil
	}
	if slices.Contains(Kinds(), Kind(name)) {
		return Kind(name), nil
	}
	known := make([]string, 0, len(Kinds()))
	for _, k := range Kinds() {
		known = append(known, string(k))
	}
	return "", fmt.Errorf("unknown kind of target %q; known: %s", name, strings.Join(known, ", "))
}

// Delimited says that its expressions have names of several parts, which may be separated by something else than a colon.
func (k Kind) Delimited() bool {
	return slices.Contains([]Kind{Grain, GrainRegexp, Pillar, PillarRegexp, PillarExact}, k)
}

// Compile parses an expression of a kind: for Grain, "os:Debian" is the whole of it. An empty delimiter is the colon.
// Its errors are of the type *SyntaxError.
func Compile(kind Kind, expr, delimiter string, groups Nodegroups) (*Target, error) {
	switch kind {
	case Compound, "":
		return ParseWith(expr, groups)
	case Nodegroup:
		t, err := parse(expr, []word{{text: "N@" + expr, column: -1}}, groups)
		return t, err
	}
	if len(expr) > maxLength {
		return nil, &SyntaxError{Expr: expr, Column: 1, Message: fmt.Sprintf("longer than %d bytes", maxLength)}
	}
	if delimiter == "" {
		delimiter = ":"
	}
	m, bad := matchKind(kind, expr, delimiter)
	if bad != nil {
		return nil, word{text: expr, column: 1}.fail(bad.offset, "%s", bad.message).of(expr)
	}
	return &Target{expr: expr, match: m, pillar: kind == Pillar || kind == PillarRegexp || kind == PillarExact}, nil
}

// CompileWords is Compile for what is a list already: ids, or the words of a compound expression.
func CompileWords(kind Kind, words []string, groups Nodegroups) (*Target, error) {
	if kind == IDList {
		return &Target{expr: strings.Join(words, ","), match: idList(words)}, nil
	}
	return ParseWords(words, groups)
}

func (e *SyntaxError) of(expr string) *SyntaxError {
	e.Expr = expr
	return e
}

func matchKind(kind Kind, expr, delimiter string) (matcher, *patternError) {
	switch kind {
	case IDGlob:
		g := newGlob(expr)
		return func(s *Subject) bool { return g.match(string(s.ID)) }, nil
	case IDRegexp:
		return idRegexp(expr)
	case IDList:
		return idList(strings.Split(expr, ",")), nil
	case Grain:
		return nestedMatch("G", expr, delimiter)
	case GrainRegexp:
		return nestedMatch("P", expr, delimiter)
	case Pillar:
		return nestedMatch("I", expr, delimiter)
	case PillarRegexp:
		return nestedMatch("J", expr, delimiter)
	case PillarExact:
		return nestedMatch("I", exactly(expr), delimiter)
	case Network:
		return address(expr)
	}
	return nil, &patternError{message: fmt.Sprintf("unknown kind of target %q", string(kind))}
}

// exactly makes a glob match itself only. A key that is * still is a star in Salt, so that needs to stay one: it never does
// where globs are of no use.
func exactly(expr string) string {
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(expr)
}
