package modules

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/pkg/data"
)

func cpFamily() map[string]Function {
	return map[string]Function{
		"cp.get_file_str": {
			Doc: "What is in a file of the file server; false when it has none.\npath: a salt:// URL; saltenv\n  cp.get_file_str salt://web/map.jinja", Params: []string{"path", "saltenv"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				f, _, err := openServed(ctx, env, args)
				if errors.Is(err, fs.ErrNotExist) {
					return false, nil
				}
				if err != nil {
					return nil, err
				}
				defer func() { _ = f.Close() }() // read only
				text, err := io.ReadAll(io.LimitReader(f, readLimit))
				return string(text), err
			},
		},
		"cp.hash_file": {
			Doc: "The checksum of a file of the file server; an empty map when it has none.\npath: a salt:// URL; saltenv\n  cp.hash_file salt://web/map.jinja", Params: []string{"path", "saltenv"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				f, _, err := openServed(ctx, env, args)
				if errors.Is(err, fs.ErrNotExist) {
					return &data.Map{}, nil
				}
				if err != nil {
					return nil, err
				}
				defer func() { _ = f.Close() }() // read only
				h := sha256.New()
				_, err = io.Copy(h, f)
				return data.NewMap("hash_type", "sha256", "hsum", hex.EncodeToString(h.Sum(nil))), err
			},
		},
		"cp.cache_file": {
			Doc: "The path of a copy of a file of the file server on this host; an empty text when it has none.\npath: a salt:// URL; saltenv\n  cp.cache_file salt://web/map.jinja", Params: []string{"path", "saltenv"},
			Run: cacheFile,
		},
		"cp.list_master": {
			Doc: "The names of all files of the file server.\nsaltenv; prefix\n  cp.list_master", Params: []string{"saltenv", "prefix"},
			Run: listed(func(names []string) []string {
				return slices.DeleteFunc(names, func(n string) bool { return strings.HasSuffix(n, "/") })
			}),
		},
		"cp.list_master_dirs": {
			Doc: "The names of all directories of the file server.\nsaltenv; prefix\n  cp.list_master_dirs", Params: []string{"saltenv", "prefix"},
			Run: listed(directories),
		},
		"cp.list_states": {
			Doc: "The names of all SLS files of the file server.\nsaltenv\n  cp.list_states", Params: []string{"saltenv", "prefix"},
			Run: listed(SLSNames),
		},
		"cp.envs": {
			Doc: "The environments of the file server.\n  cp.envs",
			Run: func(ctx context.Context, env *Env, _ *data.Map) (any, error) {
				if env.Files == nil {
					return []any{}, nil
				}
				names, err := env.Files.Environments(ctx)
				return list(names), err
			},
		},
	}
}

// SLSNames are the names that top files and includes use for files of a file server, sorted: web/init.sls is web.
func SLSNames(files []string) []string {
	var names []string
	for _, f := range files {
		if name, ok := strings.CutSuffix(f, ".sls"); ok {
			names = append(names, strings.ReplaceAll(strings.TrimSuffix(name, "/init"), "/", "."))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func directories(files []string) []string {
	seen := map[string]bool{}
	var dirs []string
	for _, f := range files {
		for dir := path.Dir(f); dir != "." && !seen[dir]; dir = path.Dir(dir) {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

func listed(of func([]string) []string) func(context.Context, *Env, *data.Map) (any, error) {
	return func(ctx context.Context, env *Env, args *data.Map) (any, error) {
		if env.Files == nil {
			return []any{}, nil
		}
		names, err := env.Files.List(ctx, stringArg(args, "saltenv", "base"), "")
		if err != nil {
			return nil, err
		}
		prefix := stringArg(args, "prefix", "")
		return list(slices.DeleteFunc(of(names), func(n string) bool { return !strings.HasPrefix(n, prefix) })), nil
	}
}

// ServedName takes a salt:// URL apart: the name of the file and the environment, when the URL says which.
func ServedName(uri string) (name, saltenv string, err error) {
	rest, ok := strings.CutPrefix(uri, "salt://")
	if !ok {
		return "", "", fmt.Errorf("%w: %s is no salt:// URL", ErrArguments, uri)
	}
	name, query, _ := strings.Cut(strings.TrimPrefix(rest, "|"), "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", "", fmt.Errorf("%w: %s: %w", ErrArguments, uri, err)
	}
	return strings.TrimLeft(name, "/"), values.Get("saltenv"), nil
}

func openServed(ctx context.Context, env *Env, args *data.Map) (io.ReadCloser, string, error) {
	uri, err := textArg(args, "path")
	if err != nil {
		return nil, "", err
	}
	name, saltenv, err := ServedName(uri)
	if err != nil {
		return nil, "", err
	}
	if saltenv == "" {
		saltenv = stringArg(args, "saltenv", "base")
	}
	if env.Files == nil {
		return nil, "", fmt.Errorf("open %s: %w", uri, fs.ErrNotExist)
	}
	f, _, err := env.Files.Open(ctx, saltenv, name)
	return f, path.Join(saltenv, name), err
}

// cacheFile puts a file where Salt's minions keep theirs: files/ENVIRONMENT/NAME below the cache.
func cacheFile(ctx context.Context, env *Env, args *data.Map) (any, error) {
	f, name, err := openServed(ctx, env, args)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	if env.Cache == "" {
		return nil, errors.New("cache file: this minion has no cache")
	}
	at := filepath.Join(env.Cache, "files", filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		return nil, fmt.Errorf("cache file: %w", err)
	}
	pending, err := renameio.NewPendingFile(at, renameio.WithPermissions(0o600))
	if err != nil {
		return nil, fmt.Errorf("cache file: %w", err)
	}
	defer func() { _ = pending.Cleanup() }() // after a success nothing is left to clean
	if _, err := io.Copy(pending, f); err != nil {
		return nil, fmt.Errorf("cache file: %w", err)
	}
	return at, pending.CloseAtomicallyReplace()
}
