package data

import (
	"strconv"
	"strings"
)

// Traverse follows a path like users:zed:groups:0 into maps and lists, the way Salt's pillar.get does: a number is an
// index of a list, or the integer key of a map; a name in a list is a key of its first map that has it. ok is false when
// there is nothing at the path; a null that is there is found.
func Traverse(value any, path, delimiter string) (found any, ok bool) {
	if delimiter == "" {
		delimiter = ":"
	}
	for key := range strings.SplitSeq(path, delimiter) {
		switch v := value.(type) {
		case []any:
			value, ok = member(v, key)
		case *Map:
			if value, ok = v.Get(key); !ok {
				value, ok = v.Get(scalar(key))
			}
		default:
			return nil, false
		}
		if !ok {
			return nil, false
		}
	}
	return value, true
}

func member(list []any, key string) (any, bool) {
	i, err := strconv.Atoi(strings.TrimSpace(key))
	inside := any(int64(i))
	if err != nil {
		inside = key
	}
	for _, m := range list {
		if m, ok := m.(*Map); ok {
			if v, ok := m.Get(inside); ok {
				return v, true
			}
		}
	}
	if i < 0 {
		i += len(list)
	}
	if err != nil || i < 0 || i >= len(list) {
		return nil, false
	}
	return list[i], true
}

// scalar is what a part of a path stands for when no key is that text.
func scalar(key string) any {
	if i, err := strconv.ParseInt(key, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(key, 64); err == nil {
		return f
	}
	switch key {
	case "true", "True", "yes":
		return true
	case "false", "False", "no":
		return false
	}
	return key
}
