package states

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/render"
	"github.com/brine-deploy/brine/states/compile"
)

// maxFile bounds one SLS file.
const maxFile = 8 << 20

// source renders the SLS files of a minion.
type source struct {
	env *modules.Env
}

var _ compile.Source = source{}

// Load renders one SLS: web.nginx is web/nginx.sls, else web/nginx/init.sls.
func (s source) Load(ctx context.Context, env, sls string) (*compile.Document, error) {
	base := strings.ReplaceAll(sls, ".", "/")
	for _, name := range []string{base + ".sls", base + "/init.sls"} {
		text, err := s.read(ctx, env, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		renderer := render.Renderer{Env: s.env}
		_, root, err := renderer.SLS(ctx, render.Source{File: name, Text: text, SLS: sls, Saltenv: env}, nil)
		if all, ok := compile.FromRender(sls, err); ok {
			return nil, all
		}
		if err != nil {
			return nil, fmt.Errorf("render SLS %s: %w", sls, err)
		}
		root.From(text)
		return &compile.Document{SLS: sls, Env: env, Path: name, Root: root}, nil
	}
	return nil, fs.ErrNotExist
}

func (s source) read(ctx context.Context, env, name string) (string, error) {
	f, _, err := s.env.Files.Open(ctx, env, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("read %s: %w", name, err)
	case len(text) > maxFile:
		return "", fmt.Errorf("read %s: it has more than %d bytes", name, maxFile)
	}
	return string(text), nil
}

// Names lists all SLS files of an environment.
func (s source) Names(ctx context.Context, env string) ([]string, error) {
	envs, err := s.env.Files.Environments(ctx)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(envs, env) {
		return nil, fs.ErrNotExist
	}
	files, err := s.env.Files.List(ctx, env, "")
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, f := range files {
		if name, ok := strings.CutSuffix(f, ".sls"); ok {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(name, "/init"), "/", "."))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}
