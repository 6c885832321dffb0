package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// candidate is one of several sources, of which the first that is there is taken.
type candidate struct{ from, hash string }

// source is where a file's content comes from.
type source struct {
	from       string // known at once, or once chosen
	candidates []candidate
	hash, name string
	skipVerify bool
	want       fetch.Sum // once it was got
}

func readSource(a *args.Reader) source {
	s := source{hash: a.Text("source_hash", ""), name: a.Text("source_hash_name", ""), skipVerify: a.Bool("skip_verify", false)}
	switch v := a.Get("source").(type) {
	case nil:
	case []any:
		for _, one := range v {
			switch one := one.(type) {
			case *data.Map:
				for from, hash := range one.All() {
					s.candidates = append(s.candidates, candidate{args.Text(from), args.Text(hash)})
				}
			default:
				s.candidates = append(s.candidates, candidate{args.Text(one), s.hash})
			}
		}
	default:
		s.from = a.Text("source", "")
	}
	return s
}

// choose settles on the first candidate that is there.
func (s *source) choose(ctx context.Context, h *state.Host) error {
	if s.from != "" {
		return nil
	}
	for _, one := range s.candidates {
		if fetch.Exists(ctx, h, one.from) {
			s.from, s.hash = one.from, one.hash
			return nil
		}
	}
	return fetch.ErrNone
}

// get gets the content. It is nil when dest has it already, as the checksum proves: then nothing needs to be fetched.
func (s *source) get(ctx context.Context, h *state.Host, dest string, exact bool) (*fetch.Blob, error) {
	if err := s.choose(ctx, h); err != nil {
		return nil, err
	}
	scheme := fetch.Scheme(s.from)
	if scheme == "file" && !filepath.IsAbs(fetch.LocalPath(s.from)) {
		return nil, fmt.Errorf("source %s is no URL and no absolute path", s.from)
	}
	if scheme != "salt" && s.hash != "" && !s.skipVerify {
		want, err := fetch.SumOf(ctx, h, s.hash, s.from, s.name, dest)
		if err != nil {
			return nil, err
		}
		s.want = want
	}
	remote := scheme != "salt" && scheme != "file"
	if remote && !s.want.Given() && !s.skipVerify {
		return nil, fmt.Errorf("Unable to verify upstream hash of source file %s, please set source_hash or set skip_verify to True", //nolint:staticcheck // Salt's words
			fetch.Redacted(s.from))
	}
	if remote && exact && s.want.Given() && s.has(dest) {
		return nil, nil
	}
	return fetch.Get(ctx, h, s.from, s.want)
}

func (s *source) has(dest string) bool {
	in, err := os.Open(dest)
	if err != nil {
		return false
	}
	defer in.Close()
	sum, err := s.want.Of(in)
	return err == nil && sum == s.want
}

// template is how a content is rendered; not at all without an engine.
type template struct {
	engine string
	vars   *data.Map
}

func readTemplate(a *args.Reader) template {
	t := template{engine: a.Text("template", ""), vars: data.NewMap()}
	for _, name := range []string{"user", "group", "mode"} { // a template may ask for them
		t.vars.Set(name, a.Get(name))
	}
	for _, name := range []string{"defaults", "context"} {
		for k, v := range a.Map(name).All() {
			t.vars.Set(k, v)
		}
	}
	return t
}

// about tells the template more, under its context.
func (t template) about(pairs ...any) template {
	vars := data.NewMap(pairs...)
	for k, v := range t.vars.All() {
		vars.Set(k, v)
	}
	t.vars = vars
	return t
}

// templateError is what was wrong with a template.
type templateError struct{ err error }

func (e *templateError) Error() string { return e.err.Error() }
func (e *templateError) Unwrap() error { return e.err }

// maxTemplate bounds templates.
const maxTemplate = 16 << 20

func (t template) blob(ctx context.Context, h *state.Host, name string, blob *fetch.Blob) (string, error) {
	text, err := blob.Bytes(maxTemplate)
	if err != nil {
		return "", err
	}
	return t.about("source", name).text(ctx, h, name, string(text))
}

func (t template) text(ctx context.Context, h *state.Host, name, text string) (string, error) {
	if h.Render == nil {
		return "", errors.New("this host cannot render templates")
	}
	rendered, err := h.Render(ctx, name, text, t.engine, t.vars)
	if err != nil {
		return "", &templateError{err}
	}
	return rendered, nil
}
