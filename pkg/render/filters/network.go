package filters

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/brine-deploy/brine/pkg/render/jinja"
	"github.com/brine-deploy/brine/pkg/render/jinja/py"
)

// address is what Python's ip_address or ip_interface gives.
type address struct {
	netip.Addr
	bits  int
	slash bool // it was written with a mask
}

// String gives the address, with its mask if it has one.
func (a address) String() string {
	if a.slash {
		return fmt.Sprintf("%s/%d", a.Addr, a.bits)
	}
	return a.Addr.String()
}

func (a address) network() netip.Prefix { return netip.PrefixFrom(a.Addr, a.bits).Masked() }

func parseAddress(text string) (address, bool) {
	host, mask, slash := strings.Cut(text, "/")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return address{}, false
	}
	a := address{Addr: ip, bits: ip.BitLen(), slash: slash}
	if !slash {
		return a, true
	}
	if n, err := strconv.Atoi(mask); err == nil && mask[0] != '+' && mask[0] != '-' {
		a.bits = n
		return a, n <= ip.BitLen()
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !ip.Is4() || !m.Is4() {
		return address{}, false
	}
	b := m.As4()
	ones, size := net.IPMask(b[:]).Size()
	if size == 0 { // the other way around
		ones, size = net.IPv4Mask(^b[0], ^b[1], ^b[2], ^b[3]).Size()
	}
	a.bits = ones
	return a, size == 32
}

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

var (
	private = prefixes("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/29", "192.0.0.170/31",
		"192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4", "255.255.255.255/32",
		"::1/128", "::/128", "::ffff:0:0/96", "100::/64", "2001::/23", "2001:2::/48", "2001:db8::/32", "2001:10::/28", "fc00::/7", "fe80::/10")
	reserved = prefixes("240.0.0.0/4", "::/8", "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/3", "6000::/3", "8000::/3",
		"a000::/3", "c000::/3", "e000::/4", "f000::/5", "f800::/6", "fe00::/9")
	siteLocal = prefixes("fec0::/10")
)

func (a address) in(list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool {
		return p.Contains(a.Addr) || a.Is4In6() && p.Addr().Is6() && p.Contains(netip.AddrFrom16(a.As16()))
	})
}

// is asks one of Salt's options; unknown ones are true.
func (a address) is(option string) bool {
	switch option {
	case "global", "public":
		return !a.in(private)
	case "private":
		return a.in(private)
	case "link-local", "linklocal", "ll", "link_local":
		return a.IsLinkLocalUnicast()
	case "loopback", "lo":
		return a.IsLoopback()
	case "multicast":
		return a.IsMulticast()
	case "reserved":
		return a.in(reserved)
	case "site-local", "sl", "site_local":
		return a.in(siteLocal)
	case "unspecified":
		return a.IsUnspecified()
	}
	return true
}

// addressOf reads an address of a version (0 for any) that all options are true of.
func addressOf(c *jinja.Call, v any, version int, options any) (address, bool) {
	text, ok := py.Text(v)
	if !ok {
		return address{}, false
	}
	a, ok := parseAddress(text)
	if !ok || version == 4 && !a.Is4() || version == 6 && !a.Is6() {
		return address{}, false
	}
	if py.Truth(c.Run, options) {
		for o := range strings.SplitSeq(py.MustText(options), ",") {
			if !a.is(strings.TrimSpace(o)) {
				return address{}, false
			}
		}
	}
	return a, true
}

// many reports whether v is a list of addresses, and gives them.
func many(c *jinja.Call, v any) ([]any, bool) {
	switch u := v.(type) {
	case *py.List, py.Tuple, *py.Generator:
		return py.Collect(c.Run, v), true
	case *py.Undefined:
		u.Raise()
	}
	return nil, false
}

// addresses makes a filter that keeps addresses of a version.
func addresses(version int) jinja.Builtin {
	return filter("value options?", func(c *jinja.Call, b py.Bound) any {
		items, ok := many(c, b[0])
		if !ok {
			if a, ok := addressOf(c, b[0], version, b.Or(1, nil)); ok {
				return a.String()
			}
			return nil
		}
		return &py.List{Items: kept(c, items, version, b.Or(1, nil), func(a address) any { return a.String() })}
	})
}

