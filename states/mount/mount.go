// Package mount mounts file systems, now and at boot: Salt's mount states, over the host's mount and umount.
package mount

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/states/args"
	"github.com/brine-deploy/brine/states/conffile"
	"github.com/brine-deploy/brine/states/state"
	"github.com/brine-deploy/brine/states/tool"
)

// States are the functions of the family.
func States() state.Family { return family{"/etc/fstab", "/proc/self/mounts"}.states() }

type family struct{ fstab, mounts string }

func (f family) states() state.Family {
	common := []string{
		"device", "fstype", "mkmnt", "opts", "dump", "pass_num", "config", "persist", "mount", "user", "match_on", "device_name_regex",
		"extra_mount_invisible_options", "extra_mount_invisible_keys", "extra_mount_ignore_fs_keys", "extra_mount_translate_options", "hidden_opts",
		"bind_mount_copy_active_opts", "invisible_options",
	}
	return state.Family{
		"mounted": {
			Doc:    "Makes a device be mounted at name, and be in fstab unless persist is False. With mount: False, only fstab is seen to.",
			Params: common, Run: f.mounted,
		},
		"unmounted": {
			Doc:    "Makes nothing be mounted at name; with persist it leaves fstab too.",
			Params: []string{"device", "config", "persist", "user"}, Run: f.unmounted,
		},
		"fstab_present": {
			Doc: "Makes fstab (name is the device) have an entry.",
			Params: []string{
				"fs_file", "fs_vfstype", "fs_mntops", "fs_freq", "fs_passno", "mount_by", "config", "mount", "match_on", "not_change", "fs_mount",
			}, Run: f.fstabPresent,
		},
		"fstab_absent": {
			Doc:    "Takes an entry (name is the device, fs_file where it is mounted) from fstab.",
			Params: []string{"fs_file", "mount_by", "config"}, Run: f.fstabAbsent,
		},
	}
}

// entry is one line of fstab or of the kernel's list.
type entry struct{ device, dir, fstype, opts, dump, pass string }

func (e entry) String() string {
	esc := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`)
	return strings.Join([]string{esc.Replace(e.device), esc.Replace(e.dir), e.fstype, e.opts, e.dump, e.pass}, "\t")
}

func parse(line string) (entry, bool) {
	line, _, _ = strings.Cut(line, "#")
	f := strings.Fields(line)
	if len(f) < 4 {
		return entry{}, false
	}
	f = append(f, "0", "0")
	back := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	return entry{back.Replace(f[0]), back.Replace(f[1]), f[2], f[3], f[4], f[5]}, true
}

// active is what is mounted at a directory, the last one on top.
func (f family) active(dir string) (found entry, ok bool) {
	text, err := conffile.Read(f.mounts)
	if err != nil {
		return entry{}, false
	}
	for line := range strings.Lines(text) {
		if e, is := parse(line); is && e.dir == dir {
			found, ok = e, true
		}
	}
	return found, ok
}

// edit gives fstab with an entry for its directory, or without one.
func edit(text string, want entry, present bool) string {
	var b strings.Builder
	done := !present
	for line := range strings.Lines(text) {
		e, ok := parse(line)
		same := ok && e.dir == want.dir && (want.dir != "none" && want.dir != "swap" || e.device == want.device)
		switch {
		case !same:
			b.WriteString(line)
		case !done && e == want:
			b.WriteString(line)
			done = true
		case !done:
			b.WriteString(want.String() + "\n")
			done = true
		}
	}
	if !done {
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(want.String() + "\n")
	}
	return b.String()
}

func check(a *args.Reader, e entry) {
	for _, one := range []string{e.device, e.fstype, e.opts, e.dump, e.pass} {
		if strings.ContainsAny(one, "\r\n#") || one == "" {
			a.Wrong("%q cannot be in fstab", one)
		}
	}
	if !filepath.IsAbs(e.dir) && e.dir != "none" && e.dir != "swap" {
		a.Wrong("%q is no absolute path", e.dir)
	}
}

func (f family) mounted(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	want := entry{
		a.Need("device"), filepath.Clean(c.Name), a.Need("fstype"), strings.Join(a.Commas("opts"), ","), a.Text("dump", "0"), a.Text("pass_num", "0"),
	}
	if want.opts == "" {
		want.opts = "defaults"
	}
	config, persist, mount, mkdir := a.Text("config", f.fstab), a.Bool("persist", true), a.Bool("mount", true), a.Bool("mkmnt", false)
	check(a, want)
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := conffile.Read(config)
	if err != nil {
		return args.Failed("%v", err)
	}
	after := text
	if persist {
		after = edit(text, want, true)
	}
	at, up := f.active(want.dir)
	if up && mount && !sameDevice(at.device, want.device) {
		return args.Failed("%s has %s mounted, not %s: unmount it first", want.dir, at.device, want.device)
	}
	todo := mount && !up
	switch {
	case !todo && after == text && !mount:
		return args.Fine("%s not mounted, and its entry in fstab is in place", want.dir)
	case !todo && after == text:
		return args.Fine("Target was already mounted")
	case c.Test && todo:
		return args.Would(nil, "%s would be mounted", want.dir)
	case c.Test:
		return args.Would(nil, "Target was already mounted, and the entry in the fstab would be updated")
	}
	changes := data.NewMap()
	if todo {
		if _, err := os.Stat(want.dir); err != nil {
			if !mkdir {
				return args.Failed("Mount directory is not present")
			}
			if err := os.MkdirAll(want.dir, 0o755); err != nil { //nolint:gosec // others must get to what is mounted
				return args.Failed("%v", err)
			}
		}
		if out := tool.On(c).Run(ctx, "", "mount", "-o", want.opts, "-t", want.fstype, "--", want.device, want.dir); !out.OK() {
			return args.Failed("%s", out.Said())
		}
		changes.Set("mount", true)
	}
	return save(config, text, after, changes, "Target was successfully mounted", "Target was already mounted")
}

// save writes fstab where it is different, and makes the result.
func save(config, text, after string, changes *data.Map, done, fine string) state.Result {
	comment := done
	if changes.Len() == 0 {
		comment = fine
	}
	if after != text {
		if err := conffile.Write(config, after); err != nil {
			return args.Failed("%v", err)
		}
		changes.Set("persist", "update")
		comment += ". Updated the entry in the fstab."
	}
	return args.Done(changes, "%s", comment)
}

// sameDevice compares a device of fstab with that of the kernel's list.
func sameDevice(active, wanted string) bool {
	real := func(path string) string {
		for _, by := range [][2]string{{"UUID=", "uuid"}, {"LABEL=", "label"}, {"PARTUUID=", "partuuid"}, {"PARTLABEL=", "partlabel"}} {
			if rest, ok := strings.CutPrefix(path, by[0]); ok {
				path = "/dev/disk/by-" + by[1] + "/" + strings.Trim(rest, `"`)
			}
		}
		if p, err := filepath.EvalSymlinks(path); err == nil {
			return p
		}
		return path
	}
	return active == wanted || real(active) == real(wanted) || !strings.HasPrefix(real(wanted), "/dev/")
}

