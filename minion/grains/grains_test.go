package grains

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

func TestThisHostHasAllGrains(t *testing.T) {
	started := time.Now()
	got := Collect(t.Context(), fleet.Grains{"roles": []any{"web"}, "os": "Mine", "id": "other"}, "web1", slog.New(slog.DiscardHandler))
	if took := time.Since(started); took > 2*slowest {
		t.Errorf("took %v", took)
	}
	for _, name := range []string{
		"osfamily", "os_family", "kernelrelease", "cpuarch", "ipv4", "ipv6", "fqdn", "host", "virtual", "osarch", "init", "ip_interfaces",
		"nodename", "path", "shell", "locale_info", "username", "uid", "dns", "cpu_model", "saltversion", "server_id",
	} {
		if got[name] == nil || got[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if got["id"] != "web1" || got["os"] != "Mine" || got["roles"] == nil {
		t.Errorf("configured grains: %v", got)
	}
	if cpus, _ := got["num_cpus"].(int); cpus < 1 {
		t.Errorf("num_cpus %v", got["num_cpus"])
	}
	if mib, _ := got["mem_total"].(int); mib < 16 || mib > 1<<24 {
		t.Errorf("mem_total %v", got["mem_total"])
	}
	if runtime.GOOS == "linux" && got["kernel"] != "Linux" {
		t.Errorf("kernel %v", got["kernel"])
	}
}

func TestOSHasSaltsNames(t *testing.T) {
	for release, want := range map[string]fleet.Grains{
		"ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm": {
			"os": "Debian", "os_family": "Debian", "osfullname": "Debian GNU/Linux", "osrelease": "12", "osrelease_info": []any{12}, "osmajorrelease": 12,
			"oscodename": "bookworm", "osfinger": "Debian-12",
		},
		"ID=ubuntu\nID_LIKE=debian\nNAME=Ubuntu\nVERSION_ID='22.04'\nUBUNTU_CODENAME=jammy": {
			"os": "Ubuntu", "os_family": "Debian", "osfullname": "Ubuntu", "osrelease": "22.04", "osrelease_info": []any{22, 4}, "osmajorrelease": 22,
			"oscodename": "jammy", "osfinger": "Ubuntu-22.04",
		},
		"# x=y\nID=\"rocky\"\nNAME='Rocky Linux'\nVERSION_ID=\"9.3\"\nPRETTY_NAME='Rocky Linux 9.3 (Blue Onyx)'": {
			"os": "Rocky", "os_family": "RedHat", "osfullname": "Rocky Linux", "osrelease": "9.3", "osrelease_info": []any{9, 3}, "osmajorrelease": 9,
			"oscodename": "Rocky Linux 9.3 (Blue Onyx)", "osfinger": "Rocky Linux-9",
		},
		"ID=centos\nNAME=\"CentOS Stream\"\nVERSION_ID=9": {
			"os": "CentOS Stream", "os_family": "RedHat", "osfullname": "CentOS Stream", "osrelease": "9", "osrelease_info": []any{9}, "osmajorrelease": 9,
			"osfinger": "CentOS Stream-9",
		},
		"ID=opensuse-leap\nNAME='openSUSE Leap'\nVERSION_ID=15.5": {
			"os": "SUSE", "os_family": "Suse", "osfullname": "Leap", "osrelease": "15.5", "osrelease_info": []any{15, 5}, "osmajorrelease": 15, "osfinger": "Leap-15",
		},
		"ID=arch\nNAME=\"Arch Linux\"":                          {"os": "Arch", "os_family": "Arch", "osfullname": "Arch Linux"},
		"ID=new\nNAME=\"New Linux\"\nID_LIKE=\"x rhel fedora\"": {"os": "New", "os_family": "RedHat", "osfullname": "New Linux"},
		"": {"os": "Linux", "os_family": "Linux", "osfullname": "Linux"},
	} {
		want["osfamily"], want["lsb_distrib_id"] = want["os_family"], want["osfullname"]
		if want["osrelease"] != nil {
			want["lsb_distrib_release"] = want["osrelease"]
		}
		if want["oscodename"] != nil {
			want["lsb_distrib_codename"] = want["oscodename"]
		}
		got, err := probeOS(t.Context(), fstest.MapFS{"usr/lib/os-release": {Data: []byte(release)}})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v (%v), not %v", release, got, err, want)
		}
	}
	if _, err := probeOS(t.Context(), fstest.MapFS{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
}

func TestVirtual(t *testing.T) {
	const dmi = "sys/class/dmi/id/"
	for want, files := range map[string]map[string]string{
		"physical":  {dmi + "sys_vendor": "Dell Inc.\n", "proc/cpuinfo": "flags : fpu vmx\n"},
		"container": {".dockerenv": "", dmi + "sys_vendor": "QEMU\n"},
		"kvm":       {dmi + "sys_vendor": "QEMU\n", "proc/cpuinfo": "flags : fpu hypervisor\n"},
		"Nitro":     {dmi + "sys_vendor": "Amazon EC2\n", dmi + "product_name": "m5.large\n"},
		"VirtualPC": {dmi + "sys_vendor": "Microsoft Corporation\n", dmi + "product_name": "Virtual Machine\n"},
		"xen":       {"sys/hypervisor/type": "xen\n"},
		"unknown":   {"proc/cpuinfo": "flags : fpu hypervisor lahf\n", "proc/1/environ": "A=1\x00"},
	} {
		root := fstest.MapFS{}
		for name, content := range files {
			root[name] = &fstest.MapFile{Data: []byte(content)}
		}
		if got := virtual(root); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	if got := virtual(fstest.MapFS{"proc/1/environ": {Data: []byte("A=1\x00container=lxc\x00")}}); got != "container" {
		t.Errorf("lxc is %s", got)
	}
	if got := virtual(fstest.MapFS{dmi + "sys_vendor": {Data: []byte("Amazon EC2\n")}, dmi + "product_name": {Data: []byte("c5.metal\n")}}); got != "physical" {
		t.Errorf("metal is %s", got)
	}
}

// names is a resolver that a test makes.
type names struct {
	cname func(context.Context, string) (string, error)
	ips   []netip.Addr
}

func (n names) LookupCNAME(ctx context.Context, name string) (string, error) {
	return n.cname(ctx, name)
}

func (n names) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { return n.ips, nil }

func TestASlowNameServerDelaysNothing(t *testing.T) {
	slow := func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := hostNames(ctx, "web1", names{cname: slow}); got["fqdn"] != "web1" || got["host"] != "web1" || got["domain"] != "" {
		t.Errorf("%v", got)
	}
	bounded := func(ctx context.Context, _ string) (string, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > slowest {
			t.Error("the lookup is not bounded")
		}
		return "web1.example.com.", nil
	}
	got := hostNames(t.Context(), "web1", names{bounded, []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1")}})
	want := fleet.Grains{
		"nodename": "web1", "localhost": "web1", "fqdn": "web1.example.com", "host": "web1", "domain": "example.com", "fqdns": []any{"web1.example.com"},
		"fqdn_ip4": []any{"10.0.0.2"}, "fqdn_ip6": []any{"fd00::1"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestFQDNIsNotLocalhost(t *testing.T) {
	for name, canonical := range map[string]string{"web1": "localhost.localdomain.", "web2": "localhost", "web3.example.com": "other.example.com"} {
		got := hostNames(t.Context(), name, names{cname: func(context.Context, string) (string, error) { return canonical, nil }})
		if short, _, _ := strings.Cut(name, "."); got["fqdn"] != name || got["host"] != short {
			t.Errorf("%v", got)
		}
	}
}

func TestMachineID(t *testing.T) {
	got, err := probeMachineID(t.Context(), fstest.MapFS{"etc/machine-id": {Data: []byte("\n")}, "var/lib/dbus/machine-id": {Data: []byte("abc\n")}})
	if err != nil || got["machine_id"] != "abc" {
		t.Fatal(got, err)
	}
	if got, err := probeMachineID(t.Context(), fstest.MapFS{}); err != nil || len(got) != 0 {
		t.Fatal(got, err)
	}
}
