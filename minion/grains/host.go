package grains

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// resolver is who knows of names; tests have their own.
type resolver interface {
	LookupCNAME(ctx context.Context, name string) (string, error)
	LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error)
}

// probeHost finds nodename, localhost, host, fqdn, domain, fqdn_ip4 and fqdn_ip6. When neither the hosts file nor the name
// server knows a longer name in time, fqdn is what the host calls itself.
func probeHost(ctx context.Context, _ fs.FS) (fleet.Grains, error) {
	name, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("read host name: %w", err)
	}
	return hostNames(ctx, name, net.DefaultResolver), nil
}

func hostNames(ctx context.Context, name string, names resolver) fleet.Grains {
	ctx, cancel := context.WithTimeout(ctx, slowest)
	defer cancel()
	addresses := make(chan []netip.Addr, 1)
	go func() { // both lookups wait for the same name server
		found, _ := names.LookupNetIP(ctx, "ip", name) // a host that nobody knows has none
		addresses <- found
	}()
	fqdn := name
	if !strings.Contains(name, ".") {
		full, err := names.LookupCNAME(ctx, name)
		// A hosts file often gives the address of localhost to the host as well.
		if full = strings.TrimSuffix(full, "."); err == nil && strings.Contains(full, ".") && !strings.HasPrefix(full, "localhost.") {
			fqdn = full
		}
	}
	short, domain, _ := strings.Cut(fqdn, ".")
	ip4, ip6 := families(<-addresses)
	return fleet.Grains{
		"nodename": name, "localhost": name, "host": short, "fqdn": fqdn, "domain": domain, "fqdns": []any{fqdn}, "fqdn_ip4": ip4, "fqdn_ip6": ip6,
	}
}

// families sorts addresses, without those that only this host can use.
func families(all []netip.Addr) (ip4, ip6 []any) {
	ip4, ip6 = []any{}, []any{}
	slices.SortFunc(all, netip.Addr.Compare)
	for _, a := range slices.Compact(all) {
		if a = a.Unmap(); a.Is4() {
			ip4 = append(ip4, a.String())
		} else {
			ip6 = append(ip6, a.WithZone("").String())
		}
	}
	return ip4, ip6
}