func (f family) unmounted(ctx context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	config, persist := a.Text("config", f.fstab), a.Bool("persist", false)
	dir, device := filepath.Clean(c.Name), a.Text("device", "")
	if !filepath.IsAbs(dir) {
		a.Wrong("%q is no absolute path", c.Name)
	}
	if res, bad := a.Bad(); bad {
		return res
	}
	text, err := conffile.Read(config)
	if err != nil {
		return args.Failed("%v", err)
	}
	after := text
	if persist {
		after = edit(text, entry{dir: dir, device: device}, false)
	}
	_, up := f.active(dir)
	switch {
	case !up && after == text:
		return args.Fine("Target was already unmounted")
	case c.Test:
		return args.Would(nil, "Mount point %s is mounted but should not be", dir)
	}
	changes := data.NewMap()
	if up {
		if out := tool.On(c).Run(ctx, "", "umount", "--", dir); !out.OK() {
			return args.Failed("%s", out.Said())
		}
		changes.Set("umount", true)
	}
	return save(config, text, after, changes, "Target was successfully unmounted", "Target was already unmounted")
}

func (f family) fstabPresent(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	want := entry{
		c.Name, a.Need("fs_file"), a.Need("fs_vfstype"), strings.Join(a.Commas("fs_mntops"), ","), a.Text("fs_freq", "0"), a.Text("fs_passno", "0"),
	}
	if want.opts == "" {
		want.opts = "defaults"
	}
	if by := a.Text("mount_by", ""); by != "" {
		if !slices.Contains([]string{"device", "label", "uuid", "partlabel", "partuuid"}, by) {
			a.Wrong("mount_by: %q is none of device, label, uuid, partlabel, partuuid", by)
		} else if by != "device" && !strings.Contains(want.device, "=") {
			want.device = strings.ToUpper(by) + "=" + want.device
		}
	}
	config := a.Text("config", f.fstab)
	check(a, want)
	if res, bad := a.Bad(); bad {
		return res
	}
	return fstab(c, config, want, true)
}

func (f family) fstabAbsent(_ context.Context, c *state.Call) state.Result {
	a := args.Of(c)
	want := entry{device: c.Name, dir: a.Need("fs_file")}
	config := a.Text("config", f.fstab)
	if res, bad := a.Bad(); bad {
		return res
	}
	return fstab(c, config, want, false)
}

func fstab(c *state.Call, config string, want entry, present bool) state.Result {
	text, err := conffile.Read(config)
	if err != nil {
		return args.Failed("%v", err)
	}
	after := edit(text, want, present)
	words, change := "present", "new"
	if !present {
		words, change = "absent", "removed"
	}
	switch {
	case after == text:
		return args.Fine("%s entry is already %s in %s.", want.dir, words, config)
	case c.Test:
		return args.Would(nil, "%s entry will be %s in %s.", want.dir, words, config)
	}
	if err := conffile.Write(config, after); err != nil {
		return args.Failed("%v", err)
	}
	return args.Done(data.NewMap("persist", change), "%s", fmt.Sprintf("%s entry is now %s in %s.", want.dir, words, config))
}
