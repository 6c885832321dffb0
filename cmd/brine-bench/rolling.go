package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// rolled is how many real hosts a rolling deployment goes over.
const rolled = 6

// rolling measures deployments to real minions behind load balancers under steady load.
func rolling(ctx context.Context, all *bench) error {
	all.kill()
	for _, name := range []string{"haproxy", "nginx", "proxy"} {
		if _, err := exec.LookPath(name); name != "proxy" && err != nil {
			fmt.Printf("not measured: there is no %s\n", name)
			continue
		}
		if err := rollBehind(ctx, all, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func rollBehind(ctx context.Context, all *bench, name string) error {
	o := all.options
	o.minions, o.active, o.profile = 0, 0, ""
	b, err := newBench(o)
	if err != nil {
		return err
	}
	site := &site{bench: b, ports: map[string]string{}}
	defer func() {
		site.close()
		all.report.results = append(all.report.results, b.report.results...)
	}()
	if err := site.build(ctx, name); err != nil {
		return err
	}
	if _, err := site.roll(ctx, "/v1/deployments", "v1"); err != nil {
		return err
	}
	load := newLoad("http://" + site.front.address + "/")
	forth, err1 := site.roll(ctx, "/v1/deployments", "v2")
	back, err2 := site.roll(ctx, "/v1/rollbacks", "")
	asked, failed, first := load.stop()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if first != nil {
		fmt.Fprintln(os.Stderr, "the first request that failed:", first)
	}
	b.report.noted(name+": requests failed, v1, v2, rollback", float64(failed), "", "<= 0", fmt.Sprintf("of %d", asked))
	own := append(overheads(forth), overheads(back)...)
	b.report.noted(name+": brine's own time in a batch", median(own), "ms", "<= 100", spread(own))
	if name != "proxy" {
		return nil
	}
	return site.newcomers(ctx)
}

// site is minions of a bench that serve behind a load balancer.
type site struct {
	*bench
	front   front
	ports   map[string]string // addresses of the services, by minion
	minions []*exec.Cmd
}

func (s *site) close() {
	for _, m := range s.minions {
		hurry(m)
	}
	for id := range s.ports { // services outlive their minions
		exec.Command("sh", "-c", "kill $(cat "+filepath.Join(s.dir, id, "shop/shared/run/pid")+")").Run() //nolint:errcheck // it may have none
	}
	s.kill()
	if s.front.stop != nil {
		s.front.stop()
	}
	s.bench.close()
}

// build starts the load balancer, the master and the minions.
func (s *site) build(ctx context.Context, name string) error {
	ports, err := freePorts(rolled)
	if err != nil {
		return err
	}
	for i, port := range ports {
		s.ports[fmt.Sprintf("web%d", i+1)] = port
	}
	if s.front, err = startFront(name, s.dir, s.ports); err != nil {
		return err
	}
	if err := s.application(ctx); err != nil {
		return err
	}
	text, err := os.ReadFile(s.config())
	if err == nil {
		err = os.WriteFile(s.config(), append(text, "balancers: {front: "+s.front.section+"}\n"...), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	for id := range s.ports {
		if _, err := s.startMinion(ctx, id); err != nil {
			return err
		}
	}
	return until(ctx, "the minions are connected", func() bool {
		var list []fleet.Minion
		return s.get(ctx, "/v1/minions", &list) == nil && len(list) == rolled && !slices.ContainsFunc(list, func(m fleet.Minion) bool { return !m.Connected || m.Version == "" })
	})
}

// application writes a repository with hooks that do nothing but stop and start the service.
func (s *site) application(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	hooks := filepath.Join(s.dir, "shop", "hooks", "production")
	if err := os.MkdirAll(hooks, 0o755); err != nil {
		return fmt.Errorf("make hooks: %w", err)
	}
	for event, script := range map[string]string{
		"ApplicationStop":  "[ -f run/pid ] || exit 0\npid=$(cat run/pid)\nkill $pid 2>/dev/null || exit 0\nwhile grep -q '^State:.[^Z]' /proc/$pid/status 2>/dev/null; do sleep 0.01; done\nrm -f run/pid\n",
		"ApplicationStart": self + " web >>run/log 2>&1 &\necho $! >run/pid\n",
		"ValidateService":  "exec " + self + " web check\n",
	} {
		if err := os.WriteFile(filepath.Join(hooks, event+".sh"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
			return fmt.Errorf("make hook: %w", err)
		}
	}
	if err := commits(ctx, filepath.Join(s.dir, "shop")); err != nil {
		return err
	}
	text := fmt.Sprintf(`name: shop
source: {type: git, url: "file://%[1]s/shop", ref: main}
groups:
  production:
    target: "*"
    root: %[1]s/{id}/shop
    shared: [port, run/]
    balancer: {use: front, pool: shop, address: "{tags.address}", drain_timeout: 20s, healthy_timeout: 20s}
`, s.dir)
	if err := os.WriteFile(s.shopFile(), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write application: %w", err)
	}
	return nil
}

// startMinion starts a minion that enrols by a token, and gives the time of that.
func (s *site) startMinion(ctx context.Context, id string) (begun time.Time, err error) {
	var token fleet.Token
	if err := s.post(ctx, "/v1/tokens", fleet.TokenRequest{Uses: 1}, &token); err != nil {
		return begun, err
	}
	dir := filepath.Join(s.dir, id)
	if err := os.MkdirAll(filepath.Join(dir, "shop", "shared"), 0o755); err != nil {
		return begun, fmt.Errorf("make directory: %w", err)
	}
	config := fmt.Sprintf("id: %s\nmaster: %s\nmaster_key: %s\ntoken: %s\nstate_dir: %s/state\nstartup: highstate\ntags: {address: %q}\nlog: {level: warn}\n",
		id, s.bus, s.master, token.Text, dir, s.ports[id])
	path := filepath.Join(dir, "minion.yml")
	err = errors.Join(os.WriteFile(path, []byte(config), 0o600), os.WriteFile(filepath.Join(dir, "shop/shared/port"), []byte(s.ports[id]+"\n"), 0o644))
	if err != nil {
		return begun, fmt.Errorf("write configuration: %w", err)
	}
	cmd := exec.Command(filepath.Join(s.bin, "brine-minion"), "--config", path)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	begun = time.Now()
	if err := cmd.Start(); err != nil {
		return begun, fmt.Errorf("start a minion: %w", err)
	}
	s.minions = append(s.minions, cmd)
	return begun, nil
}

// newcomers measures how long a host that is started takes to serve.
func (s *site) newcomers(ctx context.Context) error {
	var took []float64
	for i := range s.reps {
		ports, err := freePorts(1)
		if err != nil {
			return err
		}
		id := fmt.Sprintf("new%d", i)
		s.ports[id] = ports[0]
		begun, err := s.startMinion(ctx, id)
		if err != nil {
			return err
		}
		if err := until(ctx, "the newcomer is in its pool", func() bool { return s.stands(ctx, id) == "up" }); err != nil {
			return err
		}
		took = append(took, time.Since(begun).Seconds())
	}
	s.report.noted("newcomer, from its start into the pool", median(took), "s", "<= 1", spread(took))
	return nil
}

// stands is where a minion stands in its pool.
func (s *site) stands(ctx context.Context, id string) string {
	var status fleet.Status
	if s.get(ctx, "/v1/status", &status) != nil || len(status.Groups) == 0 {
		return ""
	}
	for _, m := range status.Groups[0].Minions {
		if string(m.Minion) == id {
			return m.Pool
		}
	}
	return ""
}

// overheads are, for each minion, the milliseconds from its drain to its health in which neither the balancer nor a hook
// was at work.
func overheads(d fleet.Deployment) (list []float64) {
	for _, m := range d.Minions {
		var begun, ended time.Time
		var others time.Duration
		for _, e := range m.Events {
			switch e.Event {
			case fleet.BlockTraffic:
				begun = e.Started
			case fleet.AllowTraffic:
				ended = e.Ended
			case fleet.DownloadBundle, fleet.Install:
				continue // ours
			}
			others += e.Ended.Sub(e.Started)
		}
		list = append(list, ms(ended.Sub(begun)-others))
	}
	return list
}

// load is users of a front, some on connections that they keep and some on new ones.
type load struct {
	end           context.CancelFunc
	users         sync.WaitGroup
	asked, failed atomic.Int64
	first         atomic.Pointer[error]
}

const (
	users     = 4
	thinkTime = 5 * time.Millisecond
)

func newLoad(url string) *load {
	ctx, end := context.WithCancel(context.Background())
	l := &load{end: end}
	for i := range users {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: i%2 == 1}}
		l.users.Go(func() {
			defer client.CloseIdleConnections()
			for ctx.Err() == nil {
				l.asked.Add(1)
				if _, err := get(context.WithoutCancel(ctx), client, url); err != nil {
					l.failed.Add(1)
					l.first.CompareAndSwap(nil, &err)
				}
				time.Sleep(thinkTime)
			}
		})
	}
	return l
}

func (l *load) stop() (asked, failed int64, first error) {
	l.end()
	l.users.Wait()
	if e := l.first.Load(); e != nil {
		first = *e
	}
	return l.asked.Load(), l.failed.Load(), first
}
