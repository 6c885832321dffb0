package user

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/account"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/statetest"
)

// accounts makes a directory with the files of /etc, and programs that change them.
func accounts(t *testing.T) (string, func() []string) {
	t.Helper()
	etc := t.TempDir()
	for name, text := range map[string]string{
		"passwd": "old:x:47130:100:Old Name,1:/nonexistent:/bin/sh\ngone:x:47131:47131::/:/bin/sh\n",
		"group":  "users:x:100:\nwheel:x:10:old\ndevs:x:11:\ngone:x:47131:\n",
		"shadow": "old:!:1::::::\ngone:!:1::::::\n",
	} {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	calls := statetest.Programs(t, map[string]string{
		"useradd":  `for n; do :; done; echo "$n:x:500:100:Full:/home/$n:/bin/sh" >> ` + etc + `/passwd; echo "$n:!:1::::::" >> ` + etc + `/shadow`,
		"usermod":  `sed -i 's#^old:.*#old:x:47130:100:New Name,1:/nonexistent:/bin/bash#' ` + etc + `/passwd; sed -i 's/^wheel.*/wheel:x:10:/; s/^devs.*/devs:x:11:old/' ` + etc + `/group`,
		"userdel":  `sed -i /^gone:/d ` + etc + `/passwd ` + etc + `/group ` + etc + `/shadow`,
		"chpasswd": `IFS=: read n p; sed -i "s#^$n:[^:]*#$n:$p#" ` + etc + `/shadow`,
		"chage":    `sed -i 's/^new:\([^:]*\):1:[^:]*:[^:]*/new:\1:1::30/' ` + etc + `/shadow`,
	})
	return etc, calls
}

func TestFunctionsKeepToTheSuite(t *testing.T) {
	etc, calls := accounts(t)
	statetest.Run(t, family{account.DB{Dir: etc}}.states(),
		statetest.Example{
			Function: "present", Name: "new", Touches: []string{etc}, Silent: true,
			Args: data.NewMap("gid", "users", "fullname", "Full", "password", "$6$hash", "maxdays", int64(30), "home", "/home/new"),
		},
		statetest.Example{
			Function: "present", Name: "old", Touches: []string{etc}, Silent: true,
			Args: data.NewMap("shell", "/bin/bash", "fullname", "New Name", "groups", []any{"devs"}),
		},
		statetest.Example{Function: "absent", Name: "gone", Touches: []string{etc}, Silent: true, Args: data.NewMap("purge", true)},
		statetest.Example{Function: "absent", Name: "never", Idle: true},
	)
	want := []string{
		"useradd [-g] [100] [-d] [/home/new] [-c] [Full] [-m] [--] [new]", "chpasswd [-e]", "chage [-M] [30] [new]",
		"usermod [-s] [/bin/bash] [-c] [New Name,1] [-G] [devs] [--] [old]", "userdel [-r] [--] [gone]",
	}
	got := calls()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("programs were called:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSaltsWordsForAUserThatDiffers(t *testing.T) {
	etc, _ := accounts(t)
	present := family{account.DB{Dir: etc}}.states()["present"]
	call := &state.Call{Name: "old", Test: true, Host: statetest.Host(t, ""), Args: data.NewMap("shell", "/bin/bash", "fullname", "New Name")}
	res := present.Run(t.Context(), call)
	if want := "The following user attributes are set to be changed:\nshell: /bin/bash\nfullname: New Name\n"; res.Comment != want || res.Changes.Len() > 0 {
		t.Errorf("got %+v", res)
	}
	call.Args = data.NewMap("groups", "nosuch")
	call.Test = false
	if res := present.Run(t.Context(), call); res.Verdict != state.False || !strings.Contains(res.Comment, "not present: nosuch") {
		t.Errorf("got %+v", res)
	}
}
