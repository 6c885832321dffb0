package pkgrepo

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestAptListsKeepToTheSuite(t *testing.T) {
	etc := t.TempDir()
	statetest.Programs(t, map[string]string{"apt-get": "exit 1"})
	list := filepath.Join(etc, "apt/sources.list.d/x.list")
	keyring := filepath.Join(etc, "apt/keyrings/x.gpg")
	armored := "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + base64.StdEncoding.EncodeToString([]byte("binary key")) + "\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
	keyFile := filepath.Join(t.TempDir(), "key.asc")
	for name, text := range map[string]string{keyFile: armored, filepath.Join(etc, "sources"): ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := "deb [signed-by=" + keyring + "] http://example.com/debian stable main"
	statetest.Run(t, family{etc}.states(),
		statetest.Example{Function: "managed", Name: line, Args: data.NewMap("file", list, "key_url", keyFile), Touches: []string{etc}, Silent: true},
		statetest.Example{Function: "managed", Name: line, Args: data.NewMap("file", list, "comps", "main,extra"), Touches: []string{etc}, Silent: true},
		statetest.Example{Function: "absent", Name: line, Touches: []string{etc}, Silent: true},
		statetest.Example{Function: "absent", Name: line, Idle: true},
	)
	if got, err := os.ReadFile(keyring); err != nil || string(got) != "binary key" {
		t.Errorf("the key is %q, %v", got, err)
	}
	if _, err := os.Stat(list); !os.IsNotExist(err) {
		t.Errorf("the empty list is still there: %v", err)
	}
}

func TestYumReposAreSections(t *testing.T) {
	rest, section := cutSection("[a]\nx=1\n[b]\ny=2\n", "a")
	if rest != "[b]\ny=2\n" || section != "[a]\nx=1\n" {
		t.Errorf("got %q and %q", rest, section)
	}
}
