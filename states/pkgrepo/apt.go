package pkgrepo

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/fetch"
	"github.com/brine-deploy/brine/states/state"
)

// source is one line of apt's lists.
type source struct {
	kind, uri, dist string
	options, comps  []string
	off             bool
}

var line = regexp.MustCompile(`^(#\s*)?(deb|deb-src)\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^\s#]+)*)\s*(?:#.*)?$`)

func parse(text string) (source, bool) {
	m := line.FindStringSubmatch(strings.TrimSpace(text))
	if m == nil {
		return source{}, false
	}
	s := source{kind: m[2], options: strings.Fields(m[3]), uri: m[4], dist: m[5], comps: strings.Fields(m[6]), off: m[1] != ""}
	slices.Sort(s.options)
	return s, strings.Contains(s.uri, ":") || strings.HasPrefix(s.uri, "/")
}

func (s source) String() string {
	var b strings.Builder
	if s.off {
		b.WriteString("# ")
	}
	b.WriteString(s.kind)
	if len(s.options) > 0 {
		b.WriteString(" [" + strings.Join(s.options, " ") + "]")
	}
	b.WriteString(" " + s.uri + " " + s.dist)
	for _, one := range s.comps {
		b.WriteString(" " + one)
	}
	return b.String()
}

// same reports whether two lines speak of the same repository.
func (s source) same(o source) bool {
	return s.kind == o.kind && strings.TrimRight(s.uri, "/") == strings.TrimRight(o.uri, "/") && s.dist == o.dist
}

func (s source) equal(o source) bool {
	return s.same(o) && s.off == o.off && slices.Equal(s.options, o.options) && slices.Equal(slices.Sorted(slices.Values(s.comps)), slices.Sorted(slices.Values(o.comps)))
}

// files are apt's lists.
func (f family) files() []string {
	found, _ := filepath.Glob(filepath.Join(f.etc, "apt/sources.list.d/*.list")) // the pattern is right
	return append([]string{filepath.Join(f.etc, "apt/sources.list")}, found...)
}

// find gives the list that has a repository.
func (f family) find(s source) (file, text string) {
	for _, file := range f.files() {
		text, err := conffile.Read(file)
		if err != nil {
			continue
		}
		for one := range strings.Lines(text) {
			if have, ok := parse(one); ok && have.same(s) {
				return file, text
			}
		}
	}
	return "", ""
}

func (f family) readSource(c *state.Call, a *args.Reader) source {
	s, ok := parse(c.Name)
	if !ok || strings.ContainsAny(c.Name, "\r\n") {
		a.Wrong("name: %q is no line of apt's lists (deb URL DIST COMPONENT...)", c.Name)
	}
	if dist := a.Text("dist", ""); dist != "" {
		s.dist = dist
	}
	if comps := a.Commas("comps"); len(comps) > 0 {
		s.comps = comps
	}
	for _, one := range []struct{ option, value string }{
		{"arch=", strings.Join(a.Commas("architectures"), ",")}, {"signed-by=", a.Text("signedby", "")},
	} {
		if one.value != "" {
			s.options = slices.DeleteFunc(s.options, func(o string) bool { return strings.HasPrefix(o, one.option) })
			s.options = append(s.options, one.option+one.value)
		}
	}
	slices.Sort(s.options)
	s.off = s.off || a.Bool("disabled", !a.Bool("enabled", true))
	return s
}

func (f family) apt(ctx context.Context, c *state.Call, a *args.Reader, present bool) (change, string) {
	want := f.readSource(c, a)
	file, clean := a.Text("file", ""), a.Bool("clean_file", false)
	keyURL, keyText := a.Text("key_url", ""), a.Text("key_text", "")
	if file != "" && !filepath.IsAbs(file) {
		a.Wrong("file: %q is no absolute path", file)
	}
	f.readRest(a)
	if _, bad := a.Bad(); bad {
		return change{}, ""
	}
	at, _ := f.find(want)
	if !present {
		if file != "" && at != file {
			return change{}, ""
		}
		return remove(at, want), ""
	}
	switch {
	case file == "" && at != "":
		file = at
	case file == "":
		file = filepath.Join(f.etc, "apt/sources.list")
	}
	text, err := conffile.Read(file)
	if err != nil {
		return change{}, err.Error()
	}
	todo := change{file: file, before: text, changes: data.NewMap()}
	if todo.after = with(text, want); clean {
		todo.after = with("", want)
		if strings.TrimSpace(text) == strings.TrimSpace(todo.after) {
			todo.after = text
		}
	}
	if todo.after != text {
		todo.changes.Set("repo", c.Name)
		todo.changes.Set("file", file)
	}
	todo.key, err = f.key(ctx, c.Host, want, keyURL, keyText)
	if err != nil {
		return change{}, err.Error()
	}
	if todo.key != nil {
		todo.changes.Set("key", todo.key.file)
	}
	return todo, ""
}

