package exclude

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func cases() map[string][]string {
	return map[string][]string{
		"*.log":        {"a.log", "var/b.log"},
		"/var":         {"var", "var/b.log", "var/cache", "var/cache/x"},
		"var/":         {"var", "var/b.log", "var/cache", "var/cache/x", "x/var", "x/var/y"},
		"/a.log/":      nil,
		"var/*":        {"var/b.log", "var/cache", "var/cache/x", "x/var/y"},
		"/**/y":        {"x/var/y"},
		"x/**":         {"x/var", "x/var/y"},
		"x/***":        {"x", "x/var", "x/var/y"},
		"[a-c].l?g":    {"a.log", "var/b.log"},
		"[!a].log":     {"var/b.log"},
		"/x/var/y":     {"x/var/y"},
		`\[odd\] name`: {"[odd] name"},
		"nothing":      nil,
	}
}

func tree() []string {
	return []string{"[odd] name", "a.log", "var/", "var/b.log", "var/cache/", "var/cache/x", "x/", "x/var/", "x/var/y"}
}

func TestPatternsMeanWhatRsyncsMean(t *testing.T) {
	dir := t.TempDir()
	for _, name := range tree() {
		file := filepath.Join(dir, name)
		if strings.HasSuffix(name, "/") {
			must(t, os.Mkdir(file, 0o755))
			continue
		}
		must(t, os.WriteFile(file, nil, 0o600))
	}
	_, missing := exec.LookPath("rsync")
	for text, want := range cases() {
		patterns, err := Compile([]string{text})
		must(t, err)
		var got []string
		for _, name := range tree() {
			clean, isDir := strings.CutSuffix(name, "/")
			if patterns.Excludes(clean, isDir) {
				got = append(got, clean)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s excludes %q, want %q", text, got, want)
		}
		if missing == nil {
			if real := rsync(t, dir, text); !slices.Equal(real, want) {
				t.Errorf("rsync: %s excludes %q, want %q", text, real, want)
			}
		}
	}
}

// rsync tells what the program itself leaves out.
func rsync(t *testing.T, dir, text string) (out []string) {
	list, err := exec.Command("rsync", "-rn", "--out-format=%n", "--exclude="+text, dir+"/", filepath.Join(dir, "to")+"/").Output()
	must(t, err)
	sent := strings.Split(string(list), "\n")
	for _, name := range tree() {
		if !slices.Contains(sent, name) {
			out = append(out, strings.TrimSuffix(name, "/"))
		}
	}
	return out
}

func TestBadPatternsAreRefused(t *testing.T) {
	for _, text := range []string{"", "/", "[a", "+ x", "- x", "a\nb", "["} {
		if Check(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func FuzzPatterns(f *testing.F) {
	f.Add("*.log", "a/b.log")
	f.Fuzz(func(_ *testing.T, text, name string) {
		if p, err := Compile([]string{text}); err == nil {
			p.Excludes(name, true)
		}
	})
}
