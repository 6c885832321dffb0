package file

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// defaultMode is what a new file gets by this process's umask.
func defaultMode() fs.FileMode { return 0o666 &^ umask() }

// umask reads the umask where asking does not change it.
func umask() fs.FileMode {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0o022
	}
	_, rest, ok := strings.Cut(string(status), "\nUmask:")
	line, _, _ := strings.Cut(rest, "\n")
	mask, err := strconv.ParseUint(strings.TrimSpace(line), 8, 32)
	if !ok || err != nil {
		return 0o022
	}
	return fs.FileMode(mask)
}

// shell runs a command line.
func shell(ctx context.Context, c *state.Call, line string) tool.Output {
	return tool.On(c).Run(ctx, "", "/bin/sh", "-c", line)
}

// resolve is where a path leads, its links followed; the path itself when nothing is there.
func resolve(name string) (string, error) {
	if !lexists(name) {
		return name, nil
	}
	real, err := filepath.EvalSymlinks(name)
	if err != nil {
		return "", fmt.Errorf("follow %s: %w", name, err)
	}
	return real, nil
}
