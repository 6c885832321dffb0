package modules

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/brine-deploy/brine/pkg/data"
)

func diskFamily() map[string]Function {
	return map[string]Function{
		"disk.usage": {
			Doc: "How full the file systems are, by where they are mounted, in KiB.\nargs\n  disk.usage", Params: []string{"args"},
			Run: func(context.Context, *Env, *data.Map) (any, error) { return diskUsage() },
		},
		"disk.percent": {
			Doc: "How full the file systems are, or the one mounted there.\nargs: where\n  disk.percent /", Params: []string{"args"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) {
				all, err := diskUsage()
				if err != nil {
					return nil, err
				}
				out := &data.Map{}
				for at, entry := range all.All() {
					out.Set(at, arg(entry.(*data.Map), "capacity", ""))
				}
				if at := stringArg(args, "args", ""); at != "" {
					return arg(out, at, nil), nil
				}
				return out, nil
			},
		},
	}
}

// diskUsage is what df -P says: file systems that hold nothing are left out.
func diskUsage() (*data.Map, error) {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	out := &data.Map{}
	for line := range strings.Lines(string(mounts)) {
		parts := strings.Fields(line)
		if len(parts) < 2 {
			continue
		}
		at := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(parts[1])
		var s syscall.Statfs_t
		if err := syscall.Statfs(at, &s); err != nil || s.Blocks == 0 {
			continue
		}
		kib := func(blocks uint64) string { return strconv.FormatUint(blocks*uint64(s.Bsize)/1024, 10) }
		used, percent := s.Blocks-s.Bfree, uint64(0)
		if of := used + s.Bavail; of > 0 {
			percent = (used*100 + of - 1) / of
		}
		out.Set(at, data.NewMap(
			"filesystem", parts[0], "1K-blocks", kib(s.Blocks), "used", kib(used), "available", kib(s.Bavail), "capacity", fmt.Sprintf("%d%%", percent)))
	}
	return out, nil
}

func statusFamily() map[string]Function {
	simple := func(doc string, run func() (any, error)) Function {
		return Function{Doc: doc, Run: func(context.Context, *Env, *data.Map) (any, error) { return run() }}
	}
	return map[string]Function{
		"status.loadavg":   simple("The load of the last 1, 5 and 15 minutes.\n  status.loadavg", loadavg),
		"status.uptime":    simple("How long this host is up.\n  status.uptime", uptime),
		"status.meminfo":   simple("What the kernel says of the memory.\n  status.meminfo", meminfo),
		"status.cpuinfo":   simple("What the kernel says of the last processor.\n  status.cpuinfo", cpuinfo),
		"status.diskusage": simple("The bytes of the file systems, by where they are mounted.\n  status.diskusage", diskBytes),
		"status.nproc":     simple("How many processors may be used.\n  status.nproc", func() (any, error) { return int64(runtime.NumCPU()), nil }),
		"status.version": simple("What the kernel says of itself.\n  status.version", func() (any, error) {
			text, err := os.ReadFile("/proc/version")
			return strings.TrimSpace(string(text)), err
		}),
		"status.pid": {
			Doc: "The process ids whose command line a regular expression is found in, a line each.\nsig\n  status.pid sshd", Params: []string{"sig"},
			Run: func(_ context.Context, _ *Env, args *data.Map) (any, error) { return pids(stringArg(args, "sig", "")) },
		},
	}
}

func loadavg() (any, error) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return nil, err
	}
	out, fields := &data.Map{}, strings.Fields(string(text))
	for i, name := range []string{"1-min", "5-min", "15-min"} {
		f, err := strconv.ParseFloat(fields[min(i, len(fields)-1)], 64)
		if err != nil {
			return nil, fmt.Errorf("read load: %w", err)
		}
		out.Set(name, f)
	}
	return out, nil
}

func uptime() (any, error) {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return nil, err
	}
	up, _, _ := strings.Cut(string(text), " ")
	seconds, err := strconv.ParseFloat(up, 64)
	if err != nil {
		return nil, fmt.Errorf("read uptime: %w", err)
	}
	since := time.Now().Add(-time.Duration(seconds * float64(time.Second))).UTC()
	whole := int64(seconds)
	return data.NewMap(
		"seconds", whole, "since_iso", since.Format("2006-01-02T15:04:05.000000"), "since_t", since.Unix(),
		"days", whole/86400, "time", fmt.Sprintf("%d:%d", whole%86400/3600, whole%3600/60)), nil
}

func meminfo() (any, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return nil, err
	}
	out := &data.Map{}
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if !ok || len(fields) == 0 {
			continue
		}
		entry := data.NewMap("value", fields[0])
		if len(fields) > 1 {
			entry.Set("unit", fields[1])
		}
		out.Set(name, entry)
	}
	return out, nil
}

func cpuinfo() (any, error) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return nil, err
	}
	out := &data.Map{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			continue
		}
		if value = strings.TrimSpace(value); name == "flags" || name == "Features" {
			out.Set(name, list(strings.Fields(value)))
		} else {
			out.Set(name, value)
		}
	}
	return out, lines.Err()
}

func diskBytes() (any, error) {
	all, err := diskUsage()
	if err != nil {
		return nil, err
	}
	out := &data.Map{}
	for at := range all.All() {
		var s syscall.Statfs_t
		if err := syscall.Statfs(Text(at), &s); err == nil {
			out.Set(at, data.NewMap("available", int64(s.Bavail)*s.Bsize, "total", int64(s.Blocks)*s.Bsize))
		}
	}
	return out, nil
}

func pids(sig string) (any, error) {
	re, err := regexp.Compile(sig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrArguments, err)
	}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var found []int
	for _, dir := range dirs {
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if err == nil && pid != os.Getpid() && re.Match(bytes.ReplaceAll(line, []byte{0}, []byte(" "))) {
			found = append(found, pid)
		}
	}
	slices.Sort(found)
	lines := make([]string, len(found))
	for i, pid := range found {
		lines[i] = strconv.Itoa(pid)
	}
	return strings.Join(lines, "\n"), nil
}
