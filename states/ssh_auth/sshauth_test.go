package sshauth

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

// user makes a user with a home.
func user(t *testing.T) (family, string) {
	t.Helper()
	etc, home := t.TempDir(), t.TempDir()
	line := fmt.Sprintf("zed:x:%d:%d::%s:/bin/sh\n", os.Getuid(), os.Getgid(), home)
	if err := os.WriteFile(filepath.Join(etc, "passwd"), []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	return family{account.DB{Dir: etc}}, home
}

func TestFunctionsKeepToTheSuite(t *testing.T) {
	f, home := user(t)
	blob := func(c string) string { return "AAAAB3NzaC1yc2EAAAADAQAB" + strings.Repeat(c, 8) }
	statetest.Run(t, f.states(),
		statetest.Example{Function: "present", Name: blob("a"), Args: data.NewMap("user", "zed", "comment", "zed@a"), Silent: true, Touches: []string{home}},
		statetest.Example{
			Function: "present", Name: `from="10.*",no-pty ssh-ed25519 ` + blob("b") + " zed@b", Silent: true, Touches: []string{home}, Args: data.NewMap("user", "zed"),
		},
		statetest.Example{Function: "absent", Name: "ssh-rsa " + blob("a"), Silent: true, Touches: []string{home}, Args: data.NewMap("user", "zed")},
		statetest.Example{
			Function: "manage", Name: "keys", Silent: true, Touches: []string{home},
			Args: data.NewMap("user", "zed", "ssh_keys", []any{"ssh-rsa " + blob("c") + " c"}),
		},
	)
	file := filepath.Join(home, ".ssh/authorized_keys")
	if got, err := os.ReadFile(file); err != nil || string(got) != "ssh-rsa "+blob("c")+" c\n" {
		t.Errorf("the file is %q, %v", got, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has mode %v, %v", info.Mode(), err)
	}
}

func TestALinkInAHomeIsNotFollowed(t *testing.T) {
	f, home := user(t)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(home, ".ssh")); err != nil {
		t.Fatal(err)
	}
	res := f.states()["present"].Run(t.Context(), &state.Call{
		Name: "AAAAB3NzaC1yc2EAAAADAQAB", Args: data.NewMap("user", "zed"), Host: statetest.Host(t, ""),
	})
	if left, err := os.ReadDir(outside); res.Verdict != state.False || err != nil || len(left) > 0 {
		t.Errorf("got %+v, and %v outside", res, left)
	}
}