// kept gives what make makes of each address; of any version, those of version 4 come first.
func kept(c *jinja.Call, items []any, version int, options any, make func(address) any) []any {
	versions := []int{version}
	if version == 0 {
		versions = []int{4, 6}
	}
	var out []any
	for _, n := range versions {
		for _, v := range items {
			if a, ok := addressOf(c, v, n, options); ok {
				out = append(out, make(a))
			}
		}
	}
	return out
}

func isAddress(version int) jinja.Builtin {
	return filter("ip_addr options?", func(c *jinja.Call, b py.Bound) any {
		if u, undefined := b[0].(*py.Undefined); undefined {
			u.Raise()
		}
		_, ok := addressOf(c, b[0], version, b.Or(1, nil))
		return ok
	})
}

// ofNetworks makes a filter that computes something of each network.
func ofNetworks(compute func(c *jinja.Call, a address) any) jinja.Builtin {
	return filter("value options? version?", func(c *jinja.Call, b py.Bound) any {
		version := 0
		if v := b.Or(2, nil); v != nil {
			version = py.Index(v)
		}
		items, ok := many(c, b[0])
		if !ok {
			if a, ok := addressOf(c, b[0], version, b.Or(1, nil)); ok {
				return compute(c, a)
			}
			return nil
		}
		out := kept(c, items, version, b.Or(1, nil), func(a address) any { return compute(c, a) })
		if len(out) == 0 {
			return nil
		}
		return &py.List{Items: out}
	})
}

func hosts(c *jinja.Call, a address) any {
	p := a.network()
	free := p.Addr().BitLen() - p.Bits()
	if free > 24 {
		py.Raise(py.LimitError, "the network %s has too many hosts", p)
	}
	first, count := p.Addr(), 1<<free
	switch {
	case free <= 1:
	case a.Is4():
		first, count = first.Next(), count-2
	default:
		first, count = first.Next(), count-1
	}
	c.Alloc(64 * count)
	out := &py.List{}
	for range count {
		c.Step(1)
		out.Items = append(out.Items, first.String())
		first = first.Next()
	}
	return out
}

func networks() table {
	return table{
		"is_ip": isAddress(0), "is_ipv4": isAddress(4), "is_ipv6": isAddress(6),
		"ipaddr": addresses(0), "ipv4": addresses(4), "ipv6": addresses(6),
		"network_hosts": ofNetworks(hosts),
		"network_size": ofNetworks(func(_ *jinja.Call, a address) any {
			return py.Norm(new(big.Int).Lsh(big.NewInt(1), uint(a.BitLen()-a.bits)))
		}),
		"ip_host": ofNetworks(func(_ *jinja.Call, a address) any { return fmt.Sprintf("%s/%d", a.Addr, a.bits) }),
		"ipwrap": filter("value", func(c *jinja.Call, b py.Bound) any {
			wrap := func(v any) any {
				if a, ok := addressOf(c, v, 6, nil); ok && !a.slash {
					return "[" + py.MustText(v) + "]"
				}
				return v
			}
			items, ok := many(c, b[0])
			if !ok {
				return wrap(b[0])
			}
			for i := range items {
				items[i] = wrap(items[i])
			}
			return &py.List{Items: items}
		}),
		"gen_mac": filter("prefix?", func(c *jinja.Call, b py.Bound) any {
			var tail [3]byte
			_, _ = rand.Read(tail[:]) // never fails
			return fmt.Sprintf("%s:%02X:%02X:%02X", b.Str(c.Run, 0, "AC:DE:48"), tail[0], tail[1], tail[2])
		}),
		"mac_str_to_bytes": filter("mac_str", func(_ *jinja.Call, b py.Bound) any {
			s := py.MustText(b[0])
			raw, err := hex.DecodeString(strings.NewReplacer(":", "", "-", "", ".", "").Replace(s))
			if err != nil || len(raw) != 6 {
				py.Raise("ValueError", "Invalid MAC address")
			}
			return py.Bytes(raw)
		}),
		"dns_check": filter("addr port? safe? ipv6?", func(c *jinja.Call, b py.Bound) any {
			network := "ip4"
			if b.Bool(c.Run, 3, false) {
				network = "ip6"
			}
			found, err := net.DefaultResolver.LookupIP(c.Run.Context(), network, py.MustText(b[0]))
			if err != nil || len(found) == 0 {
				py.Raise("SaltSystemExit", "DNS lookup of '%s' failed.", py.MustText(b[0]))
			}
			return found[0].String()
		}),
	}
}
