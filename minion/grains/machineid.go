package grains

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeMachineID finds machine_id. A host without systemd or D-Bus has none, which is no error.
func probeMachineID(_ context.Context, root fs.FS) (fleet.Grains, error) {
	for _, name := range []string{"etc/machine-id", "var/lib/dbus/machine-id"} {
		content, err := fs.ReadFile(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("read machine id: %w", err)
		default:
			if id := strings.TrimSpace(string(content)); id != "" {
				return fleet.Grains{"machine_id": id}, nil
			}
		}
	}
	return fleet.Grains{}, nil
}
