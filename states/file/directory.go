package file

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

// directory is one directory, and what is in it, that should have owners and modes.
type directory struct {
	c            *state.Call
	name         string
	dirs, files  perms // what directories and files in it should have, as far as recurse says
	self         perms
	recurse      []string
	depth        int64 // -1: all
	children     bool  // children_only
	makedirs     bool
	clean        bool
	keep         map[string]bool
	exclude      *pattern
	follow       bool
	force        bool
	allowSymlink bool
	backup       string
}

var directoryParams = []string{ //nolint:gochecknoglobals // a table
	"user", "group", "recurse", "max_depth", "dir_mode", "mode", "file_mode", "makedirs", "clean", "exclude_pat", "follow_symlinks", "force",
	"backupname", "allow_symlink", "children_only", "owner",
}

func runDirectory(ctx context.Context, c *state.Call) state.Result {
	d, res, stop := readDirectory(ctx, c)
	if stop {
		return res
	}
	return d.run()
}

func readDirectory(ctx context.Context, c *state.Call) (d *directory, res state.Result, stop bool) {
	a := args.Of(c)
	p, unknown := owner(ctx, a)
	name := expand(c.Name)
	if name != "/" {
		name = strings.TrimRight(name, "/")
	}
	d = &directory{
		c: c, name: name, self: p, depth: a.Int("max_depth", -1), children: a.Bool("children_only", false),
		makedirs: a.Bool("makedirs", false), clean: a.Bool("clean", false), follow: a.Bool("follow_symlinks", false),
		force: a.Bool("force", false), allowSymlink: a.Bool("allow_symlink", true), backup: a.Text("backupname", ""),
		exclude: readPattern(a, "exclude_pat"),
	}
	d.self.mode = a.Mode("dir_mode")
	if mode := a.Mode("mode"); d.self.mode == "" {
		d.self.mode = mode
	}
	fileMode := a.Mode("file_mode")
	if fileMode == "" {
		fileMode = d.self.mode
	}
	d.recurse = a.List("recurse")
	problem := d.setRecurse(a, p, fileMode)
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	switch {
	case unknown != "":
		problem = unknown
	case !filepath.IsAbs(d.name):
		problem = fmt.Sprintf("Specified file %s is not an absolute path", d.name)
	}
	if problem != "" {
		return nil, args.Failed("%s", problem), true
	}
	if d.clean {
		d.keep = keepers(ctx, c, d.name)
	}
	return d, state.Result{}, false
}

// setRecurse makes of recurse what directories and files should have.
func (d *directory) setRecurse(a *args.Reader, p perms, fileMode string) (problem string) {
	if len(d.recurse) == 0 {
		return ""
	}
	if _, isList := a.Get("recurse").([]any); !isList {
		return `"recurse" must be formed as a list of strings`
	}
	none := perms{uid: -1, gid: -1}
	d.dirs, d.files = none, none
	for _, what := range d.recurse {
		switch what {
		case "user":
			if p.user == "" {
				problem = "user not specified, but configured as a target for recursive ownership management"
			}
			d.dirs.user, d.dirs.uid, d.files.user, d.files.uid = p.user, p.uid, p.user, p.uid
		case "group":
			if p.group == "" {
				problem = "group not specified, but configured as a target for recursive ownership management"
			}
			d.dirs.group, d.dirs.gid, d.files.group, d.files.gid = p.group, p.gid, p.group, p.gid
		case "mode":
			d.dirs.mode, d.files.mode = d.self.mode, fileMode
		case "ignore_files", "ignore_dirs", "silent":
		default:
			return fmt.Sprintf(`Types for "recurse" limited to "user", "group", "mode", "ignore_files", "ignore_dirs" and "silent", got %q`, what)
		}
	}
	if slices.Contains(d.recurse, "ignore_files") && slices.Contains(d.recurse, "ignore_dirs") {
		return `Must not specify "recurse" options "ignore_files" and "ignore_dirs" at the same time.`
	}
	return problem
}

func (d *directory) run() state.Result {
	if res, stop := d.makeRoom(); stop {
		return res
	}
	changes, err := d.changes()
	if err != nil {
		return args.Failed("%v", err)
	}
	switch {
	case changes.Len() == 0:
		return args.Fine("The directory %s is in the correct state", d.name)
	case d.c.Test:
		return args.Would(changes, "%s", listed(changes))
	}
	if !isDir(d.name) {
		return d.create()
	}
	return d.amend(changes)
}

