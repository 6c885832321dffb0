package all_test

import (
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/registry"
	"github.com/brine-deploy/brine/returners"
	"github.com/brine-deploy/brine/returners/all"
)

func TestListIsSortedAndEachHasHelp(t *testing.T) {
	list := all.List()
	if !slices.IsSortedFunc(list, func(a, b registry.Plugin[returners.Returner]) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted")
	}
	for _, p := range list {
		if p.Name == "" || p.Help == "" || p.New == nil {
			t.Errorf("%+v", p)
		}
	}
}

func TestEachReturnerTakesItsSectionOfTheFile(t *testing.T) {
	for name, text := range map[string]string{
		"file":       `{path: /var/log/brine/records.jsonl, mode: "0640"}`,
		"prometheus": `{path: /metrics}`,
		"zmq":        `{listen: "127.0.0.1:0", key: "` + filepath.Join(t.TempDir(), "zmq.key") + `", any: true}`,
		"webhook":    `{url: "https://ci.example/hook", secret: 12345, timeout: 5s}`,
	} {
		section, err := config.NewSection(name, text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := all.List().New(name, section, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c, ok := r.(io.Closer); ok {
			c.Close()
		}
		section, err = config.NewSection(name, `{pfad: x}`)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := all.List().New(name, section, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "pfad") {
			t.Errorf("%s took an unknown key: %v", name, err)
		}
	}
}
