package grains

import (
	"context"
	"errors"
	"log/slog"
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
	for _, name := range []string{"osfamily", "os_family", "kernelrelease", "cpuarch", "ipv4", "ipv6", "fqdn", "host", "virtual"} {
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
		"ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"": {"os": "Debian", "os_family": "Debian", "osrelease": "12", "osmajorrelease": 12},
		"ID=ubuntu\nID_LIKE=debian\nVERSION_ID='22.04'":           {"os": "Ubuntu", "os_family": "Debian", "osrelease": "22.04", "osmajorrelease": 22},
		"# x=y\nID=\"rocky\"\nVERSION_ID=\"9.3\"":                 {"os": "Rocky", "os_family": "RedHat", "osrelease": "9.3", "osmajorrelease": 9},
		"ID=centos\nNAME=\"CentOS Stream\"\nVERSION_ID=9":         {"os": "CentOS Stream", "os_family": "RedHat", "osrelease": "9", "osmajorrelease": 9},
		"ID=arch\nNAME=\"Arch Linux\"":                            {"os": "Arch", "os_family": "Arch"},
		"ID=new\nNAME=\"New Linux\"\nID_LIKE=\"x rhel fedora\"":   {"os": "New", "os_family": "RedHat"},
		"": {"os": "Linux", "os_family": "Linux"},
	} {
		want["osfamily"] = want["os_family"]
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

func TestASlowNameServerDelaysNothing(t *testing.T) {
	slow := func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := hostNames(ctx, "web1", slow); got["fqdn"] != "web1" || got["host"] != "web1" {
		t.Errorf("%v", got)
	}
	bounded := func(ctx context.Context, _ string) (string, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > slowest {
			t.Error("the lookup is not bounded")
		}
		return "web1.example.com.", nil
	}
	if got := hostNames(t.Context(), "web1", bounded); got["fqdn"] != "web1.example.com" {
		t.Errorf("%v", got)
	}
}

func TestFQDNIsNotLocalhost(t *testing.T) {
	for name, canonical := range map[string]string{"web1": "localhost.localdomain.", "web2": "localhost", "web3.example.com": "other.example.com"} {
		got := hostNames(t.Context(), name, func(context.Context, string) (string, error) { return canonical, nil })
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