// listed tells of the changes to come as Salt does.
func listed(changes *data.Map) string {
	var b strings.Builder
	b.WriteString("The following files will be changed:\n")
	for path, what := range changes.All() {
		m, ok := what.(*data.Map)
		if !ok {
			fmt.Fprintf(&b, "%s: %s\n", path, args.Text(what))
			continue
		}
		for key, value := range m.All() {
			fmt.Fprintf(&b, "%s: %s - %s\n", path, args.Text(key), args.Text(value))
		}
	}
	return b.String()
}

// makeRoom sees to what is there and is no directory.
func (d *directory) makeRoom() (res state.Result, stop bool) {
	info, err := os.Lstat(d.name)
	if err != nil || info.IsDir() {
		return res, false
	}
	what := "a file"
	if info.Mode()&fs.ModeSymlink != 0 {
		if isDir(d.name) && d.allowSymlink {
			return res, false
		}
		what = "a symlink"
	}
	switch {
	case d.backup == "" && !d.force:
		return args.Failed("Specified location %s exists and is %s", d.name, what), true
	case d.c.Test:
		return args.Would(data.NewMap("forced", "File would be forcibly replaced"), "File would be forcibly replaced"), true
	case d.backup != "" && lexists(d.backup) && !d.force:
		return args.Failed("File exists where the backup target %s should go", d.backup), true
	case d.backup != "":
		err = os.Rename(d.name, d.backup)
	default:
		err = os.Remove(d.name)
	}
	if err != nil {
		return args.Failed("make room for directory %s: %v", d.name, err), true
	}
	return res, false
}

// changes are what is not yet as it should be.
func (d *directory) changes() (*data.Map, error) {
	changes := data.NewMap()
	if !isDir(d.name) {
		changes.Set(d.name, data.NewMap("directory", "new"))
		return changes, nil
	}
	if !d.children {
		differ, err := d.self.differences(d.name, true)
		if err != nil {
			return nil, err
		}
		if differ.Len() > 0 {
			changes.Set(d.name, differ)
		}
	}
	err := d.walk(func(path string, p perms) error {
		differ, err := p.differences(path, d.follow)
		if err == nil && differ.Len() > 0 {
			changes.Set(path, differ)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.clean {
		for _, path := range strays(d.name, d.keep, d.exclude, true) {
			changes.Set(path, data.NewMap("removed", "Removed due to clean"))
		}
	}
	return changes, nil
}

// walk calls visit for all below the directory that recurse concerns.
func (d *directory) walk(visit func(path string, p perms) error) error {
	if len(d.recurse) == 0 {
		return nil
	}
	skipFiles, skipDirs := slices.Contains(d.recurse, "ignore_files"), slices.Contains(d.recurse, "ignore_dirs")
	return filepath.WalkDir(d.name, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("walk %s: %w", d.name, err)
		}
		if path == d.name {
			return nil
		}
		rel, _ := filepath.Rel(d.name, path)
		depth := int64(strings.Count(rel, "/"))
		if e.IsDir() {
			if d.depth >= 0 && depth+1 > d.depth {
				return filepath.SkipDir
			}
			if skipDirs {
				return nil
			}
			return visit(path, d.dirs)
		}
		if skipFiles || d.depth >= 0 && depth > d.depth {
			return nil
		}
		return visit(path, d.files)
	})
}

func (d *directory) create() state.Result {
	parent := filepath.Dir(d.name)
	if !isDir(parent) {
		if !d.makedirs {
			return args.Failed("No directory to create %s in", d.name)
		}
		if err := makeDirs(parent, d.self); err != nil {
			return args.Failed("%v", err)
		}
	}
	if err := makeDir(d.name, d.self); err != nil {
		return args.Failed("Failed to create directory %s: %v", d.name, err)
	}
	return args.Done(data.NewMap(d.name, data.NewMap("directory", "new")), "Directory %s updated", d.name)
}

func (d *directory) amend(changes *data.Map) state.Result {
	if !d.children {
		if _, err := d.self.enforce(d.name, true); err != nil {
			return args.Failed("%v", err)
		}
	}
	err := d.walk(func(path string, p perms) error {
		_, err := p.enforce(path, d.follow)
		return err
	})
	if err != nil {
		return args.Failed("%v", err)
	}
	res := args.Done(changes, "Directory %s updated", d.name)
	if d.clean {
		removed, err := clean(d.name, d.keep, d.exclude)
		if err != nil {
			return args.Failed("%v", err)
		}
		if len(removed) > 0 {
			changes.Set("removed", removed)
			res.Comment = "Files cleaned from directory " + d.name
		}
	}
	return res
}
