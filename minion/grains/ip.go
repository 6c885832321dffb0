package grains

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeIP finds ipv4 and ipv6: all addresses of all interfaces, loopback and link-local ones too, sorted.
func probeIP(context.Context, fs.FS) (fleet.Grains, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []netip.Addr
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, p.Addr().Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	ipv4, ipv6 := []any{}, []any{}
	for _, a := range slices.Compact(all) {
		if a.Is4() {
			ipv4 = append(ipv4, a.String())
		} else {
			ipv6 = append(ipv6, a.String())
		}
	}
	return fleet.Grains{"ipv4": ipv4, "ipv6": ipv6}, nil
}
