package modules

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
)

func networkFamily() map[string]Function {
	const whose = "\ninterface; include_loopback; cidr: only those in a network; type: public or private\n  network."
	params := []string{"interface", "include_loopback", "cidr", "type"}
	ip4 := Function{Doc: "The IPv4 addresses of this host." + whose + "ip_addrs", Params: params, Run: addresses(netip.Addr.Is4)}
	ip6 := Function{Doc: "The IPv6 addresses of this host, without link-local ones." + whose + "ip_addrs6", Params: params, Run: addresses(netip.Addr.Is6)}
	alias := func(f Function, name string) Function {
		f.Doc = f.Doc[:strings.LastIndex(f.Doc, "network.")] + name
		return f
	}
	return map[string]Function{
		"network.ip_addrs": ip4, "network.ipaddrs": alias(ip4, "network.ipaddrs"),
		"network.ip_addrs6": ip6, "network.ipaddrs6": alias(ip6, "network.ipaddrs6"),
		"network.interfaces": {
			Doc: "The interfaces of this host: whether they are up, hardware address, addresses.\n  network.interfaces",
			Run: func(context.Context, *Env, *data.Map) (any, error) { return interfaces() },
		},
		"network.interface": {
			Doc: "The IPv4 addresses of an interface.\niface\n  network.interface eth0", Params: []string{"iface"},
			Run: ofInterface("inet", []any{}),
		},
		"network.interface_ip": {
			Doc: "The first IPv4 address of an interface.\niface\n  network.interface_ip eth0", Params: []string{"iface"},
			Run: func(ctx context.Context, env *Env, args *data.Map) (any, error) {
				all, err := ofInterface("inet", []any{})(ctx, env, args)
				if l, _ := all.([]any); len(l) > 0 {
					v, _ := l[0].(*data.Map).Get("address")
					return v, err
				}
				return nil, err
			},
		},
		"network.hw_addr": {
			Doc: "The hardware address of an interface.\niface\n  network.hw_addr eth0", Params: []string{"iface"},
			Run: ofInterface("hwaddr", ""),
		},
		"network.subnets":  {Doc: "The IPv4 networks that this host is in.\n  network.subnets", Run: subnets(netip.Addr.Is4)},
		"network.subnets6": {Doc: "The IPv6 networks that this host is in.\n  network.subnets6", Run: subnets(netip.Addr.Is6)},
		"network.in_subnet": {
			Doc: "Whether this host, or an address, is in a network.\ncidr; addr\n  network.in_subnet 10.0.0.0/8", Params: []string{"cidr", "addr"},
			Run: inSubnet,
		},
		"network.is_loopback": onAddress("Whether an address is this host's to itself.\nip_addr\n  network.is_loopback 127.0.0.1", netip.Addr.IsLoopback),
		"network.is_private":  onAddress("Whether an address is a private one.\nip_addr\n  network.is_private 10.0.0.1", netip.Addr.IsPrivate),
		"network.get_hostname": {
			Doc: "The name of this host, as it calls itself.\n  network.get_hostname",
			Run: func(context.Context, *Env, *data.Map) (any, error) { return os.Hostname() },
		},
		"network.get_fqdn": {
			Doc: "The full name of this host.\n  network.get_fqdn",
			Run: func(_ context.Context, env *Env, _ *data.Map) (any, error) {
				if name, ok := env.Grains.Get("fqdn"); ok {
					return name, nil
				}
				return os.Hostname()
			},
		},
	}
}

// prefixes are the addresses of an interface with their networks.
func prefixes(i net.Interface) ([]netip.Prefix, error) {
	all, err := i.Addrs()
	if err != nil {
		return nil, fmt.Errorf("list addresses of %s: %w", i.Name, err)
	}
	var out []netip.Prefix
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()))
		}
	}
	return out, nil
}

func interfaces() (*data.Map, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	out := &data.Map{}
	for _, i := range all {
		entry := data.NewMap("up", i.Flags&net.FlagUp != 0)
		if hw := i.HardwareAddr.String(); hw != "" {
			entry.Set("hwaddr", hw)
		} else if i.Flags&net.FlagLoopback != 0 {
			entry.Set("hwaddr", "00:00:00:00:00:00")
		}
		own, err := prefixes(i)
		if err != nil {
			return nil, err
		}
		inet, inet6 := describe(i.Name, own)
		if len(inet) > 0 {
			entry.Set("inet", inet)
		}
		if len(inet6) > 0 {
			entry.Set("inet6", inet6)
		}
		out.Set(i.Name, entry)
	}
	return out, nil
}

