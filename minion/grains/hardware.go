package grains

import (
	"context"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// probeHardware finds what the firmware says of the machine, and its disks. Some of it only root can read.
func probeHardware(_ context.Context, root fs.FS) (fleet.Grains, error) {
	found := fleet.Grains{"efi": exists(root, "sys/firmware/efi")}
	for grain, name := range map[string]string{
		"biosversion": "bios_version", "biosreleasedate": "bios_date", "biosvendor": "bios_vendor", "manufacturer": "sys_vendor",
		"productname": "product_name", "serialnumber": "product_serial", "uuid": "product_uuid", "boardname": "board_name",
	} {
		if value := strings.TrimSpace(read(root, "sys/class/dmi/id/"+name)); value != "" {
			found[grain] = value
		}
	}
	if id, ok := found["uuid"].(string); ok {
		found["uuid"] = strings.ToLower(id)
	}
	disks, ssds := []any{}, []any{}
	queues, err := fs.Glob(root, "sys/block/*/queue/rotational")
	if err != nil {
		return found, err
	}
	slices.Sort(queues)
	for _, name := range queues {
		disk := path.Base(path.Dir(path.Dir(name)))
		switch strings.TrimSpace(read(root, name)) {
		case "0":
			ssds = append(ssds, disk)
		case "1":
			disks = append(disks, disk)
		}
	}
	found["disks"], found["ssds"] = disks, ssds
	found["selinux"] = map[string]any{"enabled": exists(root, "sys/fs/selinux/enforce"), "enforced": enforced(root)}
	return found, nil
}

func enforced(root fs.FS) string {
	switch strings.TrimSpace(read(root, "sys/fs/selinux/enforce")) {
	case "1":
		return "Enforcing"
	case "0":
		return "Permissive"
	}
	return "Disabled"
}
