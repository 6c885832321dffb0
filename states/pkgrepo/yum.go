package pkgrepo

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
)

var repoID = regexp.MustCompile(`^[A-Za-z0-9._:-]+$`)

// yum plans a section of a file of yum.repos.d.
func (f family) yum(c *state.Call, a *args.Reader, present bool) (change, string) {
	if !repoID.MatchString(c.Name) {
		a.Wrong("name: %q is no id of a repository", c.Name)
	}
	values := data.NewMap("name", a.Text("humanname", c.Name))
	for _, name := range []string{"baseurl", "mirrorlist", "metalink", "gpgkey", "priority", "skip_if_unavailable"} {
		if a.Has(name) {
			values.Set(name, a.Text(name, ""))
		}
	}
	values.Set("enabled", bit(a.Bool("enabled", !a.Bool("disabled", false))))
	for _, name := range []string{"gpgcheck", "sslverify", "repo_gpgcheck"} {
		if a.Has(name) {
			values.Set(name, bit(a.Bool(name, true)))
		}
	}
	file := a.Text("file", filepath.Join(f.etc, "yum.repos.d", c.Name+".repo"))
	for k, v := range values.All() {
		if strings.ContainsAny(args.Text(v), "\r\n") {
			a.Wrong("%s: it has a newline", args.Text(k))
		}
	}
	if !filepath.IsAbs(file) {
		a.Wrong("file: %q is no absolute path", file)
	}
	f.readRest(a)
	if _, bad := a.Bad(); bad {
		return change{}, ""
	}
	text, err := conffile.Read(file)
	if err != nil {
		return change{}, err.Error()
	}
	todo := change{file: file, before: text, changes: data.NewMap()}
	rest, old := cutSection(text, c.Name)
	if !present {
		todo.after = rest
		todo.remove = old != "" && strings.TrimSpace(rest) == ""
		return todo, ""
	}
	if _, ok := values.Get("baseurl"); !ok && !a.Has("mirrorlist") && !a.Has("metalink") && old == "" {
		return change{}, "one of baseurl, mirrorlist and metalink is needed"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", c.Name)
	for k, v := range values.All() {
		fmt.Fprintf(&b, "%s=%s\n", args.Text(k), args.Text(v))
	}
	if strings.TrimSpace(old) == strings.TrimSpace(b.String()) {
		todo.after = text
		return todo, ""
	}
	if rest != "" && !strings.HasSuffix(rest, "\n") {
		rest += "\n"
	}
	todo.after = rest + b.String()
	todo.changes.Set("repo", c.Name)
	todo.changes.Set("file", file)
	return todo, ""
}

func bit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

// cutSection splits a file into one of its sections and the rest.
func cutSection(text, name string) (rest, section string) {
	var in, out strings.Builder
	inside := false
	for one := range strings.Lines(text) {
		if trimmed := strings.TrimSpace(one); strings.HasPrefix(trimmed, "[") {
			inside = trimmed == "["+name+"]"
		}
		if inside {
			in.WriteString(one)
		} else {
			out.WriteString(one)
		}
	}
	return out.String(), in.String()
}
