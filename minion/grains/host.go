package grains

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeHost finds host and fqdn. When neither the hosts file nor the name server knows a longer name in time, fqdn is what
// the host calls itself.
func probeHost(ctx context.Context, _ fs.FS) (fleet.Grains, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("read host name: %w", err)
	}
	return hostNames(ctx, name, net.DefaultResolver.LookupCNAME), nil
}

func hostNames(ctx context.Context, name string, canonical func(context.Context, string) (string, error)) fleet.Grains {
	short, _, qualified := strings.Cut(name, ".")
	found := fleet.Grains{"host": short, "fqdn": name}
	if qualified {
		return found
	}
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	full, err := canonical(ctx, name)
	// A hosts file often gives the address of localhost to the host as well.
	if full = strings.TrimSuffix(full, "."); err == nil && strings.Contains(full, ".") && !strings.HasPrefix(full, "localhost.") {
		found["fqdn"] = full
	}
	return found
}
