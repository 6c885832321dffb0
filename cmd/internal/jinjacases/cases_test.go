package jinjacases_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	// What the built minion is made of: results of tests are kept until that changes.
	_ "github.com/brine-deploy/brine/cmd/internal/service"
	_ "github.com/brine-deploy/brine/minion"
	_ "github.com/brine-deploy/brine/minion/caller"
	_ "github.com/brine-deploy/brine/minion/local"
)

// recorded is testdata/cases.json: the context that all templates see, and the templates with what Salt made of them.
type recorded struct {
	Grains, Pillar, Opts, SLS, Saltenv json.RawMessage
	Cases                              []struct {
		N              int
		Template, Pipe string
		OK             bool
		Rendered       string
		Data           any
		Class          string   `json:"error_class"`
		Any            []string `json:"error_contains_any"`
		Line           *int
	}
}

type answer struct {
	OK       bool
	Rendered string
	Data     any
	Errors   []struct {
		Class, Message, Snippet string
		Line, Column            int
	}
}

// TestTemplatesRenderAsInSalt runs recorded answers of real Salt against the built minion's render command.
func TestTemplatesRenderAsInSalt(t *testing.T) {
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var all recorded
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "brine-minion")
	sources, err := filepath.Glob("../../brine-minion/*.go") // nothing can import them
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources {
		if _, err := os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/brine-minion")
	build.Dir = "../../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	context := write(t, "context.json", string(text)) // its other keys mean nothing
	for _, c := range all.Cases {
		template := write(t, "template", c.Template)
		cmd := exec.CommandContext(t.Context(), binary, "render", "--template", template, "--pipe", c.Pipe,
			"--context", context, "--file-root", "testdata/files", "--output", "json")
		out, err := cmd.Output()
		if code := cmd.ProcessState.ExitCode(); code != map[bool]int{true: 0, false: 1}[c.OK] {
			t.Errorf("%d %q: exit code %d, %v: %s", c.N, c.Template, code, err, out)
		}
		var got answer
		if err := json.Unmarshal(out, &got); err != nil {
			t.Errorf("%d %q: %v: %s", c.N, c.Template, err, out)
			continue
		}
		if c.OK {
			if !got.OK || got.Rendered != c.Rendered || c.Data != nil && !reflect.DeepEqual(got.Data, c.Data) {
				t.Errorf("%d %q: got %+v; want %q, %v", c.N, c.Template, got, c.Rendered, c.Data)
			}
			continue
		}
		if len(got.Errors) == 0 {
			t.Errorf("%d %q: no error", c.N, c.Template)
			continue
		}
		e := got.Errors[0]
		// The place stands in fields of its own here, not in the message.
		said := slices.ContainsFunc(c.Any, func(s string) bool {
			words, _, _ := strings.Cut(s, "\n  in ")
			return strings.Contains(e.Message, words)
		})
		if e.Class != c.Class || !said || c.Line != nil && e.Line != *c.Line || e.Column == 0 || e.Snippet == "" && c.Class != "yaml error" {
			t.Errorf("%d %q: got %+v; want %s, one of %q", c.N, c.Template, e, c.Class, c.Any)
		}
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
