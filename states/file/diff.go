package file

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/aymanbagabas/go-udiff"
)

// maxDiff bounds the texts that are compared line by line, and maxDiffText what is told of it.
const (
	maxDiff     = 4 << 20
	maxDiffText = 1 << 20
)

// diff tells what becomes of a text, as Python's unified diff does; empty when nothing.
func diff(before, after []byte) string {
	switch {
	case bytes.Equal(before, after):
		return ""
	case !isText(before) && !isText(after):
		return "Replace binary file"
	case !isText(before):
		return "Replace binary file with text file"
	case !isText(after):
		return "Replace text file with binary file"
	case len(before) > maxDiff || len(after) > maxDiff:
		return fmt.Sprintf("Files of %d and %d bytes differ", len(before), len(after))
	}
	edits := udiff.Lines(string(before), string(after))
	hunks, err := udiff.ToUnifiedDiff("", "", string(before), edits, udiff.DefaultContextLines)
	if err != nil {
		return "Files differ"
	}
	var b strings.Builder
	b.WriteString("--- \n+++ \n")
	for _, hunk := range hunks.Hunks {
		var body strings.Builder
		olds, news := 0, 0
		for _, line := range hunk.Lines {
			switch line.Kind {
			case udiff.Delete:
				olds++
				body.WriteByte('-')
			case udiff.Insert:
				news++
				body.WriteByte('+')
			default:
				olds++
				news++
				body.WriteByte(' ')
			}
			body.WriteString(line.Content)
		}
		fmt.Fprintf(&b, "@@ -%s +%s @@\n%s", span(hunk.FromLine, olds), span(hunk.ToLine, news), body.String())
		if b.Len() > maxDiffText {
			return b.String()[:maxDiffText] + "\n(the rest of the diff is left out)\n"
		}
	}
	return b.String()
}

func span(from, lines int) string {
	switch lines {
	case 0:
		return fmt.Sprintf("%d,0", from-1)
	case 1:
		return fmt.Sprint(from)
	default:
		return fmt.Sprintf("%d,%d", from, lines)
	}
}

// isText decides as Salt does, by the first 512 bytes.
func isText(text []byte) bool {
	head := text[:min(512, len(text))]
	if bytes.IndexByte(head, 0) >= 0 {
		return false
	}
	for cut := 0; cut < utf8.UTFMax && cut <= len(head); cut++ { // the last character may be cut
		if utf8.Valid(head[:len(head)-cut]) {
			return true
		}
		if len(text) <= 512 {
			break
		}
	}
	odd := 0
	for _, c := range head {
		if c < 32 && !strings.ContainsRune("\n\r\t\f\b", rune(c)) || c > 126 {
			odd++
		}
	}
	return odd*10 <= len(head)*3
}
