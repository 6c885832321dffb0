package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

var recurseParams = []string{ //nolint:gochecknoglobals // a table
	"source", "keep_source", "clean", "user", "group", "dir_mode", "file_mode", "sym_mode", "template", "context", "replace", "defaults",
	"include_empty", "backup", "include_pat", "exclude_pat", "maxdepth", "keep_symlinks", "force_symlinks", "show_changes", "mode", "owner",
	"win_owner", "saltenv",
}

// tree is a directory that should hold the files of one on the file server.
type tree struct {
	c                *state.Call
	name             string
	from             string // salt://...
	include, exclude *pattern
	depth            int64
	empty            bool
	files            managed // what all files have in common
	dirs             perms
	dirMode          string
	replace          bool
	clean            bool

	result   state.Verdict
	comments []string
	changes  *data.Map
}

func runRecurse(ctx context.Context, c *state.Call) state.Result {
	t, res, stop := readTree(ctx, c)
	if stop {
		return res
	}
	return t.run(ctx)
}

func readTree(ctx context.Context, c *state.Call) (t *tree, res state.Result, stop bool) {
	a := args.Of(c)
	p, unknown := owner(ctx, a)
	t = &tree{
		c: c, name: strings.TrimRight(expand(c.Name), "/"), dirs: p, include: readPattern(a, "include_pat"), exclude: readPattern(a, "exclude_pat"),
		depth: a.Int("maxdepth", -1), empty: a.Bool("include_empty", false), replace: a.Bool("replace", true), clean: a.Bool("clean", false),
		result: state.True, changes: data.NewMap(),
	}
	t.dirMode = a.Mode("dir_mode")
	t.dirs.mode = t.dirMode
	fileMode := a.Mode("file_mode")
	t.files = managed{
		c: c, perms: p, makedirs: true, follow: true, show: a.Bool("show_changes", true), backup: a.Text("backup", ""),
		template: readTemplate(a), dirMode: t.dirMode, keep: fileMode == "keep",
	}
	if t.files.perms.mode = fileMode; t.files.keep {
		t.files.perms.mode = ""
	}
	sources := a.List("source")
	if len(sources) == 0 {
		a.Wrong("Missing parameter source")
	}
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	problem := unknown
	switch {
	case a.Has("mode"):
		problem = "'mode' is not allowed in 'file.recurse'. Please use 'file_mode' and 'dir_mode'."
	case problem != "":
	case !filepath.IsAbs(t.name):
		problem = fmt.Sprintf("Specified file %s is not an absolute path", t.name)
	}
	for _, one := range sources {
		if !strings.HasPrefix(one, "salt://") && problem == "" {
			problem = fmt.Sprintf("Invalid source '%s' (must be a salt:// URI)", one)
		}
	}
	if problem != "" {
		return nil, args.Failed("%s", problem), true
	}
	for _, one := range sources {
		if fetch.Exists(ctx, c.Host, one) {
			t.from = strings.TrimRight(one, "/")
			return t, res, false
		}
	}
	return nil, args.Failed("Recurse failed: %v", fetch.ErrNone), true
}

// plan lists the directories to make, and the files with their names on the file server.
func (t *tree) plan(ctx context.Context) (dirs []string, files map[string]string, err error) {
	saltenv, base := fetch.SaltName(t.c.Host, t.from)
	names, err := t.c.Host.Files.List(ctx, saltenv, base)
	if err != nil {
		return nil, nil, fmt.Errorf("list %s: %w", t.from, err)
	}
	files = map[string]string{}
	made := map[string]bool{}
	for _, name := range names {
		rel := strings.TrimPrefix(strings.TrimPrefix(name, base), "/")
		emptyDir := strings.HasSuffix(rel, "/")
		rel = strings.TrimSuffix(rel, "/")
		if rel == "" || !filepath.IsLocal(rel) || tooDeep(rel, t.depth) || !picked(rel, t.include, t.exclude) {
			continue
		}
		dest := filepath.Join(t.name, rel)
		if emptyDir {
			made[dest] = made[dest] || t.empty
			continue
		}
		made[filepath.Dir(dest)] = true
		files[dest] = "salt://" + name + "?saltenv=" + saltenv
	}
	maps.DeleteFunc(made, func(_ string, wanted bool) bool { return !wanted })
	return slices.Sorted(maps.Keys(made)), files, nil
}

