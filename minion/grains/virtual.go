package grains

import (
	"context"
	"io/fs"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeVirtual finds virtual: container, the kind of the virtual machine, unknown for a virtual machine of another kind, or
// physical; and virtual_subtype where Salt has one. It needs no rights and runs nothing.
func probeVirtual(_ context.Context, root fs.FS) (fleet.Grains, error) {
	found := fleet.Grains{"virtual": virtual(root)}
	switch found["virtual"] {
	case "container":
		found["virtual_subtype"] = containerKind(root)
	case "Nitro":
		found["virtual_subtype"] = "Amazon EC2"
	}
	return found, nil
}

// containerKind is Salt's name of what a container runs in.
func containerKind(root fs.FS) string {
	environ := "\x00" + read(root, "proc/1/environ")
	groups := read(root, "proc/1/cgroup")
	has := func(kind string) bool {
		return strings.Contains(environ, "\x00container="+kind) || read(root, "run/systemd/container") == kind
	}
	switch {
	case strings.Contains(environ, "\x00KUBERNETES_SERVICE_HOST=") || strings.Contains(groups, "kubepods"):
		return "kubernetes"
	case has("podman") || exists(root, "run/.containerenv"):
		return "Podman"
	case has("lxc") || strings.Contains(groups, "/lxc/"):
		return "LXC"
	case has("systemd-nspawn"):
		return "systemd-nspawn"
	case exists(root, "proc/vz") && !exists(root, "proc/bc"):
		return "OpenVZ"
	}
	return "Docker"
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
