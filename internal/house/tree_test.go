package house_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// walk calls look with each file that belongs to the tree.
func walk(t *testing.T, look func(path string, data []byte)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != top && strings.HasPrefix(name, ".") && name != ".ci" || name == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		look(rel, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	walk(t, func(path string, data []byte) {
		if filepath.Ext(path) != ".go" {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, data, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parse %s: %v", path, err)
			return
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has a func init(): list things in a table, and start them in main", path)
			}
		}
	})
}

func TestNoRegistryIsNamed(t *testing.T) {
	// Where modules and packages come from is the business of the machine that builds.
	registries := regexp.MustCompile(`(?i)\b(proxy\.golang|sum\.golang|registry\.npmjs|registry\.yarnpkg|pypi|files\.pythonhosted|docker|ghcr|quay|deb\.debian|archive\.ubuntu)` +
		`\.(org|io|com)\b`)
	walk(t, func(path string, data []byte) {
		if bytes.IndexByte(data[:min(len(data), 512)], 0) >= 0 {
			return
		}
		if at := registries.FindIndex(data); at != nil {
			t.Errorf("%s:%d names %s", path, 1+bytes.Count(data[:at[0]], []byte("\n")), data[at[0]:at[1]])
		}
	})
}

func TestTheReadmeSaysOnlyWhatTheMakefileHas(t *testing.T) {
	verbs := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		verbs[m[1]] = true
	}
	for _, file := range []string{"README.md", "docs/building.md"} {
		for _, m := range regexp.MustCompile("(?m)(?:`|^    |^\\$ )make ([a-z-]+)").FindAllStringSubmatch(read(t, file), -1) {
			if !verbs[m[1]] {
				t.Errorf("%s says make %s", file, m[1])
			}
		}
	}
	for _, verb := range []string{"build", "test", "lint", "fuzz", "bench", "demo", "deps", "clean", "help"} {
		if !verbs[verb] {
			t.Errorf("make %s is missing", verb)
		}
	}
}

func TestTheReadmeNamesOnlyCommandsThatExist(t *testing.T) {
	for _, file := range []string{"README.md", "docs/exit-codes.md", "docs/configuration.md"} {
		for _, m := range regexp.MustCompile("(?m)(?:`|^    )brine ([a-z]+)").FindAllStringSubmatch(read(t, file), -1) {
			if _, err := os.Stat(filepath.Join(root(t), "cmd/brine/testdata/help/brine_"+m[1]+".txt")); err != nil {
				t.Errorf("%s says brine %s: %v", file, m[1], err)
			}
		}
	}
}