// recursed are the paths that a file.recurse manages.
func recursed(ctx context.Context, h *state.Host, req state.Required) []string {
	t, _, stop := readTree(ctx, &state.Call{Name: req.Name, Args: req.Args, Host: h})
	if stop {
		return nil
	}
	dirs, files, err := t.plan(ctx)
	if err != nil {
		return nil
	}
	return append(dirs, slices.Collect(maps.Keys(files))...)
}

func (t *tree) run(ctx context.Context) state.Result {
	dirs, files, err := t.plan(ctx)
	if err != nil {
		return args.Failed("Recurse failed: %v", err)
	}
	if exists(t.name) && !isDir(t.name) {
		return args.Failed("The path %s exists and is not a directory", t.name)
	}
	if !t.c.Test {
		if err := makeDirs(t.name, t.dirs); err != nil {
			return args.Failed("Recurse failed: %v", err)
		}
	}
	for _, dir := range dirs {
		t.merge(dir, t.directory(dir))
	}
	for _, dest := range slices.Sorted(maps.Keys(files)) {
		if ctx.Err() != nil {
			return args.Failed("Recurse failed: %v", ctx.Err())
		}
		t.merge(dest, t.file(ctx, dest, files[dest]))
	}
	if t.clean {
		t.tidy(ctx, dirs, files)
	}
	res := state.Result{Verdict: t.result, Comment: strings.TrimSpace(strings.Join(t.comments, "\n")), Changes: t.changes}
	if res.Comment == "" {
		res.Comment = "Recursively updated " + t.name
	}
	if t.changes.Len() == 0 && t.result == state.True {
		res.Comment = fmt.Sprintf("The directory %s is in the correct state", t.name)
	}
	return res
}

func (t *tree) directory(dir string) state.Result {
	if t.clean && !t.c.Test && lexists(dir) && !isDir(dir) {
		_ = os.Remove(dir) // what cannot be removed shows next
	}
	if err := t.inside(dir); err != nil {
		return args.Failed("%v", err)
	}
	d := &directory{c: t.c, name: dir, self: t.dirs, makedirs: true, depth: -1, allowSymlink: true}
	return d.run()
}

func (t *tree) file(ctx context.Context, dest, from string) state.Result {
	if err := t.inside(filepath.Dir(dest)); err != nil {
		return args.Failed("%v", err)
	}
	if t.clean && isDir(dest) && !isLink(dest) && !t.c.Test {
		_ = os.RemoveAll(dest)
	}
	if !t.replace && exists(dest) {
		return args.Fine("")
	}
	if isDir(dest) {
		return args.Failed("Specified target %s is a directory", dest)
	}
	m := t.files
	m.name, m.source = dest, source{from: from}
	return m.run(ctx)
}

// inside refuses a directory that a link below the tree's name leads out of it.
func (t *tree) inside(dir string) error {
	rel := strings.Trim(strings.TrimPrefix(dir, t.name), "/")
	at := t.name
	for part := range strings.SplitSeq(rel, "/") {
		if part == "" {
			continue
		}
		at = filepath.Join(at, part)
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look at %s: %w", at, err)
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		real, err := filepath.EvalSymlinks(at)
		top, topErr := filepath.EvalSymlinks(t.name)
		if err != nil || topErr != nil || real != top && !strings.HasPrefix(real, top+"/") {
			return fmt.Errorf("%s is a link that leads out of %s", at, t.name)
		}
	}
	return nil
}

func (t *tree) merge(path string, res state.Result) {
	if res.Verdict == state.False || t.result == state.True {
		t.result = res.Verdict
	}
	if res.Verdict != state.True && res.Comment != "" {
		t.comments = append(t.comments, fmt.Sprintf("\n#### %s ####\n%s", path, res.Comment))
	}
	if res.Changes.Len() > 0 {
		t.changes.Set(path, res.Changes)
	}
}

func (t *tree) tidy(ctx context.Context, dirs []string, files map[string]string) {
	keep := keepers(ctx, t.c, t.name)
	for _, path := range append(dirs, slices.Collect(maps.Keys(files))...) {
		keepPath(keep, t.name, path)
	}
	if t.c.Test {
		for _, path := range strays(t.name, keep, t.exclude, false) {
			t.merge("removed", state.Result{Verdict: state.Pending, Comment: path})
		}
		return
	}
	removed, err := clean(t.name, keep, t.exclude)
	if err != nil {
		t.merge(t.name, args.Failed("%v", err))
	}
	if len(removed) > 0 {
		t.changes.Set("removed", removed)
	}
}