func describe(name string, own []netip.Prefix) (inet, inet6 []any) {
	for _, p := range own {
		if p.Addr().Is6() {
			scope := "global"
			switch {
			case p.Addr().IsLoopback():
				scope = "host"
			case p.Addr().IsLinkLocalUnicast():
				scope = "link"
			}
			inet6 = append(inet6, data.NewMap("address", p.Addr().WithZone("").String(), "prefixlen", fmt.Sprint(p.Bits()), "scope", scope))
			continue
		}
		mask := net.CIDRMask(p.Bits(), 32)
		var broadcast any
		if last := p.Masked().Addr().As4(); !p.Addr().IsLoopback() && p.Bits() < 31 {
			for i := range last {
				last[i] |= ^mask[i]
			}
			broadcast = netip.AddrFrom4(last).String()
		}
		inet = append(inet, data.NewMap("address", p.Addr().String(), "netmask", net.IP(mask).String(), "broadcast", broadcast, "label", name))
	}
	return inet, inet6
}

func ofInterface(field string, otherwise any) func(context.Context, *Env, *data.Map) (any, error) {
	return func(_ context.Context, _ *Env, args *data.Map) (any, error) {
		all, err := interfaces()
		if err != nil {
			return nil, err
		}
		entry, ok := all.Get(stringArg(args, "iface", ""))
		if !ok {
			return nil, fmt.Errorf("no interface %q; there are: %s", stringArg(args, "iface", ""), strings.Join(texts(all.Keys()), ", "))
		}
		return arg(entry.(*data.Map), field, otherwise), nil
	}
}

// own lists this host's addresses of a family, with their networks, sorted.
func own(family func(netip.Addr) bool, only string) ([]netip.Prefix, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list interfaces: %w", err)
	}
	var out []netip.Prefix
	for _, i := range all {
		if only != "" && i.Name != only {
			continue
		}
		some, err := prefixes(i)
		if err != nil {
			return nil, err
		}
		for _, p := range some {
			if family(p.Addr()) {
				out = append(out, p)
			}
		}
	}
	slices.SortFunc(out, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return slices.Compact(out), nil
}

func addresses(family func(netip.Addr) bool) func(context.Context, *Env, *data.Map) (any, error) {
	return func(_ context.Context, _ *Env, args *data.Map) (any, error) {
		all, err := own(family, stringArg(args, "interface", ""))
		if err != nil {
			return nil, err
		}
		cidr, kind := netip.Prefix{}, stringArg(args, "type", "")
		if text := stringArg(args, "cidr", ""); text != "" {
			if cidr, err = netip.ParsePrefix(text); err != nil {
				return nil, fmt.Errorf("%w: cidr: %w", ErrArguments, err)
			}
		}
		out := []any{}
		for _, p := range all {
			a := p.Addr()
			switch {
			case a.IsLoopback() && !flagArg(args, "include_loopback", false), a.Is6() && a.IsLinkLocalUnicast():
			case cidr.IsValid() && !cidr.Contains(a):
			case kind == "private" && !a.IsPrivate(), kind == "public" && (a.IsPrivate() || a.IsLoopback()):
			default:
				out = append(out, a.String())
			}
		}
		return out, nil
	}
}

func subnets(family func(netip.Addr) bool) func(context.Context, *Env, *data.Map) (any, error) {
	return func(context.Context, *Env, *data.Map) (any, error) {
		all, err := own(family, "")
		out := []any{}
		for _, p := range all {
			if a := p.Addr(); !a.IsLoopback() && (a.Is4() || !a.IsLinkLocalUnicast()) {
				out = append(out, p.Masked().String())
			}
		}
		return slices.Compact(out), err
	}
}

func inSubnet(_ context.Context, _ *Env, args *data.Map) (any, error) {
	var nets []netip.Prefix
	for _, text := range texts(arg(args, "cidr", nil)) {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%w: cidr: %w", ErrArguments, err)
		}
		nets = append(nets, p)
	}
	var asked []netip.Addr
	for _, text := range texts(arg(args, "addr", nil)) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("%w: addr: %w", ErrArguments, err)
		}
		asked = append(asked, a)
	}
	if len(asked) == 0 {
		all, err := own(netip.Addr.IsValid, "")
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			asked = append(asked, p.Addr())
		}
	}
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return slices.ContainsFunc(asked, p.Contains) }), nil
}

func onAddress(doc string, is func(netip.Addr) bool) Function {
	return Function{Doc: doc, Params: []string{"ip_addr"}, Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
		a, err := netip.ParseAddr(stringArg(args, "ip_addr", ""))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrArguments, err)
		}
		return is(a), nil
	}}
}
