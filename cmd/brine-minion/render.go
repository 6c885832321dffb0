package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/brine-deploy/brine/cmd/internal/service"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
)

// renderFlags are those of one command.
type renderFlags struct {
	template, pipe, context, output string
	roots                           []string
}

func renderCommand() *cobra.Command {
	var f renderFlags
	cmd := &cobra.Command{
		Use:   "render --template FILE --context FILE.json",
		Short: "Render a template and show what comes of it",
		Long: `render shows what a template of states, pillar or files gives. The context is a JSON file with any of grains, pillar,
opts, sls and saltenv; without sls, the names of the SLS are not defined, as in templates of files.

Exit codes: 0 rendered, 1 not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.template, "template", "", "the template")
	flags.StringVar(&f.pipe, "pipe", "jinja|yaml", "renderers, unless the template's first line names them: jinja, jinja|yaml, yaml, json")
	flags.StringVar(&f.context, "context", "", "JSON file with what the template sees")
	flags.StringArrayVar(&f.roots, "file-root", nil, "directory of the files that templates include and import; may be repeated")
	flags.StringVar(&f.output, "output", "text", "text or json")
	_ = cmd.MarkFlagRequired("template")
	return cmd
}

// rendered is what --output json shows.
type rendered struct {
	OK       bool            `json:"ok"`
	Rendered string          `json:"rendered"`
	Data     any             `json:"data"`
	Errors   []renderProblem `json:"errors"`
}

type renderProblem struct {
	Class   render.Class `json:"class"`
	File    string       `json:"file"`
	Line    int          `json:"line"`
	Column  int          `json:"column"`
	Message string       `json:"message"`
	Snippet string       `json:"snippet"`
}

func (f *renderFlags) run(cmd *cobra.Command) error {
	if f.output != "text" && f.output != "json" {
		return fmt.Errorf("unknown output %q: it must be text or json", f.output)
	}
	text, err := os.ReadFile(f.template)
	if err != nil {
		return fmt.Errorf("read template: %w", err)
	}
	env, sls, err := f.environment()
	if err != nil {
		return err
	}
	r := &render.Renderer{Env: env}
	src := render.Source{File: f.template, Text: string(text), SLS: sls, Default: f.pipe}
	out := rendered{Errors: []renderProblem{}}
	if f.pipe == "jinja" {
		out.Rendered, err = r.Text(cmd.Context(), src, nil)
	} else {
		out.Rendered, out.Data, err = documents(cmd, r, src)
	}
	out.OK = err == nil
	return f.show(cmd.OutOrStdout(), cmd.ErrOrStderr(), out, err)
}

func documents(cmd *cobra.Command, r *render.Renderer, src render.Source) (string, any, error) {
	text, doc, err := r.SLS(cmd.Context(), src, nil)
	if err != nil {
		return text, nil, err
	}
	return text, plain(doc.Data()), nil
}

func (f *renderFlags) show(stdout, stderr io.Writer, out rendered, err error) error {
	if f.output == "text" {
		if err != nil {
			fmt.Fprintln(stderr, err)
			return service.Exit(1)
		}
		_, err := io.WriteString(stdout, out.Rendered)
		return err
	}
	for _, c := range render.Complaints(err) {
		out.Errors = append(out.Errors, renderProblem{c.Class, c.File, c.Line, c.Column, c.Message, c.Snippet})
	}
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	if !out.OK {
		return service.Exit(1)
	}
	return nil
}

// environment makes a minion of the context.
func (f *renderFlags) environment() (env *modules.Env, sls string, err error) {
	context := &data.Map{}
	if f.context != "" {
		text, err := os.ReadFile(f.context)
		if err != nil {
			return nil, "", fmt.Errorf("read context: %w", err)
		}
		if err := json.Unmarshal(text, context); err != nil {
			return nil, "", fmt.Errorf("read context %s: %w", f.context, err)
		}
	}
	mapping := func(key string) *data.Map {
		v, _ := context.Get(key)
		m, ok := v.(*data.Map)
		if !ok {
			m = &data.Map{}
		}
		return m
	}
	word := func(m *data.Map, key, otherwise string) string {
		v, _ := m.Get(key)
		if s, ok := v.(string); ok {
			return s
		}
		return otherwise
	}
	env = &modules.Env{
		Grains: mapping("grains"), Pillar: mapping("pillar"), Opts: mapping("opts"), Saltenv: word(context, "saltenv", "base"),
		Functions: modules.All(), Log: slog.New(slog.DiscardHandler),
	}
	env.ID = word(env.Opts, "id", word(env.Grains, "id", ""))
	if len(f.roots) > 0 {
		env.Files = fileroot.Local{env.Saltenv: f.roots}
	}
	return env, word(context, "sls", ""), nil
}

// plain makes of a value what JSON can hold: a mapping with keys that are no text becomes {"__map__": [[key, value], ...]},
// a float that JSON has no word for becomes {"__float__": "inf"}.
func plain(v any) any {
	switch v := v.(type) {
	case *data.Map:
		return plainMap(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = plain(v[i])
		}
		return out
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return data.NewMap("__float__", strings.TrimPrefix(strings.ToLower(fmt.Sprint(v)), "+"))
		}
		if v == math.Trunc(v) && math.Abs(v) < 1e15 {
			return json.RawMessage(fmt.Sprintf("%.1f", v))
		}
	case *big.Int:
		return json.RawMessage(v.String())
	}
	return v
}

func plainMap(m *data.Map) any {
	out := &data.Map{}
	pairs := []any{}
	text := true
	for k, value := range m.All() {
		_, isText := k.(string)
		text = text && isText
		pairs = append(pairs, []any{plain(k), plain(value)})
		out.Set(k, plain(value))
	}
	if !text {
		return data.NewMap("__map__", pairs)
	}
	return out
}