// readRest reads what apt has no use for, so that what is wrong with it shows.
func (f family) readRest(a *args.Reader) {
	for _, name := range []string{"humanname", "keyid", "comments"} {
		a.List(name)
	}
}

func with(text string, want source) string {
	var b strings.Builder
	done := false
	for one := range strings.Lines(text) {
		have, ok := parse(one)
		switch {
		case !ok || !have.same(want):
			b.WriteString(one)
			continue
		case !done && have.equal(want):
			b.WriteString(one)
		case !done:
			b.WriteString(want.String() + "\n")
		}
		done = true
	}
	if !done {
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(want.String() + "\n")
	}
	return b.String()
}

// remove takes a repository out of its list, and the list away when nothing is left in it.
func remove(file string, want source) change {
	if file == "" {
		return change{}
	}
	text, err := conffile.Read(file)
	if err != nil {
		return change{}
	}
	var b strings.Builder
	for one := range strings.Lines(text) {
		if have, ok := parse(one); !ok || !have.same(want) {
			b.WriteString(one)
		}
	}
	left := strings.TrimSpace(b.String()) != ""
	return change{file: file, before: text, after: b.String(), remove: !left && filepath.Ext(filepath.Dir(file)) == ".d"}
}

// key is a repository's public key, to be written to a file.
type key struct {
	file string
	text []byte
}

// key fetches the key that a user names; nil when it is there already, or none is named.
func (f family) key(ctx context.Context, h *state.Host, want source, keyURL, keyText string) (*key, error) {
	if keyURL == "" && keyText == "" {
		return nil, nil
	}
	text := []byte(keyText)
	if keyURL != "" {
		blob, err := fetch.Get(ctx, h, keyURL, fetch.Sum{})
		if err != nil {
			return nil, err
		}
		defer blob.Close()
		if text, err = blob.Bytes(1 << 20); err != nil {
			return nil, err
		}
	}
	armored := bytes.Contains(text, []byte("-----BEGIN PGP"))
	file := ""
	for _, one := range want.options {
		if path, ok := strings.CutPrefix(one, "signed-by="); ok {
			file = path
		}
	}
	if file == "" {
		name := regexp.MustCompile(`[^A-Za-z0-9.]+`).ReplaceAllString(want.uri, "-")
		file = filepath.Join(f.etc, "apt/trusted.gpg.d", strings.Trim(name, "-.")+".gpg")
		if armored {
			file = strings.TrimSuffix(file, ".gpg") + ".asc"
		}
	}
	if armored && !strings.HasSuffix(file, ".asc") {
		plain, err := dearmor(text)
		if err != nil {
			return nil, err
		}
		text = plain
	}
	if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, text) {
		return nil, nil
	}
	return &key{file, text}, nil
}

func (k *key) save() error {
	if err := os.MkdirAll(filepath.Dir(k.file), 0o755); err != nil { //nolint:gosec // apt's own user must read it
		return fmt.Errorf("write key: %w", err)
	}
	return conffile.Write(k.file, string(k.text))
}

// dearmor gives the bytes of a key in ASCII armor.
func dearmor(text []byte) ([]byte, error) {
	_, rest, ok := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
	body, _, ended := strings.Cut(rest, "-----END PGP")
	if _, after, headed := strings.Cut(body, "\n\n"); headed {
		body = after
	}
	if at := strings.LastIndex(body, "\n="); at >= 0 { // the checksum
		body = body[:at]
	}
	plain, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(strings.TrimSpace(body), "\n", ""))
	if !ok || !ended || err != nil {
		return nil, fmt.Errorf("the key is no OpenPGP public key in ASCII armor")
	}
	return plain, nil
}
