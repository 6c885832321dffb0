package file

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/state"
)

var managedParams = []string{ //nolint:gochecknoglobals // a table
	"source", "source_hash", "source_hash_name", "keep_source", "user", "group", "mode", "attrs", "template", "makedirs", "dir_mode",
	"context", "replace", "defaults", "backup", "show_changes", "show_diff", "create", "contents", "tmp_dir", "tmp_ext",
	"contents_pillar", "contents_grains", "contents_newline", "contents_delimiter", "encoding", "encoding_errors", "allow_empty",
	"follow_symlinks", "check_cmd", "skip_verify", "selinux", "use_etag", "owner", "file_mode", "saltenv",
}

// readManaged understands the arguments of file.managed; stop says that the result is known already.
func readManaged(ctx context.Context, c *state.Call) (m *managed, res state.Result, stop bool) {
	a := args.Of(c)
	m = &managed{
		c: c, name: expand(c.Name),
		dirMode:  a.Mode("dir_mode"),
		source:   readSource(a),
		template: readTemplate(a),
		makedirs: a.Bool("makedirs", false), follow: a.Bool("follow_symlinks", true),
		show:   a.Bool("show_changes", a.Bool("show_diff", !a.Has("contents_pillar"))),
		backup: a.Text("backup", ""), check: a.Text("check_cmd", ""), ext: a.Text("tmp_ext", ""), tempDir: a.Text("tmp_dir", ""),
	}
	mode, create, replaced := a.Mode("mode"), a.Bool("create", true), a.Bool("replace", true)
	if m.keep = mode == "keep"; m.keep {
		mode = ""
	}
	p, unknown := owner(ctx, a)
	m.perms = p
	m.perms.mode = mode
	contents, problem := readContents(a, c)
	if res, bad := a.Bad(); bad {
		return nil, res, true
	}
	switch given := len(m.source.from) > 0 || len(m.source.candidates) > 0; {
	case m.name == "":
		problem = "Destination file name is required"
	case problem != "":
	case given && contents != nil:
		problem = "'source' cannot be used in combination with 'contents', 'contents_pillar', or 'contents_grains'"
	case m.keep && contents != nil:
		problem = "Mode preservation cannot be used in combination with 'contents', 'contents_pillar', or 'contents_grains'"
	case !given && contents == nil:
		m.bare = true
	}
	if problem != "" {
		return nil, args.Failed("%s", problem), true
	}
	if contents != nil && m.template.engine != "" {
		text, err := m.template.about("name", m.name, "source", a.Get("source")).text(ctx, c.Host, m.name, *contents)
		if err != nil {
			return nil, args.Failed("%v", err), true
		}
		contents = &text
	}
	m.contents = contents
	if !create && !isFile(m.name) {
		return nil, args.Fine("File %s is not present and is not set for creation", m.name), true
	}
	if !replaced && exists(m.name) {
		m.bare = true
	}
	if problem := m.misplaced(unknown); problem != "" {
		return nil, args.Failed("%s", problem), true
	}
	return m, state.Result{}, false
}

func (m *managed) misplaced(unknown string) string {
	switch {
	case unknown != "":
		return unknown
	case !filepath.IsAbs(m.name):
		return fmt.Sprintf("Specified file %s is not an absolute path", m.name)
	case isDir(m.name):
		return fmt.Sprintf("Specified target %s is a directory", m.name)
	}
	return ""
}

// readContents gives what contents, contents_pillar or contents_grains say; nil when none is given.
func readContents(a *args.Reader, c *state.Call) (text *string, problem string) {
	var value any
	label, given := "'contents'", 0
	if v := a.Get("contents"); v != nil {
		value = v
		given++
	}
	delimiter := a.Text("contents_delimiter", ":")
	for _, from := range []struct {
		arg, what string
		values    *data.Map
	}{{"contents_pillar", "Pillar", c.Host.Pillar}, {"contents_grains", "Grain", c.Host.Grains}} {
		key := a.Text(from.arg, "")
		if key == "" {
			continue
		}
		given++
		found, ok := data.Traverse(from.values, key, delimiter)
		if !ok && problem == "" {
			problem = fmt.Sprintf("%s %s does not exist", from.what, key)
		}
		value, label = found, from.arg+" "+key
	}
	newline, allowEmpty := a.Bool("contents_newline", true), a.Bool("allow_empty", true)
	switch {
	case given > 1:
		return nil, "Only one of 'contents', 'contents_pillar', and 'contents_grains' is permitted"
	case given == 0 || problem != "":
		return nil, problem
	case !allowEmpty && (value == nil || value == ""):
		return nil, label + " value would result in empty contents. Set allow_empty to True to allow the managed file to be empty."
	}
	all := joined(value, newline)
	return &all, ""
}

// joined makes the text of a file of a value: lines as they are, and a newline at the end if wanted.
func joined(value any, newline bool) string {
	parts, ok := value.([]any)
	if !ok {
		parts = []any{value}
	}
	var b strings.Builder
	for _, part := range parts {
		text := args.Text(part)
		if strings.ContainsRune(text, 0) { // binary: as it is
			b.WriteString(text)
			continue
		}
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
		b.WriteString(text)
		if text != "" && !strings.HasSuffix(text, "\n") {
			b.WriteByte('\n')
		}
	}
	if !newline {
		return strings.TrimRight(b.String(), "\n\r")
	}
	return b.String()
}
