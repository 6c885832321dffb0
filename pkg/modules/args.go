package modules

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

// arg is an argument, or what it is when it was not given.
func arg(args *data.Map, name string, otherwise any) any {
	if v, ok := args.Get(name); ok {
		return v
	}
	return otherwise
}

// textArg is an argument that must be given, as text: a number is what it looks like.
func textArg(args *data.Map, name string) (string, error) {
	switch v := arg(args, name, nil).(type) {
	case nil:
		return "", fmt.Errorf("%w: %s must be given", ErrArguments, name)
	case *data.Map, []any:
		return "", fmt.Errorf("%w: %s must be text", ErrArguments, name)
	default:
		return Text(v), nil
	}
}

// stringArg is an argument as text; a null is what it is when it was not given.
func stringArg(args *data.Map, name, otherwise string) string {
	if v := arg(args, name, nil); v != nil {
		return Text(v)
	}
	return otherwise
}

// flagArg is an argument as Python's truth.
func flagArg(args *data.Map, name string, otherwise bool) bool {
	v, ok := args.Get(name)
	if !ok {
		return otherwise
	}
	return Truth(v)
}

func intArg(args *data.Map, name string, otherwise int) (int, error) {
	switch v := arg(args, name, nil).(type) {
	case nil:
		return otherwise, nil
	case int64:
		return int(v), nil
	case float64:
		return int(v), nil
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: %s must be a number", ErrArguments, name)
}

// mapArg is an argument that is a mapping; nil when it is null or was not given.
func mapArg(args *data.Map, name string) (*data.Map, error) {
	switch v := arg(args, name, nil).(type) {
	case nil:
		return nil, nil
	case *data.Map:
		return v, nil
	default:
		return nil, fmt.Errorf("%w: %s must be a mapping", ErrArguments, name)
	}
}

// rest are the arguments by place beyond the named ones.
func rest(args *data.Map) []any {
	more, _ := arg(args, "*", nil).([]any)
	return more
}

// texts are the members of a list, or the parts of a text that commas separate.
func texts(v any) []string {
	var out []string
	switch v := v.(type) {
	case nil:
	case []any:
		for _, m := range v {
			out = append(out, Text(m))
		}
	default:
		for part := range strings.SplitSeq(Text(v), ",") {
			if part = strings.TrimSpace(part); part != "" {
				out = append(out, part)
			}
		}
	}
	return out
}

func list[T any](of []T) []any {
	out := make([]any, len(of))
	for i, v := range of {
		out[i] = v
	}
	return out
}

// Truth is whether Python takes a value for true.
func Truth(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case *big.Int:
		return v.Sign() != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case *data.Map:
		return v.Len() > 0
	}
	return true
}

// Text is Python's str of a value.
func Text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case float64:
		return float(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = repr(v[i])
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case *data.Map:
		var parts []string
		for k, value := range v.All() {
			parts = append(parts, repr(k)+": "+repr(value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprint(v)
}

func float(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == math.Trunc(f) && math.Abs(f) < 1e16:
		return strconv.FormatFloat(f, 'f', 1, 64)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

func repr(v any) string {
	s, ok := v.(string)
	if !ok {
		return Text(v)
	}
	quote := "'"
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = `"`
	}
	s = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\t", `\t`, "\r", `\r`, quote, `\`+quote).Replace(s)
	return quote + s + quote
}
