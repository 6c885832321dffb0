package inplace

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/brine-deploy/brine/pkg/appspec"
)

// CheckPermissions looks whether this host knows the users and groups of the section permissions and has the programs that
// it needs.
func CheckPermissions(spec *appspec.Spec) error {
	var errs []error
	seen := map[string]bool{}
	check := func(p appspec.Permission, key string, do func() error) {
		if seen[key] {
			return
		}
		seen[key] = true
		if err := do(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Pos, err))
		}
	}
	for _, p := range spec.Permissions {
		if p.Owner != "" {
			check(p, "user "+p.Owner, func() error { _, err := userID(p.Owner); return err })
		}
		if p.Group != "" {
			check(p, "group "+p.Group, func() error { _, err := groupID(p.Group); return err })
		}
		if len(p.ACLs) > 0 {
			check(p, "acls", func() error { return needs("acls", "setfacl", "acl") })
		}
		if p.Context != nil {
			check(p, "context", func() error {
				return errors.Join(needs("context", "semanage", "policycoreutils-python-utils"), needs("context", "restorecon", "policycoreutils"))
			})
		}
	}
	return errors.Join(errs...)
}

func needs(key, program, debianPackage string) error {
	if _, err := exec.LookPath(program); err != nil {
		return fmt.Errorf("%s of permissions needs the program %s (Debian package %s), which this host does not have", key, program, debianPackage)
	}
	return nil
}

func userID(name string) (int, error) {
	if u, err := user.Lookup(name); err == nil {
		return strconv.Atoi(u.Uid)
	}
	return directoryID("passwd", "user", name)
}

func groupID(name string) (int, error) {
	if g, err := user.LookupGroup(name); err == nil {
		return strconv.Atoi(g.Gid)
	}
	return directoryID("group", "group", name)
}

// directoryID asks the C library, which knows LDAP and the like.
func directoryID(database, what, name string) (int, error) {
	out, err := exec.Command("getent", "--", database, name).Output()
	fields := strings.Split(string(out), ":")
	if err != nil || len(fields) < 3 || fields[0] != name {
		return 0, fmt.Errorf("can't find %s for %s: this host has no such %s", what, name, what)
	}
	return strconv.Atoi(fields[2])
}

// set does mode, acls, context, owner in this order, as the agent does. Of a link only its owner is changed.
func (w *worker) set(ctx context.Context, s appspec.Setting) error {
	d, err := w.dir(s.Real)
	if err != nil {
		return err
	}
	name := path.Base(s.Real)
	uid, gid, err := ids(s.Entry)
	if err != nil {
		return err
	}
	kind, err := d.kind(name)
	if err != nil {
		return err
	}
	if kind == unix.S_IFLNK {
		return d.lchown(name, uid, gid)
	}
	f, err := d.open(name)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // nothing is written
	if s.Entry.Mode != nil {
		if err := f.Chmod(s.Entry.Mode.FileMode()); err != nil {
			return err
		}
	}
	if len(s.Entry.ACLs) > 0 {
		if err := setACL(ctx, f, s.Entry.ACLs); err != nil {
			return err
		}
	}
	if s.Entry.Context != nil {
		if err := setContext(ctx, s.Real, *s.Entry.Context); err != nil {
			return err
		}
		w.made = append(w.made, appspec.Owned{Path: labelPrefix + s.Real})
	}
	if uid < 0 && gid < 0 {
		return nil
	}
	return f.Chown(uid, gid)
}

// ids gives -1 for no change.
func ids(p *appspec.Permission) (uid, gid int, err error) {
	uid, gid = -1, -1
	if p.Owner != "" {
		uid, err = userID(p.Owner)
	}
	if p.Group != "" && err == nil {
		gid, err = groupID(p.Group)
	}
	return uid, gid, err
}

func setACL(ctx context.Context, f *os.File, entries []appspec.ACL) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	var list []string
	for _, a := range appspec.FullACL(entries, appspec.Mode(st.Mode&0o7777)) {
		list = append(list, a.String())
	}
	cmd := exec.CommandContext(ctx, "setfacl", "--set", strings.Join(list, ","), "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{f}
	return run(cmd)
}

// labelPrefix marks a context among what is owned.
const labelPrefix = "semanage:"

func contextLabel(name string) (string, bool) { return strings.CutPrefix(name, labelPrefix) }

func setContext(ctx context.Context, name string, c appspec.Context) error {
	args := []string{"fcontext", "-a"}
	if c.User != "" {
		args = append(args, "-s", c.User)
	}
	args = append(args, "-t", c.Type)
	if c.Range != "" {
		args = append(args, "-r", c.Range)
	}
	if err := run(exec.CommandContext(ctx, "semanage", append(args, regexp.QuoteMeta(name))...)); err != nil {
		return err
	}
	return run(exec.CommandContext(ctx, "restorecon", "-v", name))
}

func dropContext(name string) error {
	_ = exec.Command("semanage", "fcontext", "-d", regexp.QuoteMeta(name)).Run() // as the agent: it may be gone
	return nil
}

func run(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	said, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said)
}
