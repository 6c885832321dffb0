package target

import (
	"fmt"
	"strings"
	"unicode"
)

// SyntaxError says what is wrong with an expression, and where.
type SyntaxError struct {
	Expr    string
	Column  int // from 1, in characters
	Message string
}

// Error is one line with the column.
func (e *SyntaxError) Error() string {
	expr := []rune(e.Expr)
	if len(expr) > detailWidth {
		expr = append(expr[:detailWidth:detailWidth], '…')
	}
	return fmt.Sprintf("target %q, column %d: %s", string(expr), e.Column, e.Message)
}

// detailWidth bounds the part of an expression that is shown.
const detailWidth = 100

// Detail is the expression with a caret below the place, and the message:
//
//	web1 and and
//	         ^ expected a match
func (e *SyntaxError) Detail() string {
	line := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, e.Expr)
	runes, at := []rune(line), max(0, e.Column-1)
	if from := at - detailWidth/2; from > 0 && len(runes) > detailWidth {
		runes, at = append([]rune("…"), runes[min(from, len(runes)):]...), at-from+1
	}
	if len(runes) > detailWidth {
		runes = append(runes[:detailWidth:detailWidth], '…')
	}
	return string(runes) + "\n" + strings.Repeat(" ", at) + "^ " + e.Message
}
