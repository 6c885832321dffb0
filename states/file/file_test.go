package file_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/file"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestFunctionsKeepToTheSuite(t *testing.T) {
	dir, root := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	put := func(name, text string) func(t *testing.T) {
		return func(t *testing.T) { t.Helper(); write(t, at(name), text) }
	}
	write(t, filepath.Join(root, "tree/a.conf"), "a\n")
	write(t, filepath.Join(root, "tree/sub/b"), "b\n")
	host := statetest.Host(t, root)
	examples := []statetest.Example{
		{Function: "managed", Name: at("m/contents"), Args: data.NewMap("contents", []any{"a", int64(3)}, "makedirs", true, "mode", int64(640))},
		{Function: "managed", Name: at("source"), Args: data.NewMap("source", "salt://tree/a.conf", "mode", "keep")},
		{Function: "directory", Name: at("d/e"), Args: data.NewMap("makedirs", true, "mode", "0750")},
		{
			Function: "directory", Name: at("cleaned"), Args: data.NewMap("clean", true), Prepare: put("cleaned/stray/x", ""),
			Requires: []state.Required{{State: "file", Function: "managed", Name: at("cleaned/kept")}},
		},
		{Function: "recurse", Name: at("tree"), Args: data.NewMap("source", "salt://tree", "clean", true), Prepare: put("tree/stray", "")},
		{Function: "symlink", Name: at("l/link"), Args: data.NewMap("target", "../source", "makedirs", true)},
		{Function: "absent", Name: at("gone"), Prepare: put("gone/x/y", "")},
		{Function: "exists", Name: dir, Idle: true},
		{Function: "missing", Name: at("never"), Idle: true},
		{Function: "touch", Name: at("t/touched"), Args: data.NewMap("makedirs", true), Restless: true},
		{Function: "rename", Name: at("renamed"), Args: data.NewMap("source", at("before")), Prepare: put("before", ""), Silent: true},
		{Function: "copy", Name: at("copied"), Args: data.NewMap("source", at("original")), Prepare: put("original", "x"), Silent: true},
		{Function: "append", Name: at("lines"), Args: data.NewMap("text", []any{"c", "a  b"}), Prepare: put("lines", "a b\n")},
		{Function: "prepend", Name: at("lines2"), Args: data.NewMap("text", "c"), Prepare: put("lines2", "a\n")},
		{Function: "serialize", Name: at("s.yaml"), Args: data.NewMap("dataset", data.NewMap("z", "yes", "m", "a\nb\n", "u", "é", "l", []any{int64(1), data.NewMap("k", nil)}), "serializer", "yaml")},
		{Function: "serialize", Name: at("s.json"), Args: data.NewMap("dataset", data.NewMap("z", "y"), "serializer", "json", "merge_if_exists", true), Prepare: put("s.json", `{"a": 1}`)},
		{Function: "keyvalue", Name: at("kv"), Args: data.NewMap("key_values", data.NewMap("A", "1", "B", "2"), "append_if_not_found", true, "uncomment", "#"), Prepare: put("kv", "#A=0\n C = 3\n")},
		{Function: "replace", Name: at("r"), Args: data.NewMap("pattern", "^b.*(?=x)", "repl", "y", "backup", false), Prepare: put("r", "a\nbbx\n")},
		{Function: "replace", Name: at("r2"), Args: data.NewMap("pattern", "^z", "repl", "z", "append_if_not_found", true), Prepare: put("r2", "a")},
		{Function: "line", Name: at("line"), Args: data.NewMap("mode", "ensure", "content", "opt", "after", "\\[main\\]"), Prepare: put("line", " [main]\nx\n")},
		{Function: "blockreplace", Name: at("block"), Args: data.NewMap("marker_start", "# {", "marker_end", "# }", "content", "in"), Prepare: put("block", "a\n# {\nold\n# }\nb\n")},
		{Function: "comment", Name: at("comment"), Args: data.NewMap("regex", "^deb-src"), Prepare: put("comment", "deb\ndeb-src x\n")},
		{Function: "uncomment", Name: at("uncomment"), Args: data.NewMap("regex", "deb"), Prepare: put("uncomment", "#deb\n")},
	}
	for i := range examples {
		examples[i].Host, examples[i].Touches = host, []string{dir}
	}
	statetest.Run(t, file.States(), examples...)
	for name, want := range map[string]string{
		"m/contents": "a\n3\n", "source": "a\n", "tree/sub/b": "b\n", "lines": "a b\nc\n", "lines2": "c\na\n", "r": "a\nyx\n", "r2": "a\nz\n", "line": " [main]\n opt\nx\n", "block": "a\n# {\nin\n# }\nb\n", "comment": "deb\n#deb-src x\n", "comment.bak": "deb\ndeb-src x\n",
		"uncomment": "deb\n", "kv": "A=1\n C = 3\nB=2\n",
		"s.yaml": "l:\n- 1\n- k: null\nm: 'a\n\n  b\n\n  '\nu: \"\\xE9\"\nz: 'yes'\n", "s.json": "{\n  \"a\": 1,\n  \"z\": \"y\"\n}\n",
	} {
		if got, err := os.ReadFile(at(name)); err != nil || string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
}
