package regex

import (
	"fmt"
	"strconv"
	"strings"
)

// translate makes of Python's syntax the engine's, which is .NET's.
func translate(expr string) string {
	var b strings.Builder
	for i := 0; i < len(expr); i++ {
		switch rest := expr[i:]; {
		case rest[0] == '\\' && len(rest) > 1:
			if rest[1] == 'Z' {
				b.WriteString(`\z`) // .NET's \Z may stand before a last newline
			} else {
				b.WriteString(rest[:2])
			}
			i++
		case rest[0] == '[':
			n := class(&b, rest)
			i += n - 1
		case strings.HasPrefix(rest, "(?P<"):
			b.WriteString("(?<")
			i += 3
		case strings.HasPrefix(rest, "(?P="):
			name, _, _ := strings.Cut(rest[4:], ")")
			b.WriteString(`\k<` + name + ">")
			i += 4 + len(name)
		case strings.HasPrefix(rest, "(?"):
			n := flags(&b, rest)
			i += n - 1
		case strings.HasPrefix(rest, "{,"):
			b.WriteString("{0,")
			i++
		default:
			b.WriteByte(rest[0])
		}
	}
	return b.String()
}

// class copies a set in brackets, in which .NET would take some things for more than Python does.
func class(b *strings.Builder, text string) int {
	i := 1
	b.WriteByte('[')
	if strings.HasPrefix(text[i:], "^") {
		b.WriteByte('^')
		i++
	}
	for first := true; i < len(text); i++ {
		switch c := text[i]; {
		case c == ']' && !first:
			b.WriteByte(']')
			return i + 1
		case c == ']' || c == '[':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\\' && i+1 < len(text):
			b.WriteString(text[i : i+2])
			i++
		default:
			b.WriteByte(c)
		}
		first = false
	}
	return i
}

// flags copies (?flags) and (?flags:...) without the flags that mean nothing here, and gives how much it read.
func flags(b *strings.Builder, text string) int {
	n := 2
	for n < len(text) && strings.IndexByte("aiLmsux-", text[n]) >= 0 {
		n++
	}
	b.WriteString("(?")
	if n == len(text) || n == 2 || text[n] != ')' && text[n] != ':' {
		return 2
	}
	kept := strings.Map(func(c rune) rune {
		if strings.ContainsRune("aLu", c) {
			return -1
		}
		return c
	}, text[2:n])
	b.WriteString(kept)
	if kept == "" && text[n] == ')' {
		b.WriteByte(':')
	}
	return n
}

// part is one of a template: text, then a group unless that is less than 0.
type part struct {
	text  string
	group int
}

var plain = map[byte]string{'n': "\n", 't': "\t", 'r': "\r", 'a': "\a", 'b': "\b", 'f': "\f", 'v': "\v", '\\': `\`}

// template reads what matches are replaced by.
func (r *Regexp) template(text string) ([]part, error) {
	var parts []part
	var b strings.Builder
	end := func(group int) {
		parts = append(parts, part{b.String(), group})
		b.Reset()
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b.WriteByte(text[i])
			continue
		}
		i++
		if i == len(text) {
			return nil, fmt.Errorf(`bad escape (end of pattern) at position %d`, i-1)
		}
		c := text[i]
		switch {
		case c == 'g':
			n, size, err := r.reference(text[i:], i)
			if err != nil {
				return nil, err
			}
			end(n)
			i += size - 1
		case c == '0' || c >= '1' && c <= '3' && octal(text[i:], 3) == 3:
			size := octal(text[i:], 3)
			code, _ := strconv.ParseUint(text[i:i+size], 8, 32)
			b.WriteRune(rune(code))
			i += size - 1
		case c >= '1' && c <= '9':
			size := 1
			if i+1 < len(text) && text[i+1] >= '0' && text[i+1] <= '9' {
				size = 2
			}
			n, _ := strconv.Atoi(text[i : i+size])
			if n > r.groups {
				return nil, fmt.Errorf("invalid group reference %d at position %d", n, i)
			}
			end(n)
			i += size - 1
		case plain[c] != "":
			b.WriteString(plain[c])
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			return nil, fmt.Errorf(`bad escape \%c at position %d`, c, i-1)
		default:
			b.WriteByte('\\')
			b.WriteByte(c)
		}
	}
	end(-1)
	return parts, nil
}

func octal(text string, most int) int {
	n := 0
	for n < min(len(text), most) && text[n] >= '0' && text[n] <= '7' {
		n++
	}
	return n
}

// reference reads g<name> and gives the group, and how much it read.
func (r *Regexp) reference(text string, at int) (n, size int, err error) {
	name, _, ok := strings.Cut(strings.TrimPrefix(text, "g<"), ">")
	if !strings.HasPrefix(text, "g<") || !ok || name == "" {
		return 0, 0, fmt.Errorf("missing <name> at position %d", at)
	}
	size = len("g<>") + len(name)
	if n, ok := r.names[name]; ok {
		return n, size, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		if n >= 0 && n <= r.groups {
			return n, size, nil
		}
		return 0, 0, fmt.Errorf("invalid group reference %d at position %d", n, at)
	}
	return 0, 0, fmt.Errorf("unknown group name '%s' at position %d", name, at)
}

// Escape puts backslashes before what has a meaning in expressions, as re.escape does.
func Escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte("()[]{}?*+-|^$\\.&~# \t\n\r\v\f", text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
