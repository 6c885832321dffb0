package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

func notAbsolute(name string) (state.Result, bool) {
	if filepath.IsAbs(name) {
		return state.Result{}, false
	}
	return args.Failed("Specified file %s is not an absolute path", name), true
}

func runAbsent(_ context.Context, c *state.Call) state.Result {
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	if filepath.Clean(name) == "/" {
		return args.Failed(`Refusing to make "/" absent`)
	}
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return args.Fine("File %s is not present", name)
	}
	if err != nil {
		return args.Failed("look at %s: %v", name, err)
	}
	upper, lower := "File", "file"
	if info.IsDir() {
		upper, lower = "Directory", "directory"
	}
	changes := data.NewMap("removed", name)
	if c.Test {
		return args.Would(changes, "%s %s is set for removal", upper, name)
	}
	if err := os.RemoveAll(name); err != nil {
		return args.Failed("Failed to remove %s %s: %v", lower, name, err)
	}
	return args.Done(changes, "Removed %s %s", lower, name)
}

func runExists(_ context.Context, c *state.Call) state.Result {
	if name := expand(c.Name); !exists(name) {
		return args.Failed("Specified path %s does not exist", name)
	}
	return args.Fine("Path %s exists", expand(c.Name))
}

func runMissing(_ context.Context, c *state.Call) state.Result {
	if name := expand(c.Name); exists(name) {
		return args.Failed("Specified path %s exists", name)
	}
	return args.Fine("Path %s is missing", expand(c.Name))
}

func runTouch(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	atime, mtime, makedirs := a.Int("atime", -1), a.Int("mtime", -1), a.Bool("makedirs", false)
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	info, err := os.Stat(name)
	there := err == nil
	if c.Test {
		switch {
		case !there:
			return args.Would(data.NewMap("new", name), "File %s is set to be created", name)
		case mtime >= 0 && info.ModTime().Unix() != mtime:
			return args.Would(data.NewMap("touched", name), "Times set to be updated on file %s", name)
		}
		return args.Fine("File %s exists and has the correct times", name)
	}
	if makedirs {
		if err := makeDirs(filepath.Dir(name), perms{uid: -1, gid: -1}); err != nil {
			return args.Failed("%v", err)
		}
	}
	if !isDir(filepath.Dir(name)) {
		return args.Failed("Directory not present to touch file %s", name)
	}
	if !there {
		out, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666) //nolint:gosec // the umask says
		if err != nil {
			return args.Failed("touch %s: %v", name, err)
		}
		out.Close()
	}
	at, mt := time.Now(), time.Now()
	if atime >= 0 {
		at = time.Unix(atime, 0)
	}
	if mtime >= 0 {
		mt = time.Unix(mtime, 0)
	}
	if err := os.Chtimes(name, at, mt); err != nil {
		return args.Failed("touch %s: %v", name, err)
	}
	switch {
	case !there:
		return args.Done(data.NewMap("new", name), "Created empty file %s", name)
	case info.IsDir():
		return args.Done(data.NewMap("touched", name), "Updated times on directory %s", name)
	}
	return args.Done(data.NewMap("touched", name), "Updated times on file %s", name)
}

// emptyFile makes a file that is not there, for functions that change text; done says that the state ends with that.
func emptyFile(c *state.Call, name string, makedirs bool) (res state.Result, done bool) {
	if exists(name) {
		return res, false
	}
	if c.Test {
		return args.Would(data.NewMap("new", name), "File %s is set to be created", name), true
	}
	dir := filepath.Dir(name)
	if makedirs {
		if err := makeDirs(dir, perms{uid: -1, gid: -1}); err != nil {
			return args.Failed("%v", err), true
		}
	}
	if !isDir(dir) {
		return args.Failed("Directory not present to touch file %s", name), true
	}
	if err := os.WriteFile(name, nil, 0o666); err != nil { //nolint:gosec // the umask says
		return args.Failed("touch %s: %v", name, err), true
	}
	return res, false
}

func runRename(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	from, force, makedirs := expand(a.Need("source")), a.Bool("force", false), a.Bool("makedirs", false)
	if res, bad := a.Bad(); bad {
		return res
	}
	name := expand(c.Name)
	if res, bad := notAbsolute(name); bad {
		return res
	}
	if res, bad := notAbsolute(from); bad {
		return res
	}
	if !lexists(from) {
		return args.Fine(`Source file "%s" has already been moved out of place`, from)
	}
	if lexists(name) && !force {
		return args.Failed(`The target file "%s" exists and will not be overwritten`, name)
	}
	if c.Test {
		return args.Would(nil, `File "%s" is set to be moved to "%s"`, from, name)
	}
	if lexists(name) {
		if err := os.RemoveAll(name); err != nil {
			return args.Failed(`Failed to delete "%s" in preparation for forced move: %v`, name, err)
		}
	}
	if dir := filepath.Dir(name); !isDir(dir) {
		if !makedirs {
			return args.Failed("The target directory %s is not present", dir)
		}
		if err := makeDirs(dir, perms{uid: -1, gid: -1}); err != nil {
			return args.Failed("%v", err)
		}
	}
	if err := move(from, name); err != nil {
		return args.Failed(`Failed to move "%s" to "%s": %v`, from, name, err)
	}
	return args.Done(data.NewMap(name, from), `Moved "%s" to "%s"`, from, name)
}
