package run

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
)

// slotMark begins an argument that is asked for when its state is called: __slot__:salt:FUNCTION(ARGUMENTS).
const slotMark = "__slot__:"

// slots puts the answers of slots in place: of arguments, and one level down in lists and mappings.
func (r *Runner) slots(ctx context.Context, args *data.Map) (*data.Map, error) {
	found := false
	for _, v := range args.All() {
		found = found || strings.Contains(modules.Text(v), slotMark)
	}
	if !found {
		return args, nil
	}
	out := &data.Map{}
	for k, v := range args.All() {
		got, err := r.slot(ctx, v, 2)
		if err != nil {
			return nil, err
		}
		out.Set(k, got)
	}
	return out, nil
}

func (r *Runner) slot(ctx context.Context, v any, depth int) (any, error) {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, slotMark) {
			return r.fill(ctx, v)
		}
	case []any:
		if depth == 0 {
			return v, nil
		}
		out := make([]any, len(v))
		for i := range v {
			var err error
			if out[i], err = r.slot(ctx, v[i], depth-1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *data.Map:
		if depth == 0 {
			return v, nil
		}
		out := &data.Map{}
		for k, value := range v.All() {
			got, err := r.slot(ctx, value, depth-1)
			if err != nil {
				return nil, err
			}
			out.Set(k, got)
		}
		return out, nil
	}
	return v, nil
}

// fill asks one slot. What is no slot stays as it is.
func (r *Runner) fill(ctx context.Context, slot string) (any, error) {
	parts := strings.SplitN(slot, ":", 3)
	if len(parts) != 3 || parts[1] != "salt" {
		return slot, nil
	}
	name, args, named, rest, ok := parseCall(parts[2])
	if _, known := r.Host.Functions[name]; !ok || !known {
		return slot, nil
	}
	got, err := modules.Call(ctx, r.Host.Env, name, args, named)
	if err != nil {
		return nil, fmt.Errorf("fill slot %s: %w", slot, err)
	}
	path, more, appended := strings.Cut(rest, "~")
	if path = strings.TrimPrefix(strings.TrimSpace(path), "."); path != "" {
		got, _ = data.Traverse(got, path, ".")
	}
	if text, isText := got.(string); isText && appended {
		got = text + strings.TrimSpace(more)
	}
	return got, nil
}

// parseCall reads FUNCTION(ARG, KEY=ARG)REST. Arguments are text, quoted or not, or bracketed text.
func parseCall(text string) (name string, args []any, named *data.Map, rest string, ok bool) {
	name, text, ok = strings.Cut(text, "(")
	named = &data.Map{}
	var word strings.Builder
	key, quote, depth, any := "", rune(0), 0, false
	end := func() {
		switch {
		case key != "":
			named.Set(key, word.String())
		case any:
			args = append(args, word.String())
		}
		word.Reset()
		key, any = "", false
	}
	for i, c := range text {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, any = c, true
		case c == ')' && depth == 0:
			end()
			return strings.TrimSpace(name), args, named, text[i+1:], ok
		case c == ',' && depth == 0:
			end()
		case c == '=' && depth == 0 && key == "":
			key = word.String()
			word.Reset()
		case c == ' ' && depth == 0:
		default:
			depth += strings.Count("([{", string(c)) - strings.Count(")]}", string(c))
			word.WriteRune(c)
			any = true
		}
	}
	return name, nil, nil, "", false
}
