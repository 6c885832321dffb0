package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/brine-deploy/brine/cmd/internal/fleettest"
	"github.com/brine-deploy/brine/pkg/fleet"
)

// TestStatesAndPillarComeFromTheMaster applies states on two minions whose files and pillar are the master's.
func TestStatesAndPillarComeFromTheMaster(t *testing.T) {
	t.Parallel()
	dir, target := t.TempDir(), t.TempDir()
	large := strings.Repeat("0123456789abcdef", 3<<20/16) + "end"
	for name, text := range map[string]string{
		"first/top.sls":      "base:\n  '*': [web]\n",
		"first/web/init.sls": "include: [.sub]\nout:\n  file.managed:\n    - name: " + target + "/{{ grains['id'] }}\n    - contents: port {{ pillar['port'] }}, secret {{ pillar.get('secret', 'none') }}\n",
		"second/web/sub.sls": target + "/{{ grains['id'] }}.large:\n  file.managed:\n    - source: salt://data/large\n    - mode: '0640'\n",
		"second/data/large":  large,
		"pillar/top.sls":     "base:\n  '*': [all]\n  'web1': [one]\n  'G@rack:broken': [broken]\n",
		"pillar/all.sls":     "port: 8080\n",
		"pillar/one.sls":     "secret: of-web1\n",
		"pillar/broken.sls":  "x: {{ oops.there }}\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := fleettest.StartShop(t, fleettest.ShopConfig{
		Bin: bin, Minions: 2, Env: []string{"BRINE_STARTUP=none"},
		Master: "states: {root: [" + dir + "/first, " + dir + "/second], pillar: " + dir + "/pillar}\nnodegroups: {ours: 'L@web1,web2'}\n",
	})
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(target, name))
		if err != nil {
			t.Error(err)
		}
		return strings.TrimSpace(string(text))
	}

	s.Must(0, "run", "N@ours", "state.highstate", "test=True")
	if left, err := os.ReadDir(target); err != nil || len(left) > 0 {
		t.Errorf("test=true made %v, %v", left, err)
	}
	s.Must(0, "run", "*", "state.highstate")
	for id, want := range map[string]string{"web1": "port 8080, secret of-web1", "web2": "port 8080, secret none"} {
		if got := read(id); got != want {
			t.Errorf("%s: %q", id, got)
		}
		if got := read(id + ".large"); got != large {
			t.Errorf("%s: %d bytes of a large file", id, len(got))
		}
	}
	again := s.Must(0, "run", "*", "state.apply", "web", "-o", "json").Stdout
	if strings.Contains(again, `"changed":true`) || !strings.Contains(again, `"result":true`) {
		t.Errorf("the second time: %s", again)
	}

	batches := s.Must(0, "run", "*", "state.apply", "web", "--batch", "50%", "--state-output", "terse")
	if strings.Count(batches.Stderr, "batch of 1 minion") != 2 || strings.Count(batches.Stdout, "Result: Clean") != 4 {
		t.Errorf("in batches: %s%s", batches.Stderr, batches.Stdout)
	}
	if out := s.Must(1, "run", "web1", "state.apply", "missing", "--batch", "1", "-o", "json").Stdout; !strings.Contains(out, `"retcode":1`) || !strings.Contains(out, `"failed":["web1"]`) {
		t.Errorf("a missing SLS: %s", out)
	}
	if out := s.Must(0, "run", "web1", "state.single", "test.succeed_with_changes", "name=x").Stdout; !strings.Contains(out, "Succeeded: 1 (changed=1)") {
		t.Errorf("state.single: %s", out)
	}
	for _, show := range []string{"show_sls web", "show_low_sls web", "show_top", "show_states", "show_highstate", "show_lowstate"} {
		if out := s.Must(0, append([]string{"run", "web1"}, strings.Fields("state."+show)...)...).Stdout; !strings.Contains(out, "web") {
			t.Errorf("state.%s: %s", show, out)
		}
	}

	if out := s.Must(0, "run", "web2", "pillar.items", "-o", "json").Stdout; strings.Contains(out, "of-web1") || !strings.Contains(out, "8080") {
		t.Errorf("the pillar of web2: %s", out)
	}
	if out := s.Must(0, "pillar", "web1", "secret").Stdout; strings.TrimSpace(out) != "of-web1" {
		t.Errorf("brine pillar: %s", out)
	}

	if out := s.Must(0, "target", "I@secret:of-*").Stdout; strings.TrimSpace(out) != "web1" {
		t.Errorf("by pillar: %s", out)
	}

	s.Must(0, "grains", "set", "web2", "rack=broken")
	var minions []fleet.Minion
	if err := json.Unmarshal([]byte(s.Must(0, "minions", "G@rack:broken", "-o", "json").Stdout), &minions); err != nil || len(minions) != 1 || minions[0].ID != "web2" {
		t.Errorf("the grain is not known at once: %v, %v", minions, err)
	}
	refused := s.Must(1, "run", "web2", "state.apply", "web").Stdout
	if !strings.Contains(refused, "pillar:broken") || strings.Contains(refused, "oops") {
		t.Errorf("a minion is told of its wrong pillar: %s", refused)
	}
	if told := s.Must(1, "pillar", "web2"); !strings.Contains(told.Stderr, "broken.sls:1") {
		t.Errorf("an operator is not told: %s", told.Stderr)
	}
	if out := s.Must(0, "run", "web1", "state.apply", "web", "test=False").Stdout; !strings.Contains(out, "Summary for web1") || !strings.Contains(out, "Succeeded: 2") {
		t.Errorf("not in Salt's form: %s", out)
	}

	if out := s.Must(0, "doc", "state.apply", "--no-color").Stdout; !strings.Contains(out, "test=True") {
		t.Errorf("brine doc: %s", out)
	}
	if out := s.Must(0, "doc", "file.managed").Stdout; !strings.Contains(out, "file.managed") {
		t.Errorf("brine doc: %s", out)
	}
	if out := s.Must(0, "run", "web1", "cp.list_states").Stdout; !strings.Contains(out, "web.sub") {
		t.Errorf("%s", out)
	}
}
