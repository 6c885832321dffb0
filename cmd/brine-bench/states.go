package main

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/target"
)

// stateTree is a root of states: web has a managed file, an archive of 500 files and 5 MB, and a command; many has 1,000
// managed files. What they make is below out.
type stateTree struct{ root, out string }

func plantStates(dir string) (*stateTree, error) {
	t := &stateTree{filepath.Join(dir, "salt"), filepath.Join(dir, "out")}
	var many strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&many, "%s/many/f%d:\n  file.managed:\n    - contents: line %d\n    - makedirs: True\n", t.out, i, i)
	}
	at := t.out + "/{{ grains['id'] }}"
	err := os.MkdirAll(t.root, 0o700)
	for name, text := range map[string]string{
		"top.sls":  "base:\n  '*': [web]\n",
		"many.sls": many.String(),
		"web.sls": at + "/conf:\n  file.managed:\n    - contents: port {{ grains['num_cpus'] }}\n    - makedirs: True\n" +
			at + "/app:\n  archive.extracted:\n    - source: salt://app.tar.gz\n    - enforce_toplevel: False\n" +
			"'echo done > " + at + "/ran':\n  cmd.run:\n    - creates: " + at + "/ran\n",
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(t.root, name), []byte(text), 0o600))
	}
	return t, errors.Join(err, packRandom(filepath.Join(t.root, "app.tar.gz"), 500, 10<<10))
}

// packRandom writes an archive of files that do not get smaller.
func packRandom(name string, files, size int) error {
	out, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	defer out.Close()
	zipped := gzip.NewWriter(out)
	packed := tar.NewWriter(zipped)
	random, content := rand.NewChaCha8([32]byte{}), make([]byte, size)
	for i := range files {
		_, _ = random.Read(content) // never fails
		if err := packed.WriteHeader(&tar.Header{Name: fmt.Sprintf("app/f%03d", i), Mode: 0o644, Size: int64(size)}); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
		if _, err := packed.Write(content); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
	}
	return errors.Join(packed.Close(), zipped.Close())
}

// applying measures what states cost on one host, and from a minion's start to the return of its highstate.
func applying(ctx context.Context, all *bench) error {
	all.kill()
	o := all.options
	o.minions, o.active, o.profile = 0, 0, ""
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	defer func() { all.report.results = append(all.report.results, b.report.results...) }()
	tree, err := plantStates(b.dir)
	if err != nil {
		return err
	}
	for _, m := range []struct {
		name, mods, bar string
		cold            bool
	}{
		{"call --local, file, archive, command: cold", "web", "<= 0.25", true},
		{"call --local, file, archive, command: nothing to do", "web", "<= 0.05", false},
		{"call --local of 1,000 states: nothing to do", "many", "<= 0.5", false},
	} {
		if err := b.calling(ctx, tree, m.name, m.mods, m.bar, m.cold); err != nil {
			return err
		}
	}
	if err := b.aiming(); err != nil {
		return err
	}
	config, err := os.ReadFile(b.config())
	if err == nil {
		err = os.WriteFile(b.config(), append(config, []byte("states: {root: "+tree.root+"}\n")...), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.starting(ctx, tree, 1, "start of a minion to the return of its highstate", "<= 0.5"); err != nil {
		return err
	}
	return b.starting(ctx, tree, 10, "the same of 10 minions at once", "<= 1")
}

// spread adds the median of what was measured, and how far it lies apart.
func (b *bench) spread(name string, values []float64, unit, bar string) {
	b.report.alone(fmt.Sprintf("%s (%s to %s)", name, number(slices.Min(values)), number(slices.Max(values))), median(values), unit, bar)
}

func (b *bench) calling(ctx context.Context, tree *stateTree, name, mods, bar string, cold bool) error {
	var took []float64
	for range b.reps + 1 {
		if cold {
			if err := os.RemoveAll(tree.out); err != nil {
				return fmt.Errorf("begin anew: %w", err)
			}
		}
		cmd := exec.CommandContext(ctx, filepath.Join(b.bin, "brine-minion"), "call", "--local", "--id", "local", "--file-root", tree.root, "--output", "json", "state.apply", mods)
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(b.dir, "cache"))
		begun := time.Now()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %.500s", name, err, out)
		}
		took = append(took, time.Since(begun).Seconds())
	}
	b.spread(name, took[1:], "s", bar)
	return nil
}

