// Package cmd runs commands and scripts: Salt's cmd states. What should happen once needs onlyif, unless, creates or
// onchanges, which the engine sees to.
package cmd

import (
	"context"
	"slices"

	"github.com/brine-deploy/brine/states/state"
)

var common = []string{ //nolint:gochecknoglobals // a table
	"cwd", "runas", "group", "password", "shell", "env", "prepend_path", "stateful", "output_loglevel", "hide_output", "timeout",
	"ignore_timeout", "use_vt", "success_retcodes", "success_stdout", "success_stderr", "umask", "bg", "python_shell", "clean_env",
	"rstrip", "raise_err", "saltenv",
}

// States are the functions of the family.
func States() state.Family {
	script := slices.Concat(common, []string{"source", "template", "context", "defaults", "args", "source_hash", "tmp_dir"})
	return state.Family{
		"run": {
			Doc: "Runs a command line in a shell, each time. It succeeds when the command ends with 0, or a code of success_retcodes. " +
				"With stateful, the last line of its output says whether it changed anything.",
			Params: common, Run: runCommand, Watch: runCommand,
		},
		"script": {
			Doc:    "Fetches a script (source, or the first word of name), and runs it with args.",
			Params: script, Run: runScript, Watch: runScript,
		},
		"wait":        {Doc: "Runs a command line when something that it watches has changed, else nothing.", Params: common, Run: idle, Watch: runCommand},
		"wait_script": {Doc: "Runs a script when something that it watches has changed, else nothing.", Params: script, Run: idle, Watch: runScript},
	}
}

func idle(_ context.Context, c *state.Call) state.Result {
	if _, res, bad := read(c); bad {
		return res
	}
	return state.Result{Verdict: state.True}
}
