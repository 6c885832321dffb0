package modules

import (
	"context"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/render/pyyaml"
)

// serializing is slsutil.serialize, with which formulas write down what they were told.
func serializing() Function {
	return Function{
		Doc:    "A value as YAML.\nserializer (yaml); obj; default_flow_style; sort_keys (true); allow_unicode\n  slsutil.serialize yaml '{a: [1, 2]}'",
		Params: []string{"serializer", "obj", "default_flow_style", "sort_keys", "allow_unicode"},
		Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
			if name := stringArg(args, "serializer", ""); name != "yaml" {
				return nil, fmt.Errorf("%w: unknown serializer %q; known: yaml", ErrArguments, name)
			}
			style := pyyaml.Style{Flow: flagArg(args, "default_flow_style", false), Unsorted: !flagArg(args, "sort_keys", true)}
			text := strings.TrimSuffix(pyyaml.Dump(arg(args, "obj", nil), style), "...\n")
			return strings.TrimSuffix(text, "\n"), nil
		},
	}
}
