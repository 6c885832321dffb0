package mount

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/statetest"
)

func TestFunctionsKeepToTheSuite(t *testing.T) {
	dir := t.TempDir()
	fstab, mounts := filepath.Join(dir, "fstab"), filepath.Join(dir, "mounts")
	old := filepath.Join(dir, "old")
	for name, text := range map[string]string{
		fstab: "# mine\n/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 " + old + " ext4 defaults 0 0\n", mounts: "/dev/sdb1 " + old + " ext4 rw 0 0\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	calls := statetest.Programs(t, map[string]string{
		"mount":  `echo "$6 $7 $4 rw 0 0" >> ` + mounts,
		"umount": `sed -i /sdb1/d ` + mounts,
	})
	data1 := filepath.Join(dir, "my data")
	statetest.Run(t, family{fstab, mounts}.states(),
		statetest.Example{
			Function: "mounted", Name: filepath.Join(dir, "data"), Touches: []string{dir}, Silent: true,
			Args: data.NewMap("device", "/dev/none", "fstype", "ext4", "opts", []any{"noatime", "ro"}, "mkmnt", true, "pass_num", int64(2)),
		},
		statetest.Example{
			Function: "mounted", Name: data1, Touches: []string{dir}, Silent: true,
			Args: data.NewMap("device", "tmpfs", "fstype", "tmpfs", "mount", false),
		},
		statetest.Example{Function: "unmounted", Name: old, Args: data.NewMap("persist", true), Touches: []string{dir}, Silent: true},
		statetest.Example{
			Function: "fstab_present", Name: "1234-ABCD", Touches: []string{dir}, Silent: true,
			Args: data.NewMap("fs_file", "/boot/efi", "fs_vfstype", "vfat", "mount_by", "uuid"),
		},
		statetest.Example{Function: "fstab_absent", Name: "tmpfs", Args: data.NewMap("fs_file", data1), Touches: []string{dir}, Silent: true},
	)
	want := "# mine\n/dev/sda1 / ext4 defaults 0 1\n/dev/none\t" + dir + "/data\text4\tnoatime,ro\t0\t2\nUUID=1234-ABCD\t/boot/efi\tvfat\tdefaults\t0\t0\n"
	if got, err := os.ReadFile(fstab); err != nil || string(got) != want {
		t.Errorf("fstab is\n%s\nwant\n%s\n%v", got, want, err)
	}
	ran := []string{"mount [-o] [noatime,ro] [-t] [ext4] [--] [/dev/none] [" + dir + "/data]", "umount [--] [" + old + "]"}
	if got := calls(); !slices.Equal(got, ran) {
		t.Errorf("programs were called: %q", got)
	}
}
