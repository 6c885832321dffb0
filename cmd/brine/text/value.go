package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Value writes a JSON value as Salt's nested output does, without its rulers: maps as "key:" with their values below,
// lists with dashes, text as it is.
func Value(raw json.RawMessage) []string {
	if len(raw) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return Lines(string(raw))
	}
	return nested(v)
}

// Nested writes a decoded value as Value does.
func Nested(v any) []string {
	raw, err := json.Marshal(v)
	if err != nil {
		return Lines(fmt.Sprint(v))
	}
	return Value(raw)
}

func nested(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return Lines(v)
	case map[string]any:
		var lines []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			lines = append(lines, entry(Line(key)+":", v[key])...)
		}
		return lines
	case []any:
		var lines []string
		for _, item := range v {
			lines = append(lines, element(item)...)
		}
		return lines
	default:
		return []string{fmt.Sprint(v)}
	}
}

// entry writes one key of a map: a short value beside it, a long one below.
func entry(key string, v any) []string {
	lines := nested(v)
	switch v.(type) {
	case map[string]any, []any:
		return append([]string{key}, indent(lines)...)
	}
	if len(lines) < 2 {
		return []string{joined(key, lines)}
	}
	return append([]string{key}, indent(lines)...)
}

func element(v any) []string {
	lines := nested(v)
	if len(lines) == 0 {
		return []string{"-"}
	}
	out := []string{"- " + lines[0]}
	return append(out, indent(lines[1:])...)
}

func joined(key string, lines []string) string {
	if len(lines) == 0 {
		return key
	}
	return key + " " + lines[0]
}

func indent(lines []string) []string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = "  " + line
	}
	return out
}
