package modules

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/target"
)

func fileFindFamily() map[string]Function {
	return map[string]Function{
		"file.find": {
			Doc: `The paths below a directory that fit all that is said of them.
path; name, iname: globs of the last part; regex, iregex: of the whole path; type: f, d, l, p, s, b, c; maxdepth; mindepth; owner;
group
  file.find /etc name='*.conf' type=f maxdepth=1`,
			Params: []string{"path", "name", "iname", "regex", "iregex", "type", "maxdepth", "mindepth", "owner", "group"},
			Run:    fileFind,
		},
	}
}

// found is what one path must be, of its path, its depth below the start, and its status.
type found func(name string, depth int, info fs.FileInfo) bool

func fileFind(ctx context.Context, _ *Env, args *data.Map) (any, error) {
	start, err := textArg(args, "path")
	if err != nil {
		return nil, err
	}
	start = home(start)
	tests, err := findTests(args)
	if err != nil {
		return nil, err
	}
	deepest, err := intArg(args, "maxdepth", -1)
	if err != nil {
		return nil, err
	}
	names := []any{}
	walked := filepath.WalkDir(start, func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return ctx.Err() // what cannot be read is not there
		}
		depth := strings.Count(strings.TrimPrefix(name, strings.TrimSuffix(start, "/")), "/")
		if deepest >= 0 && depth > deepest {
			return fs.SkipDir
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went away
		}
		if err != nil {
			return err
		}
		for _, fits := range tests {
			if !fits(name, depth, info) {
				return nil
			}
		}
		names = append(names, name)
		return nil
	})
	return names, walked
}

func findTests(args *data.Map) ([]found, error) {
	var tests []found
	for _, param := range []string{"name", "iname", "regex", "iregex", "type", "owner", "group"} {
		want := stringArg(args, param, "")
		if want == "" {
			continue
		}
		test, err := findTest(param, want)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	shallowest, err := intArg(args, "mindepth", 0)
	return append(tests, func(_ string, depth int, _ fs.FileInfo) bool { return depth >= shallowest }), err
}

func findTest(param, want string) (found, error) {
	switch param {
	case "name":
		return func(name string, _ int, _ fs.FileInfo) bool { return target.Glob(want, filepath.Base(name)) }, nil
	case "iname":
		return func(name string, _ int, _ fs.FileInfo) bool {
			return target.Glob(strings.ToLower(want), strings.ToLower(filepath.Base(name)))
		}, nil
	case "regex", "iregex":
		flags := ""
		if param == "iregex" {
			flags = "(?i)"
		}
		re, err := regexp.Compile(flags + `\A(?:` + want + ")")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArguments, err)
		}
		return func(name string, _ int, _ fs.FileInfo) bool { return re.MatchString(name) }, nil
	case "type":
		kinds := map[fs.FileMode]string{
			0: "f", fs.ModeDir: "d", fs.ModeSymlink: "l", fs.ModeNamedPipe: "p", fs.ModeSocket: "s", fs.ModeDevice: "b",
			fs.ModeDevice | fs.ModeCharDevice: "c",
		}
		return func(_ string, _ int, info fs.FileInfo) bool {
			kind := kinds[info.Mode().Type()]
			return kind != "" && strings.Contains(want, kind)
		}, nil
	case "owner":
		return owned(want, func(s *syscall.Stat_t) (uint32, string) { return s.Uid, userName(s.Uid) }), nil
	default:
		return owned(want, func(s *syscall.Stat_t) (uint32, string) { return s.Gid, groupName(s.Gid) }), nil
	}
}

// owned compares an owner or group, by number or name.
func owned(want string, by func(*syscall.Stat_t) (uint32, string)) found {
	return func(_ string, _ int, info fs.FileInfo) bool {
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		id, name := by(s)
		return want == name || want == strconv.Itoa(int(id))
	}
}
