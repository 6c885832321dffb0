package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/brine-deploy/brine/"

// listed is what go list tells of one package.
type listed struct {
	ImportPath string
	Imports    []string // without those of tests
	Deps       []string
	Standard   bool
	Module     *struct {
		Path string
		Main bool
	}
}

// own returns the package's folder, if it is one of this tree's.
func (l listed) own() (folder string, ok bool) { return strings.CutPrefix(l.ImportPath, module) }

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-deps", "-json=ImportPath,Imports,Deps,Standard,Module", "./...")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		switch err := dec.Decode(&l); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

// below reports whether folder is one of tops or below one.
func below(folder string, tops ...string) bool {
	return slices.ContainsFunc(tops, func(top string) bool { return folder == top || strings.HasPrefix(folder, top+"/") })
}

// mayImport holds which folders the packages of a folder may import. Imports point down only:
// cmd -> master | minion -> plug-ins -> pkg -> pkg/fleet.
var mayImport = map[string][]string{
	"pkg":              {"pkg"},
	"returners":        {"returners", "pkg"},
	"states":           {"states", "pkg"},
	"master":           {"master", "returners", "pkg"},
	"minion":           {"minion", "states", "pkg"},
	"cmd/internal":     {"cmd/internal", "pkg"},
	"cmd/brine":        {"cmd/brine", "cmd/internal", "pkg"},
	"cmd/brine-master": {"cmd/internal", "master", "pkg"},
	"cmd/brine-minion": {"cmd/internal", "minion", "pkg"},
}

func TestImportsPointDown(t *testing.T) {
	for _, l := range list(t) {
		folder, ok := l.own()
		if !ok || strings.HasSuffix(folder, "test") { // suites and fixtures are linked into no binary
			continue
		}
		for top, allowed := range mayImport {
			if !below(folder, top) {
				continue
			}
			for _, imported := range l.Imports {
				if to, ok := strings.CutPrefix(imported, module); ok && !below(to, allowed...) {
					t.Errorf("%s imports %s; it may import only %s", folder, to, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func TestABinaryHoldsOnlyWhatItsMachineMayKnow(t *testing.T) {
	never := map[string][]string{
		"master":           {"minion", "states"},
		"cmd/brine-master": {"minion", "states"},
		"minion":           {"master", "returners"},
		"cmd/brine-minion": {"master", "returners"},
		"cmd/brine":        {"master", "minion", "states", "returners"},
	}
	for _, l := range list(t) {
		folder, _ := l.own()
		for _, dep := range l.Deps {
			if to, ok := strings.CutPrefix(dep, module); ok && below(to, never[folder]...) {
				t.Errorf("%s depends on %s", folder, to)
			}
		}
	}
}

func TestTheVocabularyNeedsTheStandardLibraryOnly(t *testing.T) {
	all := list(t)
	standard := map[string]bool{"C": true, "unsafe": true}
	for _, l := range all {
		standard[l.ImportPath] = l.Standard
	}
	for _, l := range all {
		if folder, _ := l.own(); folder != "pkg/fleet" {
			continue
		}
		for _, dep := range l.Deps {
			if !standard[dep] {
				t.Errorf("pkg/fleet depends on %s", dep)
			}
		}
	}
}

// homes says where each third-party module may be imported, tests excepted. One home each: so it can be replaced,
// and nobody else knows of it. .golangci.yml says the same to those who write.
var homes = map[string][]string{
	"charm.land/bubbletea/v2":                                     {"cmd/brine"},
	"charm.land/lipgloss/v2":                                      {"cmd/brine"},
	"filippo.io/age":                                              {"pkg/archive"},
	"github.com/aws/aws-sdk-go-v2":                                {"pkg/store/s3", "master/balancer/elbv2", "master/cloud"},
	"github.com/aws/aws-sdk-go-v2/config":                         {"pkg/store/s3", "master/balancer/elbv2", "master/cloud"},
	"github.com/aws/aws-sdk-go-v2/credentials":                    {"pkg/store/s3", "master/balancer/elbv2", "master/cloud"},
	"github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager":     {"pkg/store/s3"},
	"github.com/aws/aws-sdk-go-v2/service/s3":                     {"pkg/store/s3"},
	"github.com/aws/aws-sdk-go-v2/service/autoscaling":            {"master/cloud"},
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch":             {"master/cloud"},
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2": {"master/balancer/elbv2"},
	"github.com/aws/smithy-go":                                    {"pkg/store/s3", "master/balancer/elbv2", "master/cloud"},
	"github.com/aymanbagabas/go-udiff":                            {"states/file"},
	"github.com/cenkalti/backoff/v5":                              {"pkg/store"},
	"github.com/coreos/go-systemd/v22":                            {"cmd/internal/service"},
	"github.com/dlclark/regexp2/v2":                               {"pkg/regex"},
	"github.com/go-zeromq/zmq4":                                   {"pkg/bus"},
	"github.com/klauspost/compress":                               {"pkg/archive"},
	"github.com/prometheus/client_golang":                         {"returners/prometheus"},
	"github.com/robfig/cron/v3":                                   {"pkg/freeze"},
	"github.com/shirou/gopsutil/v4":                               {"minion/grains"},
	"github.com/spf13/cobra":                                      {"cmd"},
	"github.com/spf13/pflag":                                      {"pkg/config", "cmd"}, // the other half of cobra
	"github.com/spf13/viper":                                      {"pkg/config"},
	"github.com/vmihailenco/msgpack/v5":                           {"pkg/wire"},
	"go.yaml.in/yaml/v4":                                          {"pkg/yaml"},
	"golang.org/x/crypto":                                         {"pkg/bus"},
	"golang.org/x/term":                                           {"cmd/brine"},
	"modernc.org/sqlite":                                          {"master/journal/sqlite"},
}

// everywhere holds what is used like the standard library: a function or two, no types that spread.
var everywhere = []string{
	"github.com/gofrs/flock", "github.com/google/renameio/v2", "golang.org/x/sync", "golang.org/x/sys", "golang.org/x/time",
}

// testOnly holds the libraries of tests; suites and fixtures, whose packages end in "test", may import them too.
var testOnly = []string{"github.com/rogpeppe/go-internal", "go.uber.org/goleak", "pgregory.net/rapid"}

func TestEachThirdPartyModuleHasOneHome(t *testing.T) {
	all := list(t)
	modules := map[string]string{}
	for _, l := range all {
		if l.Module != nil && !l.Module.Main {
			modules[l.ImportPath] = l.Module.Path
		}
	}
	for _, l := range all {
		folder, ok := l.own()
		if !ok {
			continue
		}
		for _, imported := range l.Imports {
			m, thirdParty := modules[imported]
			test := slices.Contains(testOnly, m) && strings.HasSuffix(path.Base(folder), "test")
			if thirdParty && !test && !slices.Contains(everywhere, m) && !below(folder, homes[m]...) {
				t.Errorf("%s imports %s, whose home is %q", folder, imported, homes[m])
			}
		}
	}
}
