package modules

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

// The kinds of calls that never ran.
var (
	ErrUnknown   = errors.New("unknown function")
	ErrArguments = errors.New("wrong arguments")
)

// All is the table of all functions that need nothing but their Env; it is the caller's. Those that need more (state.*,
// deploy.release) are added by whoever has it.
func All() map[string]Function {
	all := map[string]Function{}
	for _, family := range []map[string]Function{
		cmdFamily(), configFamily(), cpFamily(), defaultsFamily(), diskFamily(), environFamily(), fileFamily(), fileFindFamily(),
		grainsFamily(), groupFamily(), hashutilFamily(), logFamily(), matchFamily(), networkFamily(), pillarFamily(), pkgFamily(),
		serviceFamily(), slsutilFamily(), statusFamily(), sysFamily(), testFamily(), userFamily(),
	} {
		maps.Copy(all, family)
	}
	return all
}

// ReadOnly is the part of a table that changes no host: what templates of pillar may call on the master.
func ReadOnly(table map[string]Function) map[string]Function {
	out := maps.Clone(table)
	maps.DeleteFunc(out, func(_ string, f Function) bool { return f.Changes })
	return out
}

// Call runs a function of env.Functions with arguments by place and by name, as templates and states give them. Its error
// is ErrUnknown or ErrArguments when the function never ran.
func Call(ctx context.Context, env *Env, name string, args []any, named *data.Map) (any, error) {
	f, ok := env.Functions[name]
	if !ok {
		return nil, unknown(name, env.Functions)
	}
	bound, err := f.bind(name, args, named)
	if err != nil {
		return nil, err
	}
	return f.Run(ctx, env, bound)
}

// CallByPerson is Call for what a person asked for. As in Salt, a person's command is the shell's, a template's is not.
func CallByPerson(ctx context.Context, env *Env, name string, args []any, named *data.Map) (any, error) {
	if f := env.Functions[name]; slices.Contains(f.Params, shellParam) {
		if _, told := named.Get(shellParam); !told && slices.Index(f.Params, shellParam) >= len(args) {
			named = data.Merge(named, data.NewMap(shellParam, true), data.Overwrite, false)
		}
	}
	return Call(ctx, env, name, args, named)
}

func unknown(name string, table map[string]Function) error {
	family, _, _ := strings.Cut(name, ".")
	var near []string
	for known := range table {
		if strings.HasPrefix(known, family+".") || strings.HasSuffix(known, "."+name) {
			near = append(near, known)
		}
	}
	slices.Sort(near)
	if len(near) == 0 {
		return fmt.Errorf("%w %s; sys.list_functions lists what there is", ErrUnknown, name)
	}
	return fmt.Errorf("%w %s; near it: %s", ErrUnknown, name, strings.Join(near, ", "))
}

// bind makes of arguments by place and by name one map.
func (f Function) bind(name string, args []any, named *data.Map) (*data.Map, error) {
	params := f.Params
	open := len(params) > 0 && params[len(params)-1] == "*"
	if open {
		params = params[:len(params)-1]
	}
	bound := &data.Map{}
	for i, arg := range args {
		if i < len(params) {
			bound.Set(params[i], arg)
		}
	}
	if over := len(args) - len(params); over > 0 && !open {
		return nil, fmt.Errorf("%w: %s takes %d by place (%s), not %d", ErrArguments, name, len(params), strings.Join(params, ", "), len(args))
	} else if over > 0 {
		bound.Set("*", slices.Clone(args[len(params):]))
	}
	for key, value := range named.All() {
		text, _ := key.(string)
		switch _, twice := bound.Get(key); {
		case strings.HasPrefix(text, "__pub_"): // Salt's own, of no use here
		case twice:
			return nil, fmt.Errorf("%w: %s got %s twice", ErrArguments, name, text)
		case !open && !slices.Contains(params, text):
			return nil, fmt.Errorf("%w: %s does not know %s; it takes: %s", ErrArguments, name, text, strings.Join(params, ", "))
		default:
			bound.Set(key, value)
		}
	}
	return bound, nil
}
