package group

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	etc := t.TempDir()
	file := filepath.Join(etc, "group")
	if err := os.WriteFile(file, []byte("old:x:5:a,b\ngone:x:6:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	calls := statetest.Programs(t, map[string]string{
		"groupadd": "echo new:x:7: >> " + file,
		"groupdel": "sed -i /^gone:/d " + file,
		"gpasswd":  `[ "$3" = new ] && sed -i 's/^new:.*/new:x:7:a/' ` + file + ` || sed -i 's/^old:.*/old:x:5:a,c/' ` + file,
	})
	statetest.Run(t, family{account.DB{Dir: etc}}.states(),
		statetest.Example{Function: "present", Name: "new", Args: data.NewMap("gid", int64(7), "members", []any{"a"}), Touches: []string{etc}, Silent: true},
		statetest.Example{Function: "present", Name: "old", Args: data.NewMap("addusers", []any{"c"}, "delusers", []any{"b"}), Touches: []string{etc}, Silent: true},
		statetest.Example{Function: "absent", Name: "gone", Touches: []string{etc}, Silent: true},
	)
	want := []string{"groupadd [-g] [7] [--] [new]", "gpasswd [-a] [a] [new]", "gpasswd [-a] [c] [old]", "gpasswd [-d] [b] [old]", "groupdel [--] [gone]"}
	if got := calls(); !slices.Equal(got, want) {
		t.Errorf("programs were called: %q", got)
	}
}
