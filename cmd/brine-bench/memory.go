package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// unpacking deploys 1 GiB, half of it small files and half large ones, to a real minion of a real master, and reads
// how much memory the minion had at most.
func unpacking(ctx context.Context, all *bench) error {
	all.kill()
	dir, err := inMemory()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // gone at the next boot
	o := all.options
	o.minions, o.active, o.real, o.profile = 0, 0, 1, ""
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	defer func() { all.report.results = append(all.report.results, b.report.results...) }()
	if err := errors.Join(growGiB(filepath.Join(dir, "tree")), b.application(ctx, dir)); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	minions, err := b.startMinions(ctx)
	defer func() {
		for _, m := range minions {
			hurry(m)
		}
	}()
	if err != nil {
		return err
	}
	before := mib(peakOf(minions[0].Process.Pid))
	if out, err := b.command(ctx, "deploy", "large", "all", "--yes"); err != nil {
		return fmt.Errorf("brine deploy: %w: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "root/current/large7")); err != nil {
		return fmt.Errorf("look at what was deployed: %w", err)
	}
	b.report.alone("minion process, RSS at most while it unpacks 1 GiB", mib(peakOf(minions[0].Process.Pid)), "MB", "<= 64")
	b.report.alone("  of that, before the job", before, "MB", "")
	return nil
}

// application makes one whose build step takes the tree in dir, to be released below dir.
func (b *bench) application(ctx context.Context, dir string) error {
	script := `git init -q -b main "$0/git" && cd "$0/git" && echo large >README && git add . &&
git -c user.name=bench -c user.email=bench@example.com commit -q -m one`
	if out, err := exec.CommandContext(ctx, "sh", "-ec", script, dir).CombinedOutput(); err != nil {
		return fmt.Errorf("make repository: %w: %s", err, out)
	}
	config := fmt.Sprintf(`name: large
source: {type: git, url: "file://%[1]s/git", ref: main}
build: {steps: [{run: "mv %[1]s/tree/* ."}]}
groups: {all: {target: "*", root: %[1]s/root, strategy: {batch: all}}}
`, dir)
	if err := os.WriteFile(filepath.Join(b.dir, "apps.d/large.yml"), []byte(config), 0o600); err != nil {
		return fmt.Errorf("write application: %w", err)
	}
	return nil
}

// growGiB makes 52,430 files of 10 KiB and eight of 64 MiB.
func growGiB(tree string) error {
	if err := grow(tree, "large", 200, 10<<10); err != nil {
		return err
	}
	var text []byte
	for i := range 200 {
		part, err := os.ReadFile(filepath.Join(tree, fmt.Sprintf("lib/part%03d/src/file%05d.js", i/perDirectory, i)))
		if err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
		text = append(text, part...)
	}
	for i := range 52_430 {
		dir := filepath.Join(tree, fmt.Sprintf("small%04d", i/100))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
		from := i * 997 % (len(text) - 10<<10)
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), text[from:from+10<<10], 0o644); err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
	}
	for i := range 8 {
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("large%d", i)), bytes.Repeat(text, 64<<20/len(text)), 0o644); err != nil {
			return fmt.Errorf("make tree: %w", err)
		}
	}
	return nil
}

// peakOf is the most memory in use that a process ever had, in bytes; 0 when it is not there.
func peakOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) //nolint:errcheck // the kernel writes numbers
			return kib << 10
		}
	}
	return 0
}
