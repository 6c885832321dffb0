// Package account looks up the users and groups of a host, in its files first, then by getent, which knows directories
// such as LDAP.
package account

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// User is a line of passwd.
type User struct {
	Name     string
	Password string
	UID, GID int
	Gecos    string
	Home     string
	Shell    string
}

// Group is a line of group.
type Group struct {
	Name    string
	GID     int
	Members []string
}

// DB is where accounts are kept. The zero DB is the host's.
type DB struct {
	Dir string // instead of /etc; getent is not asked then
}

func (d DB) path(name string) string {
	if d.Dir != "" {
		return filepath.Join(d.Dir, name)
	}
	return filepath.Join("/etc", name)
}

// User finds a user by name, or by number when it is one.
func (d DB) User(ctx context.Context, name string) (User, bool) {
	f, ok := d.find(ctx, "passwd", name, 7)
	if !ok {
		return User{}, false
	}
	uid, err1 := strconv.Atoi(f[2])
	gid, err2 := strconv.Atoi(f[3])
	if err1 != nil || err2 != nil {
		return User{}, false
	}
	return User{Name: f[0], Password: f[1], UID: uid, GID: gid, Gecos: f[4], Home: f[5], Shell: f[6]}, true
}

// Group finds a group by name, or by number when it is one.
func (d DB) Group(ctx context.Context, name string) (Group, bool) {
	f, ok := d.find(ctx, "group", name, 4)
	if !ok {
		return Group{}, false
	}
	return group(f)
}

func group(f []string) (Group, bool) {
	gid, err := strconv.Atoi(f[2])
	members := slices.DeleteFunc(strings.Split(f[3], ","), func(s string) bool { return s == "" })
	return Group{Name: f[0], GID: gid, Members: members}, err == nil
}

// Shadow gives the fields of a user's line of shadow; ok is false when there is none, or it may not be read.
func (d DB) Shadow(name string) (fields []string, ok bool) {
	return d.scan("shadow", 9, func(f []string) bool { return f[0] == name })
}

// GroupsOf are the names of the groups that list a user as a member, sorted; the primary group is not among them.
func (d DB) GroupsOf(name string) []string {
	var names []string
	d.scan("group", 4, func(f []string) bool {
		if g, ok := group(f); ok && slices.Contains(g.Members, name) {
			names = append(names, g.Name)
		}
		return false
	})
	slices.Sort(names)
	return slices.Compact(names)
}

// UserName is the name of a number, or the number itself.
func (d DB) UserName(uid int) string {
	text := strconv.Itoa(uid)
	if f, ok := d.scan("passwd", 7, func(f []string) bool { return f[2] == text }); ok {
		return f[0]
	}
	return text
}

// GroupName is the name of a number, or the number itself.
func (d DB) GroupName(gid int) string {
	text := strconv.Itoa(gid)
	if f, ok := d.scan("group", 4, func(f []string) bool { return f[2] == text }); ok {
		return f[0]
	}
	return text
}

// UID gives the number of a user; a number is taken as it is.
func (d DB) UID(ctx context.Context, name string) (int, bool) {
	if u, ok := d.User(ctx, name); ok {
		return u.UID, true
	}
	return number(name)
}

// GID gives the number of a group; a number is taken as it is.
func (d DB) GID(ctx context.Context, name string) (int, bool) {
	if g, ok := d.Group(ctx, name); ok {
		return g.GID, true
	}
	return number(name)
}

func number(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

func (d DB) find(ctx context.Context, file, key string, fields int) ([]string, bool) {
	if f, ok := d.scan(file, fields, func(f []string) bool { return f[0] == key }); ok {
		return f, true
	}
	if _, isNumber := number(key); isNumber {
		if f, ok := d.scan(file, fields, func(f []string) bool { return f[2] == key }); ok {
			return f, true
		}
	}
	if d.Dir != "" || key == "" || strings.HasPrefix(key, "-") {
		return nil, false
	}
	out, err := exec.CommandContext(ctx, "getent", file, key).Output()
	if err != nil {
		return nil, false
	}
	f := strings.Split(strings.TrimSpace(string(out)), ":")
	return f, len(f) >= fields
}

func (d DB) scan(file string, fields int, match func([]string) bool) ([]string, bool) {
	in, err := os.Open(d.path(file))
	if err != nil {
		return nil, false
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		f := strings.Split(lines.Text(), ":")
		if len(f) >= fields && match(f) {
			return f, true
		}
	}
	return nil, false
}