// aiming measures a compound target on 10,000 minions, compiled each time.
func (b *bench) aiming() error {
	minions := make([]target.Subject, 10_000)
	for i := range minions {
		minions[i] = target.Subject{
			ID:     fleet.MinionID(fmt.Sprintf("web%d.example.com", i)),
			Grains: fleet.Grains{"os": "Debian", "roles": []any{[]any{"web", "db", "cache"}[i%3], "front"}, "ipv4": []any{"127.0.0.1", fmt.Sprintf("10.0.%d.%d", i/250, i%250)}},
			Tags:   fleet.Tags{"env": "prod"}, Pillar: map[string]any{"tier": "front"},
		}
	}
	var took []float64
	for range b.reps + 1 {
		begun, n := time.Now(), 0
		aim, err := target.Parse(`(web* or E@db\d+) and G@roles:web and not (P@os:(RedHat|Suse) or S@10.0.3.0/24) and I@tier:f* and T@env:prod`)
		if err != nil {
			return fmt.Errorf("parse target: %w", err)
		}
		for i := range minions {
			if aim.Match(minions[i]) {
				n++
			}
		}
		if took = append(took, ms(time.Since(begun))); n == 0 {
			return errors.New("the target matches nobody")
		}
	}
	b.spread("compound target on 10,000 minions", took[1:], "ms", "<= 20")
	return nil
}

// starting starts new minions at once and waits until the last one's highstate has returned.
func (b *bench) starting(ctx context.Context, tree *stateTree, n int, name, bar string) error {
	var took, idle []float64
	for round := range b.reps + 1 {
		if err := os.RemoveAll(tree.out); err != nil {
			return fmt.Errorf("begin anew: %w", err)
		}
		took1, idle1, err := b.startingOnce(ctx, n, fmt.Sprintf("n%d-%d-", n, round))
		if err != nil {
			return err
		}
		took, idle = append(took, took1), append(idle, idle1)
	}
	b.spread(name, took[1:], "s", bar)
	if n == 1 {
		b.spread("minion idle after its highstate, PSS", idle[1:], "MB", "<= 20")
	}
	return nil
}

func (b *bench) startingOnce(ctx context.Context, n int, prefix string) (took, idle float64, err error) {
	var token fleet.Token
	if err := b.post(ctx, "/v1/tokens", fleet.TokenRequest{Uses: n}, &token); err != nil {
		return 0, 0, err
	}
	started := make([]*exec.Cmd, n)
	for i := range started {
		dir := filepath.Join(b.dir, prefix+fmt.Sprint(i))
		path := filepath.Join(dir, "minion.yml")
		config := fmt.Sprintf("id: %s%d\nmaster: %s\nmaster_key: %s\ntoken: %s\nstate_dir: %s/state\nstartup: highstate\nlog: {level: warn}\n", prefix, i, b.bus, b.master, token.Text, dir)
		if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(path, []byte(config), 0o600)); err != nil {
			return 0, 0, fmt.Errorf("write configuration: %w", err)
		}
		started[i] = exec.Command(filepath.Join(b.bin, "brine-minion"), "--config", path)
		started[i].Stdout, started[i].Stderr = b.log, b.log
	}
	begun := time.Now()
	defer func() {
		for _, m := range started {
			if m.Process != nil {
				hurry(m)
			}
		}
	}()
	for _, m := range started {
		if err := m.Start(); err != nil {
			return 0, 0, fmt.Errorf("start a minion: %w", err)
		}
	}
	err = until(ctx, "the highstates have returned", func() bool {
		var jobs []fleet.JobSummary
		if b.get(ctx, "/v1/jobs?limit=20", &jobs) != nil {
			return false
		}
		done := 0
		for _, j := range jobs {
			if strings.HasPrefix(j.By, "minion:"+prefix) {
				done += j.Outcomes[fleet.Succeeded]
			}
		}
		return done == n
	})
	took = time.Since(begun).Seconds()
	if err == nil && n == 1 {
		err = pause(ctx, 2*time.Second)
		idle = mib(b.pss(started[0].Process.Pid))
	}
	return took, idle, err
}
