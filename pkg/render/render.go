package render

import (
	"context"
	"errors"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Renderer renders for one minion. It may be used concurrently.
type Renderer struct {
	// Env is what templates see. Its Files are what they include and import, its Functions what salt[...] offers.
	Env *modules.Env
	Limits Limits
}

// Limits bound one rendering. Zero fields mean the defaults.
type Limits struct {
	Steps  int // evaluated expressions, statements and elements: 50 million
	Output int // bytes of the rendered text: 64 MiB
	Memory int // bytes that values take, roughly: 256 MiB
	Depth  int // macros, includes and loops inside each other: 200
}

// Source is one template.
type Source struct {
	File    string // its path below the root of its files ("web/init.sls"), for errors and tplfile
	Path    string // its path on this host for tplpath; File when empty
	Text    string
	SLS     string // the name of the SLS ("web"); when empty, sls, slspath, tpldir and the like are not defined
	Saltenv string // Env.Saltenv when empty
	Default string // the renderers when the first line names none: "jinja|yaml" when empty
}

var errUnfinished = errors.New("there is no Jinja engine yet")

// Text renders Jinja to text; vars, which may be nil, are further names that it sees. The error is an [*Error], or the
// context's.
func (r *Renderer) Text(ctx context.Context, src Source, vars *data.Map) (string, error) {
	return "", errUnfinished
}

// SLS renders by the renderers that the first line names (#!jinja|yaml, #!yaml, #!jinja|json, ...), and gives the text
// after Jinja too. Places in doc are those of that text. The error is an [*Error], [Errors], or the context's.
func (r *Renderer) SLS(ctx context.Context, src Source, vars *data.Map) (rendered string, doc *yaml.Node, err error) {
	return "", nil, errUnfinished
}
