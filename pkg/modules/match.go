package modules

import (
	"context"
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

func matchFamily() map[string]Function {
	const whom = "; minion_id: another id than this minion's\n  match."
	one := func(doc, example string, kind target.Kind) Function {
		params := []string{"tgt", "minion_id"}
		if kind.Delimited() {
			params = []string{"tgt", "delimiter", "minion_id"}
		}
		return Function{Doc: doc + "\ntgt" + whom + example, Params: params, Run: matches(kind)}
	}
	return map[string]Function{
		"match.compound":     one("Whether a compound target means this minion.", "compound 'web* and G@os:Debian'", target.Compound),
		"match.glob":         one("Whether a glob matches this minion's id.", "glob 'web*'", target.IDGlob),
		"match.pcre":         one("Whether a regular expression matches this minion's id at its start.", "pcre 'web[0-9]'", target.IDRegexp),
		"match.list":         one("Whether this minion's id is in a list.", "list web1,web2", target.IDList),
		"match.grain":        one("Whether a grain matches a glob.", "grain os:Deb*", target.Grain),
		"match.grain_pcre":   one("Whether a grain matches a regular expression.", "grain_pcre os:Deb", target.GrainRegexp),
		"match.pillar":       one("Whether a pillar value matches a glob.", "pillar role:web", target.Pillar),
		"match.pillar_pcre":  one("Whether a pillar value matches a regular expression.", "pillar_pcre role:w", target.PillarRegexp),
		"match.pillar_exact": one("Whether a pillar value is exactly this.", "pillar_exact role:web", target.PillarExact),
		"match.ipcidr":       one("Whether this minion has an address, or one in a network.", "ipcidr 10.0.0.0/8", target.Network),
		"match.nodegroup":    one("Whether this minion is in a nodegroup.", "nodegroup web", target.Nodegroup),
		"match.filter_by": {
			Doc: `The entry of a map whose key, a target, means this minion.
lookup; tgt_type (compound); minion_id; merge: merged over what is found; merge_lists; default: the key that is taken when
none matches ("default")
  match.filter_by '{"web*": 1, default: 2}'`,
			Params: []string{"lookup", "tgt_type", "minion_id", "merge", "merge_lists", "default"}, Run: matchFilterBy,
		},
	}
}

func matches(kind target.Kind) func(context.Context, *Env, *data.Map) (any, error) {
	return func(_ context.Context, env *Env, args *data.Map) (any, error) {
		return Matches(env, kind, arg(args, "tgt", nil), stringArg(args, "delimiter", ":"), stringArg(args, "minion_id", env.ID))
	}
}

// Matches says whether an expression, text or a list, means the minion of an Env; id may be another one's.
func Matches(env *Env, kind target.Kind, expr any, delimiter, id string) (bool, error) {
	groups, _ := data.Plain(arg(env.Opts, "nodegroups", &data.Map{})).(map[string]any)
	var t *target.Target
	var err error
	if words, ok := expr.([]any); ok {
		t, err = target.CompileWords(kind, texts(words), groups)
	} else {
		t, err = target.Compile(kind, Text(expr), delimiter, groups)
	}
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	ok := t.Match(subject(env, id))
	return ok, t.Err()
}

func subject(env *Env, id string) target.Subject {
	grains, _ := data.Plain(env.Grains).(map[string]any)
	pillar, _ := data.Plain(env.Pillar).(map[string]any)
	return target.Subject{ID: fleet.MinionID(id), Grains: grains, Pillar: pillar}
}

func matchFilterBy(_ context.Context, env *Env, args *data.Map) (any, error) {
	lookup, err := mapArg(args, "lookup")
	if err != nil {
		return nil, err
	}
	kind, err := target.KindNamed(stringArg(args, "tgt_type", "compound"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	var got any
	for key, entry := range lookup.All() {
		ok, err := Matches(env, kind, Text(key), ":", stringArg(args, "minion_id", env.ID))
		if err != nil {
			return nil, err
		}
		if ok {
			got = entry
			break
		}
	}
	if got == nil {
		got, _ = lookup.Get(arg(args, "default", "default"))
	}
	merge := arg(args, "merge", nil)
	if !Truth(merge) {
		return data.Copy(got), nil
	}
	above, ok := merge.(*data.Map)
	below, also := got.(*data.Map)
	if !ok || !also && got != nil {
		return nil, fmt.Errorf("%w: merge and what is found must be mappings", ErrArguments)
	}
	return data.Merge(below, above, data.Recurse, flagArg(args, "merge_lists", false)), nil
}
