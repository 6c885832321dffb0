package grains

import (
	"context"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeIP finds ipv4 and ipv6: all addresses of all interfaces, loopback and link-local ones too, sorted; the same by
// interface as ip_interfaces, ip4_interfaces and ip6_interfaces; hwaddr_interfaces; the gateways and the name servers.
func probeIP(_ context.Context, root fs.FS) (fleet.Grains, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var all []netip.Addr
	both, only4, only6, hardware := map[string]any{}, map[string]any{}, map[string]any{}, map[string]any{}
	for _, i := range interfaces {
		addresses, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
		}
		var own []netip.Addr
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				own = append(own, p.Addr().Unmap())
			}
		}
		all = append(all, own...)
		ip4, ip6 := families(own)
		both[i.Name], only4[i.Name], only6[i.Name] = slices.Concat(ip4, ip6), ip4, ip6
		if hw := i.HardwareAddr.String(); hw != "" {
			hardware[i.Name] = hw
		} else if i.Flags&net.FlagLoopback != 0 {
			hardware[i.Name] = "00:00:00:00:00:00"
		}
	}
	ipv4, ipv6 := families(all)
	found := fleet.Grains{
		"ipv4": ipv4, "ipv6": ipv6, "ip_interfaces": both, "ip4_interfaces": only4, "ip6_interfaces": only6, "hwaddr_interfaces": hardware,
		"dns": nameServers(read(root, "etc/resolv.conf")),
	}
	gateways(root, found)
	return found, nil
}

// gateways adds ip4_gw, ip6_gw and ip_gw: the addresses of the default routes; false for none.
func gateways(root fs.FS, into fleet.Grains) {
	var ip4, ip6 any = false, false
	for line := range strings.Lines(read(root, "proc/net/route")) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != "00000000" {
			continue
		}
		if raw, err := hex.DecodeString(fields[2]); err == nil && len(raw) == 4 {
			slices.Reverse(raw) // the kernel prints it as a number of a little-endian machine
			ip4 = netip.AddrFrom4([4]byte(raw)).String()
			break
		}
	}
	for line := range strings.Lines(read(root, "proc/net/ipv6_route")) {
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[1] != "00" || strings.Trim(fields[4], "0") == "" {
			continue
		}
		if raw, err := hex.DecodeString(fields[4]); err == nil && len(raw) == 16 {
			ip6 = netip.AddrFrom16([16]byte(raw)).String()
			break
		}
	}
	into["ip4_gw"], into["ip6_gw"], into["ip_gw"] = ip4, ip6, ip4 != false || ip6 != false
}

// nameServers reads a resolv.conf the way Salt's dns grain shows it.
func nameServers(conf string) map[string]any {
	servers, ip4, ip6, search, options, domain := []any{}, []any{}, []any{}, []any{}, []any{}, ""
	for line := range strings.Lines(conf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.ContainsAny(fields[0], "#;") {
			continue
		}
		switch fields[0] {
		case "nameserver":
			servers = append(servers, fields[1])
			if a, err := netip.ParseAddr(fields[1]); err == nil && a.Is4() {
				ip4 = append(ip4, fields[1])
			} else {
				ip6 = append(ip6, fields[1])
			}
		case "search":
			for _, name := range fields[1:] {
				search = append(search, name)
			}
		case "options":
			for _, name := range fields[1:] {
				options = append(options, name)
			}
		case "domain":
			domain = fields[1]
		}
	}
	return map[string]any{
		"nameservers": servers, "ip4_nameservers": ip4, "ip6_nameservers": ip6, "search": search, "options": options, "domain": domain, "sortlist": []any{},
	}
}
