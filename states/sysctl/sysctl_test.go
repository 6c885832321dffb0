package sysctl

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	proc, etc := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"net/ipv4/ip_forward": "0\n", "net/ipv4/tcp_rmem": "1\t2\t3\n", "net/conf/eth0.1/f": "0\n"} {
		path := filepath.Join(proc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(etc, "sysctl.conf")
	if err := os.WriteFile(config, []byte("# mine\nnet.ipv4.ip_forward=0\nnet.ipv4.tcp_rmem = 1 2 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	both := []string{proc, etc}
	statetest.Run(t, family{proc, etc}.states(),
		statetest.Example{Function: "present", Name: "net.ipv4.ip_forward", Args: data.NewMap("value", int64(1)), Touches: both, Silent: true},
		statetest.Example{Function: "present", Name: "net.ipv4.tcp_rmem", Args: data.NewMap("value", "1 2 3"), Touches: both, Idle: true},
		statetest.Example{Function: "present", Name: "net/conf/eth0.1/f", Args: data.NewMap("value", int64(1)), Touches: both, Silent: true},
	)
	want := "# mine\nnet.ipv4.ip_forward = 1\nnet.ipv4.tcp_rmem = 1 2 3\nnet/conf/eth0.1/f = 1\n"
	if got, err := os.ReadFile(config); err != nil || string(got) != want {
		t.Errorf("the file is %q, %v", got, err)
	}
}
