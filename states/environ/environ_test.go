package environ_test

import (
	"os"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/environ"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	for _, name := range []string{"BRINE_ONE", "BRINE_TWO", "BRINE_GONE"} {
		t.Setenv(name, "old") // and back at the end
	}
	statetest.Run(t, environ.States(),
		statetest.Example{Function: "setenv", Name: "BRINE_ONE", Args: data.NewMap("value", "1")},
		statetest.Example{Function: "setenv", Name: "several", Args: data.NewMap("value", data.NewMap("BRINE_TWO", int64(2), "BRINE_GONE", false), "false_unsets", true)},
	)
	if _, there := os.LookupEnv("BRINE_GONE"); there || os.Getenv("BRINE_ONE") != "1" || os.Getenv("BRINE_TWO") != "2" {
		t.Error("the variables are not as they should be")
	}
}
