package yaml

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is one complaint about a user's file.
type Error struct {
	File    string
	Line    int // from 1; 0 when the whole file is meant
	Column  int // from 1; 0 when the whole line is meant
	Message string
	Hint    string // what to do; may be empty
	Source  string // the line itself; may be empty
}

const duplicateKey = "duplicate key "

// Duplicate reports whether the complaint is about a key that is there twice.
func (e *Error) Duplicate() bool { return strings.HasPrefix(e.Message, duplicateKey) }

// Error gives "file:line:column: message; hint" and, indented below it, the line itself.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(Pos{e.File, e.Line, e.Column}.String())
	fmt.Fprintf(&b, ": %s", e.Message)
	if e.Hint != "" {
		fmt.Fprintf(&b, "; %s", e.Hint)
	}
	if e.Source != "" {
		fmt.Fprintf(&b, "\n    %s", e.Source)
	}
	return b.String()
}

// Errors is all that is wrong with one or more files, in the order of file and line. It is never empty.
type Errors []*Error

// Error gives one complaint after the other.
func (e Errors) Error() string { return Texts(e) }

// Unwrap makes each complaint visible to errors.As.
func (e Errors) Unwrap() []error { return Each(e) }

// Texts gives one complaint after the other.
func Texts[E error](all []E) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.Error()
	}
	return strings.Join(texts, "\n")
}

// Each gives complaints as an Unwrap method does, which makes each visible to errors.As.
func Each[E error](all []E) []error {
	errs := make([]error, len(all))
	for i, one := range all {
		errs[i] = one
	}
	return errs
}

// Join makes one Errors of all complaints in errs, sorted and without repetition, or nil when there are none. When one of
// errs is no complaint of this package, all are joined as errors.Join does.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		var many Errors
		var one *Error
		switch {
		case err == nil:
		case errors.As(err, &many):
			all = append(all, many...)
		case errors.As(err, &one):
			all = append(all, one)
		default:
			return errors.Join(errs...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.CompactFunc(all, func(a, b *Error) bool { return *a == *b })
}
