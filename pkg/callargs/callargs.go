// Package callargs reads a function's arguments as people give them on a command line, with salt-call's rules.
package callargs

import (
	"regexp"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// named is KEY=VALUE; KEY==VALUE is text.
var named = regexp.MustCompile(`(?s)^([\p{L}_][\p{L}\p{N}_.-]*)=($|[^=].*$)`)

// Parse tells arguments by place from those by name, and reads their values.
func Parse(words []string) (byPlace []any, byName *data.Map) {
	byName = &data.Map{}
	for _, word := range words {
		if m := named.FindStringSubmatch(word); m != nil {
			byName.Set(m[1], Value(m[2]))
		} else {
			byPlace = append(byPlace, Value(word))
		}
	}
	return byPlace, byName
}

// Value reads one value as YAML where that is what is meant: mappings and lists in brackets, numbers, bools, null. All else
// stays the text that it is.
func Value(text string) any {
	switch {
	case strings.TrimSpace(text) == "", strings.ContainsAny(text, "\t\r\n"), strings.Trim(text, "0123456789_") == "" && strings.Contains(text, "_"):
		return text
	case text == "None":
		return nil
	}
	n, err := yaml.Salt("argument", []byte(text))
	if err != nil {
		return text
	}
	v := n.Data()
	switch v := v.(type) {
	case *data.Map:
		if !strings.HasPrefix(text, "{") {
			return text
		}
	case []any:
		if !strings.HasPrefix(text, "[") {
			return text
		}
	case nil:
		if strings.ContainsAny(text, "#!") {
			return text
		}
	case string:
		if strings.Contains(text, "#") || v == "" && (text == "|" || text == "!") {
			return text
		}
	}
	return v
}
