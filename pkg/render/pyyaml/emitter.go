package pyyaml

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// emitter writes tokens and knows where it is in the line, as PyYAML's emitter does.
type emitter struct {
	Style
	b          strings.Builder
	width      int
	unicode    bool // other characters than ASCII are written as they are
	column     int
	indent     int // -1 at the top
	flow       int // how deep in brackets
	whitespace bool
	indention  bool
	openEnded  bool
}

func newEmitter(width int, unicode bool) *emitter {
	return &emitter{width: width, unicode: unicode, whitespace: true, indention: true}
}

func (e *emitter) write(s string) {
	e.column += utf8.RuneCountInString(s)
	e.b.WriteString(s)
}

func (e *emitter) indicator(s string, needSpace, whitespace, indention bool) {
	if needSpace && !e.whitespace {
		s = " " + s
	}
	e.whitespace = whitespace
	e.indention = e.indention && indention
	e.openEnded = false
	e.write(s)
}

func (e *emitter) lineBreak() {
	e.whitespace, e.indention = true, true
	e.b.WriteByte('\n')
	e.column = 0
}

func (e *emitter) newLine() {
	indent := max(e.indent, 0)
	if !e.indention || e.column > indent || e.column == indent && !e.whitespace {
		e.lineBreak()
	}
	if e.column < indent {
		e.whitespace = true
		e.write(strings.Repeat(" ", indent-e.column))
	}
}

// analysis says in which ways text can be written.
type analysis struct {
	empty, multiline, flowPlain, blockPlain, single bool
}

const breaks = "\n\u0085\u2028\u2029"

func isBreak(c rune) bool { return strings.ContainsRune(breaks, c) }

func isBlank(c rune) bool { return strings.ContainsRune("\x00 \t\r"+breaks, c) }

func analyze(text []rune, unicode bool) analysis {
	if len(text) == 0 {
		return analysis{empty: true, blockPlain: true, single: true}
	}
	var block, flow, lines, special, edge, breakSpace, spaceBreak bool
	if s := string(text[:min(3, len(text))]); s == "---" || s == "..." {
		block, flow = true, true
	}
	blankBefore := true
	for i, c := range text {
		blankAfter := i+1 >= len(text) || isBlank(text[i+1])
		switch {
		case i == 0 && strings.ContainsRune("#,[]{}&*!|>'\"%@`", c), i == 0 && c == '-' && blankAfter, i > 0 && c == '#' && blankBefore:
			flow, block = true, true
		case c == ':', i == 0 && c == '?':
			flow = true
			block = block || blankAfter
		case i > 0 && strings.ContainsRune(",?[]{}", c):
			flow = true
		}
		lines = lines || isBreak(c)
		special = special || !printable(c, unicode)
		if c == ' ' || isBreak(c) {
			edge = edge || i == 0 || i == len(text)-1
			if i > 0 {
				breakSpace = breakSpace || c == ' ' && isBreak(text[i-1])
				spaceBreak = spaceBreak || c != ' ' && text[i-1] == ' '
			}
		}
		blankBefore = isBlank(c)
	}
	plain := !edge && !breakSpace && !spaceBreak && !special && !lines
	return analysis{multiline: lines, flowPlain: plain && !flow, blockPlain: plain && !block, single: !breakSpace && !spaceBreak && !special}
}

func printable(c rune, unicode bool) bool {
	switch {
	case c == '\n' || c >= ' ' && c <= '~':
		return true
	case c == 0xfeff:
		return false
	}
	return unicode && (c == 0x85 || c >= 0xa0 && c <= 0xd7ff || c >= 0xe000 && c <= 0xfffd || c >= 0x10000 && c < 0x10ffff)
}

// pieces cuts text into runs of single kind: spaces, breaks, others.
func pieces(text []rune, kind func(rune) int, each func(run []rune, kind, start, end int)) {
	for start := 0; start < len(text); {
		k := kind(text[start])
		end := start + 1
		for end < len(text) && kind(text[end]) == k {
			end++
		}
		each(text[start:end], k, start, end)
		start = end
	}
}

const (
	others = iota
	spaces
	lineBreaks
	quotes
)

func (e *emitter) plain(text []rune, split bool) {
	if len(text) == 0 {
		return
	}
	if !e.whitespace {
		e.write(" ")
	}
	e.whitespace, e.indention = false, false
	pieces(text, func(c rune) int {
		if c == ' ' {
			return spaces
		}
		return others
	}, func(run []rune, kind, _, _ int) {
		if kind == spaces && len(run) == 1 && e.column > e.width && split {
			e.newLine()
			e.whitespace, e.indention = false, false
			return
		}
		e.write(string(run))
	})
}

func (e *emitter) single(text []rune, split bool) {
	e.indicator("'", true, false, false)
	pieces(text, func(c rune) int {
		switch {
		case c == ' ':
			return spaces
		case isBreak(c):
			return lineBreaks
		case c == '\'':
			return quotes
		}
		return others
	}, func(run []rune, kind, start, end int) {
		switch kind {
		case spaces:
			if len(run) == 1 && e.column > e.width && split && start != 0 && end != len(text) {
				e.newLine()
				return
			}
			e.write(string(run))
		case lineBreaks:
			if run[0] == '\n' {
				e.lineBreak()
			}
			for _, c := range run {
				if c == '\n' {
					e.lineBreak()
				} else {
					e.whitespace, e.indention, e.column = true, true, 0
					e.b.WriteRune(c)
				}
			}
			e.newLine()
		case quotes:
			e.write(strings.Repeat("''", len(run)))
		default:
			e.write(string(run))
		}
	})
	e.indicator("'", false, false, false)
}

var escaped = map[rune]string{
	0: "0", 7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 27: "e", '"': `"`, '\\': `\`, 0x85: "N", 0xa0: "_", 0x2028: "L", 0x2029: "P",
}

func (e *emitter) double(text []rune, split bool) {
	e.indicator(`"`, true, false, false)
	start := 0
	for end := 0; end <= len(text); end++ {
		last := end == len(text)
		c := rune(0)
		if !last {
			c = text[end]
		}
		if last || strings.ContainsRune("\"\\\u0085\u2028\u2029\uFEFF", c) ||
			(c < ' ' || c > '~') && (!e.unicode || (c < 0xa0 || c > 0xd7ff) && (c < 0xe000 || c > 0xfffd)) {
			if start < end {
				e.write(string(text[start:end]))
				start = end
			}
			if !last {
				e.write(escape(c))
				start = end + 1
			}
		}
		if end > 0 && end < len(text)-1 && (c == ' ' || start >= end) && e.column+end-start > e.width && split {
			run := ""
			if start < end {
				run = string(text[start:end])
				start = end
			}
			e.write(run + `\`)
			e.newLine()
			e.whitespace, e.indention = false, false
			if text[start] == ' ' {
				e.write(`\`)
			}
		}
	}
	e.indicator(`"`, false, false, false)
}

func escape(c rune) string {
	switch name, ok := escaped[c]; {
	case ok:
		return `\` + name
	case c <= 0xff:
		return fmt.Sprintf(`\x%02X`, c)
	case c <= 0xffff:
		return fmt.Sprintf(`\u%04X`, c)
	}
	return fmt.Sprintf(`\U%08X`, c)
}
