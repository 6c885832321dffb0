package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/args"
)

// perms are the owner and the mode that something should have. Empty ones are left as they are.
type perms struct {
	user, group string
	uid, gid    int // -1 when not asked for
	mode        string
}

// owner reads user and group; comment says who does not exist.
func owner(ctx context.Context, a *args.Reader) (p perms, comment string) {
	p = perms{user: a.Text("user", a.Text("owner", "")), group: a.Text("group", ""), uid: -1, gid: -1}
	var db account.DB
	if p.user != "" {
		uid, ok := db.UID(ctx, p.user)
		if !ok {
			comment += fmt.Sprintf("User %s is not available ", p.user)
		}
		p.uid = uid
	}
	if p.group != "" {
		gid, ok := db.GID(ctx, p.group)
		if !ok {
			comment += fmt.Sprintf("Group %s is not available", p.group)
		}
		p.gid = gid
	}
	return p, comment
}

// octal is a mode's bits as Salt writes them.
func octal(mode fs.FileMode) string {
	bits := uint32(mode.Perm())
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return fmt.Sprintf("%04o", bits)
}

// fileMode is the mode of octal digits; def when there are none.
func fileMode(digits string, def fs.FileMode) fs.FileMode {
	bits, err := strconv.ParseUint(digits, 8, 32)
	if err != nil {
		return def
	}
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			mode |= flag
		}
	}
	return mode
}

func ownerOf(info fs.FileInfo) (uid, gid int) {
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(sys.Uid), int(sys.Gid)
	}
	return -1, -1
}

// differences are what of perms something at path does not have. A link has no mode of its own.
func (p perms) differences(path string, follow bool) (*data.Map, error) {
	info, err := stat(path, follow)
	if err != nil {
		return nil, err
	}
	return p.against(info), nil
}

func (p perms) against(info fs.FileInfo) *data.Map {
	changes := data.NewMap()
	uid, gid := ownerOf(info)
	if p.uid >= 0 && p.uid != uid {
		changes.Set("user", p.user)
	}
	if p.gid >= 0 && p.gid != gid {
		changes.Set("group", p.group)
	}
	if p.mode != "" && info.Mode()&fs.ModeSymlink == 0 && p.mode != octal(info.Mode()) {
		changes.Set("mode", p.mode)
	}
	return changes
}

// enforce gives path what it does not have of perms, and tells what that was.
func (p perms) enforce(path string, follow bool) (*data.Map, error) {
	changes, err := p.differences(path, follow)
	if err != nil || changes.Len() == 0 {
		return changes, err
	}
	_, user := changes.Get("user")
	_, group := changes.Get("group")
	_, mode := changes.Get("mode")
	if user || group {
		uid, gid := -1, -1
		if user {
			uid = p.uid
		}
		if group {
			gid = p.gid
		}
		if err := chown(path, uid, gid, follow); err != nil {
			return nil, fmt.Errorf("change owner: %w", err)
		}
		if info, err := stat(path, follow); err == nil && p.mode != "" && octal(info.Mode()) != p.mode {
			mode = info.Mode()&fs.ModeSymlink == 0 // a new owner takes the set-user-id bits away
		}
	}
	if mode {
		if err := os.Chmod(path, fileMode(p.mode, 0)); err != nil {
			return nil, fmt.Errorf("change mode: %w", err)
		}
	}
	return changes, nil
}

func stat(path string, follow bool) (fs.FileInfo, error) {
	if follow {
		return os.Stat(path)
	}
	return os.Lstat(path)
}

func chown(path string, uid, gid int, follow bool) error {
	if follow {
		return os.Chown(path, uid, gid)
	}
	return os.Lchown(path, uid, gid)
}

// makeDirs makes the directory dir and those above it that are missing, with owner and mode of p.
func makeDirs(dir string, p perms) error {
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.IsDir() {
			break
		}
		if err == nil {
			return fmt.Errorf("make directory %s: %s is no directory", dir, at)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make directory %s: %w", dir, err)
		}
		missing = append(missing, at)
	}
	for _, one := range slices.Backward(missing) {
		if err := makeDir(one, p); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(dir string, p perms) error {
	if err := os.Mkdir(dir, 0o777); err != nil && !errors.Is(err, fs.ErrExist) { // the umask says
		return fmt.Errorf("make directory: %w", err)
	}
	if _, err := p.enforce(dir, true); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	return nil
}

// dirModeOf is the mode for directories above a file of a mode: who may read it may search them.
func dirModeOf(mode string) string {
	if len(mode) < 3 {
		return ""
	}
	digits := []byte(mode[len(mode)-3:])
	for i, d := range digits {
		if d != '0' {
			digits[i] = d | 1
		}
	}
	return "0" + string(digits)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func lexists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// expand replaces a leading ~ by the home directory.
func expand(path string) string {
	if path == "~" || strings.HasPrefix(path, "~/") {
		if home, err := os.UserHomeDir(); err == nil {
			return home + path[1:]
		}
	}
	return path
}
