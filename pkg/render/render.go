package render

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render/filters"
	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
	"github.com/brine-deploy/brine/pkg/render/jinja/syntax"
	"github.com/brine-deploy/brine/pkg/yaml"
)

// Renderer renders for one minion. It may be used concurrently.
type Renderer struct {
	// Env is what templates see. Its Files are what they include and import, its Functions what salt[...] offers.
	Env    *modules.Env
	Limits Limits
}

// Limits bound one rendering. Zero fields mean the defaults.
type Limits struct {
	Steps  int // elementary actions: 50 million, which is a few seconds
	Output int // bytes of the rendered text: 64 MiB
	Memory int // bytes that values take, roughly, freed ones too: 512 MiB
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

// Text renders Jinja to text; vars, which may be nil, are further names that it sees. The error is an [*Error].
func (r *Renderer) Text(ctx context.Context, src Source, vars *data.Map) (string, error) {
	env := r.environment(ctx, src)
	names := maps.Clone(env.Globals)
	values := converter(ctx)
	for k, v := range vars.All() {
		if name, ok := k.(string); ok {
			names[name] = py.FromData(values, v)
		}
	}
	maps.Copy(env.Globals, names)
	// What is loaded changes tplfile and the like for others only.
	text, err := env.Render(ctx, jinja.Source{File: src.File, Text: src.Text}, names)
	if err != nil {
		return "", complaint(src.File, err)
	}
	if strings.HasSuffix(src.Text, "\n") && !env.KeepTrailingNewline {
		text += "\n"
	}
	return text, nil
}

// SLS renders by the renderers that the first line names (#!jinja|yaml, #!yaml, #!jinja|json, ...), and gives the text
// after Jinja too. Places in doc are those of that text. The error is an [*Error] or [Errors].
func (r *Renderer) SLS(ctx context.Context, src Source, vars *data.Map) (rendered string, doc *yaml.Node, err error) {
	pipe, err := renderers(src)
	if err != nil {
		return "", nil, err
	}
	rendered = src.Text
	for _, name := range pipe {
		switch name {
		case "jinja":
			src.Text = rendered
			if rendered, err = r.Text(ctx, src, vars); err != nil {
				return "", nil, err
			}
		case "yaml", "json":
			if doc, err = read(src.File, rendered); err != nil {
				return rendered, nil, err
			}
		}
	}
	if doc == nil {
		return rendered, nil, &Error{
			Class: Pipe, File: src.File, Line: 1, Message: "the renderers " + strings.Join(pipe, "|") + " give text, not data; end them with yaml",
		}
	}
	return rendered, doc, nil
}

// renderers gives those that a template's first line names.
func renderers(src Source) ([]string, error) {
	line, _, _ := strings.Cut(src.Text, "\n")
	names := src.Default
	if names == "" {
		names = "jinja|yaml"
	}
	if strings.HasPrefix(line, "#!") && !strings.HasPrefix(line, "#!/") {
		names = strings.TrimSpace(line[2:])
	}
	var pipe []string
	for name := range strings.SplitSeq(names, "|") {
		words := strings.Fields(name)
		if len(words) == 0 || !slices.Contains([]string{"jinja", "yaml", "json"}, words[0]) {
			return nil, &Error{
				Class: Pipe, File: src.File, Line: 1, Column: 1, Snippet: line,
				Message: fmt.Sprintf("unknown renderer %q; there are jinja, yaml, json", strings.TrimSpace(name)),
			}
		}
		pipe = append(pipe, words[0])
	}
	return pipe, nil
}

func read(file, text string) (*yaml.Node, error) {
	doc, err := yaml.Salt(file, []byte(text))
	if err == nil {
		return doc, nil
	}
	var all Errors
	if many, ok := errors.AsType[yaml.Errors](err); ok {
		for _, e := range many {
			all = append(all, &Error{Class: YAML, File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Snippet: e.Source, Err: e})
		}
		return nil, all
	}
	return nil, &Error{Class: YAML, File: file, Message: err.Error(), Err: err}
}

// complaint makes an Error of Jinja's.
func complaint(file string, err error) *Error {
	e, ok := errors.AsType[*jinja.Error](err)
	if !ok {
		return &Error{Class: Jinja, File: file, Message: err.Error(), Err: err}
	}
	class := Jinja
	switch e.Kind {
	case py.UndefinedError:
		class = Undefined
	case py.SyntaxError, py.RuntimeError, py.SecurityError:
		class = Syntax
	}
	return &Error{Class: class, File: e.File, Line: e.Line, Column: e.Column, Message: e.Message, Snippet: e.Snippet, Err: e}
}

// The tables are made once; nobody changes them.
var (
	allFilters = sync.OnceValue(func() map[string]jinja.Builtin { return with(jinja.Filters(), filters.All()) })
	allTests   = sync.OnceValue(func() map[string]jinja.Builtin { return with(jinja.Tests(), filters.Tests()) })
)

func with(own, more map[string]jinja.Builtin) map[string]jinja.Builtin {
	maps.Copy(own, more)
	return own
}

// converter counts what is made of grains and pillar, which templates are not charged for.
func converter(ctx context.Context) *py.Run { return py.NewRun(ctx, 1<<30, 1<<32, 1000) }

func (r *Renderer) environment(ctx context.Context, src Source) *jinja.Environment {
	saltenv := src.Saltenv
	if saltenv == "" {
		saltenv = r.Env.Saltenv
	}
	env := &jinja.Environment{
		Options: r.options(src.SLS != ""),
		Filters: allFilters(), Tests: allTests(), Globals: jinja.Globals(),
		Lenient: truth(r.Env.Opts, "allow_undefined"),
		Limits: jinja.Limits{
			Steps: orElse(r.Limits.Steps, 50_000_000), Output: orElse(r.Limits.Output, 64<<20),
			Memory: orElse(r.Limits.Memory, 512<<20), Depth: orElse(r.Limits.Depth, 200),
		},
	}
	values := converter(ctx)
	late := func(m *data.Map, typ string) func() any {
		var d *py.Dict // one for all templates, so that they see each other's changes
		return func() any {
			if d == nil {
				d, _ = py.FromData(values, m).(*py.Dict)
				d.Type = typ
			}
			return d
		}
	}
	maps.Copy(env.Globals, map[string]any{
		"grains": late(r.Env.Grains, ""), "pillar": late(r.Env.Pillar, "salt.utils.context.NamespacedDictWrapper"),
		"opts": late(r.Env.Opts, ""), "salt": &functions{env: r.Env}, "saltenv": saltenv, "env": saltenv, "proxy": &py.Dict{},
		"odict": env.Globals["dict"], "raise": jinja.Function("raise", raise), "show_full_context": jinja.Function("show_full_context", showContext),
	})
	maps.Copy(env.Globals, names(src))
	env.Load = r.loader(env, saltenv)
	return env
}

func orElse(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

func truth(m *data.Map, key string) bool {
	v, _ := m.Get(key)
	b, ok := v.(bool)
	return ok && b
}

// options are what jinja_env, or for states jinja_sls_env, sets.
func (r *Renderer) options(sls bool) syntax.Options {
	key := "jinja_env"
	if sls {
		key = "jinja_sls_env"
	}
	v, _ := r.Env.Opts.Get(key)
	m, _ := v.(*data.Map)
	o := syntax.Options{
		TrimBlocks:   truth(m, "trim_blocks") || truth(r.Env.Opts, "jinja_trim_blocks"),
		LstripBlocks: truth(m, "lstrip_blocks") || truth(r.Env.Opts, "jinja_lstrip_blocks"), KeepTrailingNewline: truth(m, "keep_trailing_newline"),
	}
	for name, field := range map[string]*string{
		"block_start_string": &o.BlockStart, "block_end_string": &o.BlockEnd, "variable_start_string": &o.VariableStart,
		"variable_end_string": &o.VariableEnd, "comment_start_string": &o.CommentStart, "comment_end_string": &o.CommentEnd,
	} {
		v, _ := m.Get(name)
		*field, _ = v.(string)
	}
	return o
}

// names are those of the SLS and of its file.
func names(src Source) map[string]any {
	if src.SLS == "" {
		return nil
	}
	slashed := strings.ReplaceAll(src.SLS, ".", "/")
	file := slashed + ".sls"
	for _, name := range []string{file, slashed + "/init.sls"} {
		if src.File == name || strings.HasSuffix(src.File, "/"+name) {
			file = name
		}
	}
	dir := path.Dir(file)
	below := strings.TrimPrefix(dir, ".")
	full := src.Path
	if full == "" {
		full = src.File
	}
	return map[string]any{
		"sls": src.SLS, "tplpath": full, "tplfile": file, "tpldir": dir, "tpldot": strings.ReplaceAll(below, "/", "."),
		"slspath": below, "slsdotpath": strings.ReplaceAll(below, "/", "."), "slscolonpath": strings.ReplaceAll(below, "/", ":"),
		"sls_path": strings.ReplaceAll(below, "/", "_"),
	}
}

// maxImport bounds a file that a template imports.
const maxImport = 8 << 20

// loader finds templates as Salt does: from the top of the files, or beside the file that was loaded last.
func (r *Renderer) loader(env *jinja.Environment, saltenv string) func(context.Context, string) (jinja.Source, error) {
	return func(ctx context.Context, name string) (jinja.Source, error) {
		file := name
		dir := path.Dir(name)
		tplfile := name
		if first, _, _ := strings.Cut(name, "/"); first == "." || first == ".." {
			base, ok := env.Globals["tpldir"].(string)
			if !ok {
				return jinja.Source{}, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
			}
			file = path.Join(base, name)
			if file == ".." || strings.HasPrefix(file, "../") {
				return jinja.Source{}, fmt.Errorf("%s leads out of the files: %w", name, fs.ErrNotExist)
			}
			dir = base
		}
		text, err := r.readFile(ctx, saltenv, strings.TrimPrefix(file, "salt://"))
		if err != nil {
			return jinja.Source{}, err
		}
		env.Globals["tplfile"], env.Globals["tpldir"] = tplfile, dir
		env.Globals["tpldot"] = strings.ReplaceAll(strings.TrimPrefix(dir, "."), "/", ".")
		return jinja.Source{File: file, Text: text}, nil
	}
}

func (r *Renderer) readFile(ctx context.Context, saltenv, name string) (string, error) {
	if r.Env.Files == nil {
		return "", fs.ErrNotExist
	}
	f, info, err := r.Env.Files.Open(ctx, saltenv, path.Clean(strings.TrimPrefix(name, "/")))
	if err != nil {
		return "", fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close()
	if info != nil && info.IsDir() {
		return "", fs.ErrNotExist
	}
	text, err := io.ReadAll(io.LimitReader(f, maxImport+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", name, err)
	}
	if len(text) > maxImport {
		return "", fmt.Errorf("read %s: it has more than %d bytes", name, maxImport)
	}
	return string(text), nil
}
