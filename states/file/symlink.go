package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var symlinkParams = []string{ //nolint:gochecknoglobals // a table
	"target", "force", "backupname", "makedirs", "user", "group", "mode", "atomic", "disallow_copy_and_unlink", "inherit_user_and_group",
	"follow_symlinks", "owner",
}

func runSymlink(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	p, unknown := owner(ctx, a)
	p.mode = ""
	l := symlink{
		c: c, name: expand(c.Name), target: a.Need("target"), perms: p,
		force: a.Bool("force", false), backup: expand(a.Text("backupname", "")), makedirs: a.Bool("makedirs", false),
	}
	dirMode := a.Mode("mode")
	if res, bad := a.Bad(); bad {
		return res
	}
	var problems []string
	if unknown != "" {
		problems = append(problems, strings.TrimSpace(unknown))
	}
	if !filepath.IsAbs(l.name) {
		problems = append(problems, fmt.Sprintf("Specified file %s is not an absolute path", l.name))
	}
	if l.target == "" {
		problems = append(problems, "No target was given")
	}
	if len(problems) > 0 {
		return args.Failed("%s", strings.Join(problems, ". "))
	}
	if c.Test {
		return l.test()
	}
	if dir := filepath.Dir(l.name); !isDir(dir) {
		if !l.makedirs {
			return args.Failed("Directory %s for symlink is not present", dir)
		}
		above := p
		above.mode = dirMode
		if err := makeDirs(dir, above); err != nil {
			return args.Failed("%v", err)
		}
	}
	return l.make()
}

type symlink struct {
	c               *state.Call
	name, target    string
	perms           perms
	force, makedirs bool
	backup          string
}

func (l symlink) test() state.Result {
	info, err := os.Lstat(l.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return args.Would(data.NewMap("new", l.name), "Symlink %s to %s is set for creation", l.name, l.target)
	case err != nil:
		return args.Failed("%v", err)
	case info.Mode()&fs.ModeSymlink == 0 && !l.force && l.backup == "":
		return args.Failed("File or directory exists where the symlink %s should be. Did you mean to use force?", l.name)
	case info.Mode()&fs.ModeSymlink == 0:
		return args.Would(data.NewMap("forced", l.name), "The file or directory %s is set for removal to make way for a new symlink targeting %s",
			l.name, l.target)
	}
	if at, _ := os.Readlink(l.name); at != l.target {
		return args.Would(data.NewMap("change", l.name), "Link %s target is set to be changed to %s", l.name, l.target)
	}
	if changes := l.perms.against(info); changes.Len() > 0 {
		return args.Would(data.NewMap("ownership", l.owners()), "The symlink %s is present, but the ownership of the symlink would be changed to %s",
			l.name, l.owners())
	}
	return args.Fine("The symlink %s is present", l.name)
}

// owners are the link's owners as they should be, user:group.
func (l symlink) owners() string {
	var db account.DB
	user, group := l.perms.user, l.perms.group
	if info, err := os.Lstat(l.name); err == nil {
		uid, gid := ownerOf(info)
		if user == "" {
			user = db.UserName(uid)
		}
		if group == "" {
			group = db.GroupName(gid)
		}
	}
	return user + ":" + group
}

func (l symlink) make() state.Result {
	changes := data.NewMap()
	info, err := os.Lstat(l.name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return args.Failed("%v", err)
	case info.Mode()&fs.ModeSymlink != 0:
		if at, _ := os.Readlink(l.name); at == l.target {
			return l.own(info)
		}
	default:
		if res, failed := l.makeRoom(info, changes); failed {
			return res
		}
	}
	if err := renameio.Symlink(l.target, l.name); err != nil {
		return args.Failed("Unable to create new symlink %s -> %s: %v", l.name, l.target, err)
	}
	changes.Set("new", l.name)
	if _, err := l.perms.enforce(l.name, false); err != nil {
		return args.Failed("Created new symlink %s -> %s, but was unable to set ownership to %s: %v", l.name, l.target, l.owners(), err)
	}
	return args.Done(changes, "Created new symlink %s -> %s", l.name, l.target)
}

// own sees to the owner of a link that is right.
func (l symlink) own(info fs.FileInfo) state.Result {
	if l.perms.against(info).Len() == 0 {
		return args.Fine("Symlink %s is present and owned by %s", l.name, l.owners())
	}
	if _, err := l.perms.enforce(l.name, false); err != nil {
		return args.Failed("Failed to set ownership of symlink %s to %s: %v", l.name, l.owners(), err)
	}
	return args.Done(data.NewMap("ownership", l.owners()), "Set ownership of symlink %s to %s", l.name, l.owners())
}

func (l symlink) makeRoom(info fs.FileInfo, changes *data.Map) (res state.Result, failed bool) {
	what := "File"
	if info.IsDir() {
		what = "Directory"
	}
	var err error
	switch {
	case l.backup != "" && lexists(l.backup) && !l.force:
		return args.Failed("File exists where the backup target %s should go", l.backup), true
	case l.backup != "":
		if !filepath.IsAbs(l.backup) {
			l.backup = filepath.Join(filepath.Dir(l.name), l.backup)
		}
		if err = os.RemoveAll(l.backup); err == nil {
			err = os.Rename(l.name, l.backup)
		}
	case l.force:
		err = os.RemoveAll(l.name)
		changes.Set("forced", "Symlink was forcibly replaced")
	default:
		return args.Failed("%s exists where the symlink %s should be", what, l.name), true
	}
	if err != nil {
		return args.Failed("make room for symlink %s: %v", l.name, err), true
	}
	return res, false
}
