package cron_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/cron"
	"github.com/brine-deploy/brine/states/statetest"
)

const crontab = `shift; u=$1; shift; f=$STAND_INS/tab-$u
case "$1" in
-l) [ -f $f ] && cat $f || { echo "no crontab for $u" >&2; exit 1; };;
-) cat > $f;;
esac`

func TestFunctionsKeepToTheSuite(t *testing.T) {
	statetest.Programs(t, map[string]string{"crontab": crontab})
	tabs := os.Getenv("STAND_INS")
	text := "5 * * * * /bin/foreign\n# Lines below here are managed by Salt, do not edit\n# SALT_CRON_IDENTIFIER:/bin/old\n1 * * * * /bin/old\n"
	if err := os.WriteFile(filepath.Join(tabs, "tab-root"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	whole := filepath.Join(t.TempDir(), "whole")
	if err := os.WriteFile(whole, []byte("1 2 3 4 5 x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	statetest.Run(t, cron.States(),
		statetest.Example{Function: "present", Name: "/usr/local/bin/backup --all", Args: data.NewMap("minute", "*/5", "hour", int64(3), "identifier", "backup-job", "comment", "nightly"), Silent: true},
		statetest.Example{Function: "present", Name: "/bin/true", Silent: true},
		statetest.Example{Function: "present", Name: "/bin/true", Args: data.NewMap("minute", "random", "commented", true), Silent: true},
		statetest.Example{Function: "present", Name: "/bin/boot", Args: data.NewMap("special", "@reboot"), Silent: true},
		statetest.Example{Function: "present", Name: "/bin/true", Args: data.NewMap("minute", int64(7)), Silent: true},
		statetest.Example{Function: "env_present", Name: "MAILTO", Args: data.NewMap("value", "ops@example.org"), Silent: true},
		statetest.Example{Function: "env_absent", Name: "NEVER", Idle: true},
		statetest.Example{Function: "absent", Name: "/bin/old", Silent: true},
		statetest.Example{Function: "file", Name: whole, Args: data.NewMap("user", "nobody")},
	)
	want := "5 * * * * /bin/foreign\n# Lines below here are managed by Salt, do not edit\nMAILTO=ops@example.org\n# nightly SALT_CRON_IDENTIFIER:backup-job\n" +
		"*/5 3 * * * /usr/local/bin/backup --all\n# SALT_CRON_IDENTIFIER:/bin/true\n7 * * * * /bin/true\n# SALT_CRON_IDENTIFIER:/bin/boot\n@reboot /bin/boot\n"
	if got, err := os.ReadFile(filepath.Join(tabs, "tab-root")); err != nil || string(got) != want {
		t.Errorf("the crontab is\n%s\nwant\n%s\n%v", got, want, err)
	}
}
