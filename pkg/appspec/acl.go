package appspec

import (
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/yaml"
)

// ACL is one entry of an access control list.
type ACL struct {
	Default bool   // what is made in the directory gets it
	Type    string // user, group, mask or other
	Name    string // of the user or group; empty for the owner and for mask and other
	Perms   string // such as r-x
}

// String gives the entry as setfacl takes it.
func (a ACL) String() string {
	text := a.Type + ":" + a.Name + ":" + a.Perms
	if a.Default {
		return "default:" + text
	}
	return text
}

func (p *parser) acls(n *yaml.Node) []ACL {
	var out []ACL
	for _, item := range p.list(n, "acls") {
		if item.Kind() != yaml.Scalar {
			p.fail(item, "Invalid acl entry: it must be text such as u:deploy:rw, found %s", item.Kind())
			continue
		}
		if a, complaint := parseACL(item.Text()); complaint != "" {
			p.fail(item, "%s", complaint)
		} else {
			out = append(out, a)
		}
	}
	return out
}

// parseACL reads [d[efault]:][[u|g|m|o]:]name:perms. A complaint is empty when there is none.
func parseACL(text string) (ACL, string) {
	invalid := "Invalid acl entry (" + text + "): it must be like u:deploy:rw or d:g:web:rx"
	parts := strings.Split(text, ":")
	perms := parts[len(parts)-1]
	parts = parts[:len(parts)-1]
	var a ACL
	if len(parts) > 1 && (parts[0] == "d" || parts[0] == "default") {
		a.Default, parts = true, parts[1:]
	}
	if len(parts) < 1 || len(parts) > 2 {
		return a, invalid
	}
	if len(parts) == 2 {
		if a.Type = aclType(parts[0]); a.Type == "" {
			return a, invalid
		}
	}
	a.Name = parts[len(parts)-1]
	switch kind := aclType(a.Name); {
	case a.Type == "" && (kind == "mask" || kind == "other"):
		a.Type, a.Name = kind, ""
	case a.Type == "":
		a.Type = "user"
	}
	switch {
	case (a.Type == "mask" || a.Type == "other") && a.Name != "", strings.ContainsAny(a.Name, ", \t\n\x00"):
		return a, invalid
	case !a.Default && a.Type != "mask" && a.Name == "":
		return a, "Use mode to set the base acl entry (" + text + ")"
	}
	var bad string
	if a.Perms, bad = aclPerms(perms); bad != "" {
		return a, "the access control list (ACL) named " + text + " contains an invalid character (" + bad + ")"
	}
	return a, ""
}

func aclType(text string) string {
	for _, kind := range []string{"user", "group", "mask", "other"} {
		if text == kind || text == kind[:1] {
			return kind
		}
	}
	return ""
}

// aclPerms takes one digit, or letters in any order.
func aclPerms(text string) (perms, bad string) {
	if len(text) == 1 && text[0] >= '0' && text[0] <= '7' {
		return PermBits(text[0] - '0'), ""
	}
	var bits byte
	for _, c := range text {
		switch c {
		case 'r':
			bits |= 4
		case 'w':
			bits |= 2
		case 'x':
			bits |= 1
		case '-':
		default:
			return "", string(c)
		}
	}
	return PermBits(bits), ""
}

// PermBits writes three bits as an ACL does.
func PermBits(bits byte) string {
	out := []byte("---")
	for i, c := range []byte("rwx") {
		if bits&(4>>i) != 0 {
			out[i] = c
		}
	}
	return string(out)
}

// FullACL adds what setfacl --set needs beside the entries: the base entries, from the mode that the file has.
func FullACL(entries []ACL, mode Mode) []ACL {
	owner, group, other := PermBits(byte(mode>>6&7)), PermBits(byte(mode>>3&7)), PermBits(byte(mode&7))
	full := append(slices.Clone(entries), ACL{Type: "user", Perms: owner}, ACL{Type: "group", Perms: group}, ACL{Type: "other", Perms: other})
	if hasACL(full, false, isNamed) && !hasACL(full, false, isType("mask")) {
		full = append(full, ACL{Type: "mask", Perms: group})
	}
	if !hasACL(full, true, func(ACL) bool { return true }) {
		return full
	}
	for kind, perms := range map[string]string{"user": owner, "group": group, "other": other} {
		if !hasACL(full, true, isType(kind)) {
			full = append(full, ACL{Default: true, Type: kind, Perms: perms})
		}
	}
	if hasACL(full, true, isNamed) && !hasACL(full, true, isType("mask")) {
		i := slices.IndexFunc(full, func(a ACL) bool { return a.Default && isType("group")(a) })
		full = append(full, ACL{Default: true, Type: "mask", Perms: full[i].Perms})
	}
	return full
}

func isNamed(a ACL) bool { return a.Name != "" }

func isType(kind string) func(ACL) bool {
	return func(a ACL) bool { return a.Type == kind && a.Name == "" }
}

func hasACL(list []ACL, forDefault bool, is func(ACL) bool) bool {
	return slices.ContainsFunc(list, func(a ACL) bool { return a.Default == forDefault && is(a) })
}
