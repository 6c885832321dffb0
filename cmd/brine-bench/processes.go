package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// processes measures real minions: processes of their own, and the command line, with a master that knows nobody else.
func processes(ctx context.Context, all *bench) error {
	all.kill()
	o := all.options
	o.minions, o.active, o.profile = 0, 0, ""
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	defer func() { all.report.results = append(all.report.results, b.report.results...) }()
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	master := b.pss(b.proc.Process.Pid)
	minions, err := b.startMinions(ctx)
	defer func() {
		for _, m := range minions {
			hurry(m)
		}
	}()
	if err != nil {
		return err
	}
	var walls []float64
	for range b.reps + 1 {
		begun := time.Now()
		out, err := b.command(ctx, "run", "*", "test.ping")
		if err != nil {
			return fmt.Errorf("brine run: %w: %s", err, out)
		}
		walls = append(walls, time.Since(begun).Seconds())
	}
	b.report.against(fmt.Sprintf("brine run test.ping, %d minion processes", b.real), median(walls[1:]), "s", salt, saltPing, "")
	b.report.alone(fmt.Sprintf("brine run test.ping, %d minion processes", b.real), median(walls[1:]), "s", "<= 0.15")
	b.report.against("master without minions, PSS", mib(master), "MB", salt, saltMaster, "")
	b.report.alone("master without minions, PSS", mib(master), "MB", "<= 40")
	if err := pause(ctx, 3*time.Second); err != nil {
		return err
	}
	var each []float64
	for _, m := range minions {
		each = append(each, mib(b.pss(m.Process.Pid)))
	}
	b.report.against(fmt.Sprintf("minion process, PSS, one of %d", b.real), median(each), "MB", salt, saltMinion, "")
	b.report.alone("minion process, RSS", mib(rssOf(minions[0].Process.Pid)), "MB", "<= 20")
	return nil
}

// startMinions starts minions that enrol by a token, and waits until they are all connected.
func (b *bench) startMinions(ctx context.Context) ([]*exec.Cmd, error) {
	var token fleet.Token
	if err := b.post(ctx, "/v1/tokens", fleet.TokenRequest{Uses: b.real}, &token); err != nil {
		return nil, err
	}
	var started []*exec.Cmd
	for i := range b.real {
		id := fmt.Sprintf("real%02d", i)
		dir := filepath.Join(b.dir, id)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return started, fmt.Errorf("make directory: %w", err)
		}
		path := filepath.Join(dir, "minion.yml")
		config := fmt.Sprintf("id: %s\nmaster: %s\nmaster_key: %s\ntoken: %s\nstate_dir: %s/state\nlog: {level: warn}\n", id, b.bus, b.master, token.Text, dir)
		if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
			return started, fmt.Errorf("write configuration: %w", err)
		}
		cmd := exec.Command(filepath.Join(b.bin, "brine-minion"), "--config", path)
		cmd.Stdout, cmd.Stderr = b.log, b.log
		if err := cmd.Start(); err != nil {
			return started, fmt.Errorf("start a minion: %w", err)
		}
		started = append(started, cmd)
	}
	return started, until(ctx, "the minion processes are connected", func() bool {
		var minions []fleet.Minion
		return b.get(ctx, "/v1/minions", &minions) == nil && len(minions) == b.real
	})
}

func (b *bench) command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "brine"), args...)
	cmd.Env = append(os.Environ(), "BRINE_SOCKET="+b.socket())
	return cmd.CombinedOutput()
}

// rss is the memory of the master that is in use, in bytes.
func (b *bench) rss() int64 { return rssOf(b.proc.Process.Pid) }

func rssOf(pid int) int64 { return memory(pid, "Rss:") }

func (b *bench) pss(pid int) int64 { return memory(pid, "Pss:") }

// memory reads one line of a process's smaps_rollup; 0 when there is none.
func memory(pid int, name string) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(text) {
		if fields := strings.Fields(string(line)); len(fields) == 3 && fields[0] == name {
			kib, _ := strconv.ParseInt(fields[1], 10, 64) //nolint:errcheck // the kernel writes numbers
			return kib << 10
		}
	}
	return 0
}

// cpu is the processor time that the master has used.
func (b *bench) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.proc.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)   //nolint:errcheck // the kernel writes numbers
	system, _ := strconv.ParseInt(fields[12], 10, 64) //nolint:errcheck // the kernel writes numbers
	return time.Duration(user+system) * tick
}

// tick is USER_HZ, which is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
