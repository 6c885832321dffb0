package pkg_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/pkg"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

// manager is one package manager as stand-ins know it: $STAND_INS/db holds lines "name version".
type manager struct {
	scripts        map[string]string
	install, purge string // what is called for tool at 2.0, and for old
}

// put adds the last words of a call, NAME, NAME=VERSION or NAME-VERSION, to the packages; drop takes them away.
const (
	put = `for w; do case "$w" in -*|install|add|upgrade|*::*) ;; *) n=${w%%=*}; v=${w#*=}; [ "$n" = "$w" ] && v=3.0
case "$w" in *-[0-9]*) n=${w%%-*}; v=${w#*-};; esac
sed -i "/^$n /d" $STAND_INS/db; echo "$n $v" >> $STAND_INS/db;; esac; done;;`
	drop = `for w; do sed -i "/^$w /d" $STAND_INS/db; done;;`
)

func managers() map[string]manager {
	return map[string]manager{
		"apt": {
			scripts: map[string]string{
				"apt-get":    `case " $* " in *" update "*|*just-print*) ;; *" install "*) ` + put + ` *) ` + drop + ` esac`,
				"dpkg-query": `while read n v; do printf 'installed\t%s\t%s\tamd64\tvirtual-%s\n' $n $v $n; done < $STAND_INS/db`,
				"apt-cache":  `for n; do case $n in -*|policy) ;; *) printf '%s:\n  Installed: x\n  Candidate: 3.0\n' $n;; esac; done`,
				"apt-mark":   `case $1 in hold) shift; echo $* >> $STAND_INS/held;; showhold) cat $STAND_INS/held 2>/dev/null || :;; esac`,
				"dpkg":       `case "$3" in lt) [ "$2" '<' "$4" ];; gt) [ "$2" '>' "$4" ];; esac`,
			},
			install: "apt-get [-q] [-y] [-o] [DPkg::Options::=--force-confold] [-o] [DPkg::Options::=--force-confdef] [--allow-downgrades] [install] [--] [tool=2.0]",
			purge:   "apt-get [-q] [-y] [-o] [DPkg::Options::=--force-confold] [-o] [DPkg::Options::=--force-confdef] [purge] [--] [old]",
		},
		"dnf": {
			scripts: map[string]string{
				"dnf": `case "$*" in *makecache*) ;; *repoquery*) while [ "$1" != -- ]; do shift; done; shift; for n; do printf '%s\t0\t3.0\n' $n; done;;
*versionlock*list*) cat $STAND_INS/held 2>/dev/null || :;; *versionlock*add*) shift 4; for n; do echo "$n-1" >> $STAND_INS/held; done;;
*remove*) ` + drop + ` *install*|*upgrade*) ` + put + ` esac`,
				"rpm": `while read n v; do printf '%s\t0\t%s\tx86_64\n' $n $v; done < $STAND_INS/db`,
			},
			install: "dnf [-q] [-y] [install] [--] [tool-2.0]",
			purge:   "dnf [-q] [-y] [remove] [--] [old]",
		},
		"apk": {
			scripts: map[string]string{
				"apk": `case "$1" in info) while read n v; do echo "$n-$v-r0"; done < $STAND_INS/db;; update) ;;
policy) shift 2; for n; do printf '%s policy:\n  3.0-r0:\n    http://x\n' $n; done;;
version) [ "$3" '<' "$4" ] && echo '<' || echo '=';;
add) sed() { command sed "$@"; }; for w; do case "$w" in -*|add) ;; *) n=${w%%=*}; v=${w#*=}; [ "$n" = "$w" ] && v=3.0-r0; sed -i "/^$n /d" $STAND_INS/db; echo "$n ${v%-r0}" >> $STAND_INS/db;; esac; done;;
del) ` + drop + ` esac`,
			},
			install: "apk [add] [--] [tool=2.0-r0]",
			purge:   "apk [del] [--purge] [--] [old]",
		},
	}
}

// only leaves the programs on PATH that stand-ins need, so that no other package manager is found.
func only(t *testing.T, scripts map[string]string) func() []string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "sed", "cat"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Skipf("needs %s", name)
		}
		if err := os.Symlink(path, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	calls := statetest.Programs(t, scripts)
	if err := os.WriteFile(filepath.Join(os.Getenv("STAND_INS"), "db"), []byte("base 1.0\ntool 1.0\nold 1.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return calls
}

func TestEveryPackageManagerKeepsToTheSuite(t *testing.T) {
	for name, m := range managers() {
		t.Run(name, func(t *testing.T) {
			calls := only(t, m.scripts)
			version := "2.0"
			if name == "apk" {
				version = "2.0-r0"
			}
			examples := []statetest.Example{
				{Function: "installed", Name: "base", Idle: true},
				{Function: "installed", Name: "tool", Args: data.NewMap("version", version)},
				{Function: "installed", Name: "several", Args: data.NewMap("pkgs", []any{"base", data.NewMap("tree", ">=3.0")}, "refresh", true)},
				{Function: "latest", Name: "base"},
				{Function: "removed", Name: "never", Idle: true},
				{Function: "removed", Name: "tree"},
				{Function: "purged", Name: "gone", Args: data.NewMap("pkgs", []any{"old", "never"})},
				{Function: "uptodate", Name: "all", Idle: true},
			}
			if name != "apk" {
				examples = append(examples, statetest.Example{Function: "installed", Name: "base", Args: data.NewMap("hold", true), Silent: true})
			}
			for i := range examples {
				examples[i].Touches = []string{os.Getenv("STAND_INS") + "/db"}
			}
			statetest.Run(t, pkg.States(), examples...)
			got := calls()
			for _, want := range []string{m.install, m.purge} {
				if !slices.Contains(got, want) {
					t.Errorf("%s was not called:\n%s", want, strings.Join(got, "\n"))
				}
			}
		})
	}
}

func TestRealPackagesAreKnown(t *testing.T) {
	if _, err := exec.LookPath("dpkg-query"); err != nil {
		t.Skip("needs dpkg-query (Debian package dpkg)")
	}
	host := statetest.Host(t, "")
	res := pkg.States()["installed"].Run(t.Context(), &state.Call{
		Name: "several", Args: data.NewMap("pkgs", []any{"base-files", data.NewMap("dpkg", ">=1.0"), "awk"}), Host: host, Test: true,
	})
	if res.Verdict != state.True || res.Comment != "All specified packages are already installed" {
		t.Errorf("got %+v", res)
	}
	res = pkg.States()["installed"].Run(t.Context(), &state.Call{Name: "slscase-no-such-package", Host: host, Test: true})
	if res.Verdict != state.Pending || res.Comment != "The following packages would be installed/updated: slscase-no-such-package" {
		t.Errorf("got %+v", res)
	}
}
