package render

import "github.com/brine-deploy/brine/pkg/render/jinja"

func filters() map[string]jinja.Builtin { return nil }

func tests() map[string]jinja.Builtin { return nil }
