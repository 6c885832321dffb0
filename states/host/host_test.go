package host

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "hosts")
	if err := os.WriteFile(path, []byte("# mine\n127.0.0.1 localhost old # loop\n10.0.0.9 web\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	statetest.Run(t, family{path}.states(),
		statetest.Example{Function: "present", Name: "web", Args: data.NewMap("ip", []any{"10.0.0.1", "::1"}, "clean", true), Touches: []string{dir}},
		statetest.Example{Function: "present", Name: "localhost", Args: data.NewMap("ip", "127.0.0.1"), Idle: true},
		statetest.Example{Function: "absent", Name: "old", Touches: []string{dir}},
		statetest.Example{Function: "only", Name: "10.0.0.2", Args: data.NewMap("hostnames", []any{"db", "db2"}), Touches: []string{dir}},
	)
	want := "# mine\n127.0.0.1\t\tlocalhost\t# loop\n10.0.0.1\t\tweb\n::1\t\tweb\n10.0.0.2\t\tdb db2\n"
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("the file is\n%s\nwant\n%s\n%v", got, want, err)
	}
}
