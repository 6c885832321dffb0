package appspec

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// Permission is one entry of the section permissions: what is to hold for files and directories that the deployment makes.
type Permission struct {
	Object      string   // clean: a file of the deployment, or a directory
	Pattern     string   // of what is in the directory; ** for all of it, however deep
	Except      []string // patterns of what is left out
	Files       bool     // it is for files
	Directories bool     // it is for directories
	Owner       string   // a user's name; empty for no change
	Group       string   // a group's name; empty for no change
	Mode        *Mode    // nil for no change
	ACLs        []ACL    // empty for no change
	Context     *Context // nil for no change
	Pos         yaml.Pos
}

// Mode is a file mode as chmod takes it: the lower 12 bits.
type Mode uint16

// FileMode returns the mode in Go's bits.
func (m Mode) FileMode() fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	for bit, special := range map[Mode]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&bit != 0 {
			mode |= special
		}
	}
	return mode
}

// everything is the pattern of an entry that has none.
const everything = "**"

func (p *parser) permissions(doc *yaml.Node) {
	for _, n := range p.list(doc, "permissions") {
		if p.mapping(n, "an entry of permissions") {
			p.spec.Permissions = append(p.spec.Permissions, p.permission(n))
		}
	}
}

func (p *parser) permission(n *yaml.Node) Permission {
	perm := Permission{
		Object: p.text(n, "object"), Pattern: p.raw(n, "pattern"), Except: p.texts(n, "except"),
		Owner: p.raw(n, "owner"), Group: p.raw(n, "group"), Mode: p.mode(n), ACLs: p.acls(n), Context: p.context(n.Get("context")), Pos: n.Pos(),
	}
	if perm.Object == "" {
		p.fail(n, "a permission listed in the application specification file has no object value")
	} else {
		perm.Object = path.Clean(perm.Object)
	}
	if n.Get("pattern").Kind() == yaml.Null {
		perm.Pattern = everything
	}
	perm.Files, perm.Directories = p.types(n)
	return perm
}

func (p *parser) texts(n *yaml.Node, key string) []string {
	var out []string
	for _, item := range p.list(n, key) {
		if item.Kind() != yaml.Scalar {
			p.fail(item, "%s must be a list of texts, found %s", key, item.Kind())
			continue
		}
		out = append(out, item.Text())
	}
	return out
}

func (p *parser) types(n *yaml.Node) (files, directories bool) {
	if n.Get("type").Kind() == yaml.Null {
		return true, true
	}
	for _, item := range p.list(n, "type") {
		switch item.Text() {
		case "file":
			files = true
		case "directory":
			directories = true
		default:
			p.fail(item, "the entry specifies a permission for an object type not supported for permissions (%s): it must be file or directory", item.Text())
		}
	}
	return files, directories
}

// mode reads the digits as they are written. The agent reads 0644 without quotes as YAML 1.1 does, as an octal number, and
// its decimal digits as a mode: 0420.
func (p *parser) mode(n *yaml.Node) *Mode {
	v, text := n.Get("mode"), p.raw(n, "mode")
	if v.Kind() == yaml.Null {
		return nil
	}
	if len(text) < 1 || len(text) > 4 {
		p.fail(v, "the length of a permissions mode (%s) is invalid: it must have one to four digits", text)
		return nil
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '7' }); i >= 0 {
		p.fail(v, "the permissions mode (%s) contains an invalid character (%c): it must have digits from 0 to 7", text, []rune(text[i:])[0])
		return nil
	}
	bits, _ := strconv.ParseUint(text, 8, 16) // looked at above
	mode := Mode(bits)
	return &mode
}

// Reaches reports whether a name below the directory Object is meant.
func (p Permission) Reaches(name string) bool {
	below, ok := strings.CutPrefix(name, strings.TrimSuffix(p.Object, "/")+"/")
	if !ok || below == "" {
		return false
	}
	if slices.ContainsFunc(p.Except, func(pattern string) bool { return glob(pattern, below) }) {
		return false
	}
	return p.Pattern == everything || glob(p.Pattern, below)
}

// glob matches names without a slash only. All characters but * mean themselves.
func glob(pattern, name string) bool {
	if strings.Contains(name, "/") {
		return false
	}
	first, rest, stars := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !ok || !stars {
		return ok && name == ""
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		_, after, found := strings.Cut(name, part)
		if !found {
			return false
		}
		name = after
	}
	return strings.HasSuffix(name, last)
}
