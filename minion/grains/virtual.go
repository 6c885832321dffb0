package grains

import (
	"context"
	"io/fs"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeVirtual finds virtual: container, the kind of the virtual machine, unknown for a virtual machine of another kind, or
// physical. It needs no rights and runs nothing.
func probeVirtual(_ context.Context, root fs.FS) (fleet.Grains, error) {
	return fleet.Grains{"virtual": virtual(root)}, nil
}

func virtual(root fs.FS) string {
	for _, name := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := fs.Stat(root, name); err == nil {
			return "container"
		}
	}
	if strings.Contains("\x00"+read(root, "proc/1/environ"), "\x00container=") {
		return "container"
	}
	var dmi strings.Builder
	for _, name := range []string{"sys_vendor", "product_name", "bios_vendor"} {
		dmi.WriteString(read(root, "sys/class/dmi/id/"+name))
	}
	for _, m := range machines() {
		if strings.Contains(dmi.String(), m.sign) {
			return m.virtual
		}
	}
	switch {
	case strings.HasPrefix(read(root, "sys/hypervisor/type"), "xen"):
		return "xen"
	case strings.Contains(read(root, "proc/cpuinfo"), " hypervisor"):
		return "unknown"
	default:
		return "physical"
	}
}

type machine struct{ sign, virtual string }

// machines gives Salt's names of what the firmware of virtual machines says of itself. A host of Amazon's without a
// hypervisor says so in its product's name.
func machines() []machine {
	return []machine{
		{"VirtualBox", "VirtualBox"},
		{"VMware", "VMware"},
		{"Parallels", "Parallels"},
		{"BHYVE", "bhyve"},
		{"Microsoft Corporation\nVirtual Machine", "VirtualPC"},
		{"Xen", "xen"},
		{".metal", "physical"},
		{"Amazon EC2", "Nitro"},
		{"QEMU", "kvm"},
		{"KVM", "kvm"},
		{"Bochs", "kvm"},
		{"SeaBIOS", "kvm"},
		{"Google Compute Engine", "kvm"},
		{"OpenStack", "kvm"},
		{"oVirt", "kvm"},
		{"RHEV Hypervisor", "kvm"},
	}
}

// read returns the content of a file, or nothing: none of those read here need exist.
func read(root fs.FS, name string) string {
	content, err := fs.ReadFile(root, name)
	if err != nil {
		return ""
	}
	return string(content)
}
