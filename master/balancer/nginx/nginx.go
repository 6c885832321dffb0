// Package nginx drives an nginx that runs on the master's own host. A pool is an upstream, in a file of its own that brine
// writes; nginx.conf includes it (brine doctor writes the files that are missing):
//
//	http {
//	    include /etc/nginx/brine.d/*.conf;
//	    server {
//	        location / { proxy_pass http://shop; }
//	    }
//	}
//
// A change writes the file, lets nginx check it (nginx -t), reloads, and waits until new workers serve. Changes that come
// at the same time share one reload. nginx says nothing of health, so the driver asks a member itself before it lets it in.
//
// After a reload the old workers finish what they have. A drain waits until none of them holds a connection to the member;
// when its time is up, those that do are ended, with all else that they hold. A connection that is kept open for nothing
// ends with its worker. The brine-master must be root, or nginx's own user.
package nginx

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sync/errgroup"

	"github.com/brine-deploy/brine/master/balancer"
)

// Nginx is one nginx. What it remembers is in the upstreams' files.
type Nginx struct {
	pools  map[string]PoolConfig
	dir    string
	server server
	check  *http.Client

	turn   chan struct{} // held by whoever changes the files and reloads
	loaded bool          // guarded by turn; nginx has read the files as they are

	mu      *sync.Mutex
	pending []*change           // guarded by mu; not taken up yet
	taken   []*change           // guarded by mu; being applied: nginx may not have read them yet
	letting map[string][]string // guarded by mu; members that are being checked to be let in, by pool
}

var (
	_ balancer.Balancer = (*Nginx)(nil)
	_ balancer.Switcher = (*Nginx)(nil)
)

// change is new lines of a pool.
type change struct {
	pool    string
	members []member
	done    bool // guarded by turn
	err     error
}

// Drain implements balancer.Balancer.
func (n *Nginx) Drain(ctx context.Context, pool string, m balancer.Member) error {
	if err := n.known(pool, m.Name); err != nil {
		return err
	}
	if err := n.drain(ctx, pool, m.Name); err != nil {
		return fmt.Errorf("drain %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

func (n *Nginx) drain(ctx context.Context, pool, name string) error {
	u, err := n.read(pool)
	if err != nil {
		return err
	}
	now, there := u.find(name)
	if !there {
		return nil
	}
	now.down = true
	if err := n.put(ctx, pool, now); err != nil {
		return err
	}
	err = poll(ctx, func() (bool, error) {
		holding, err := n.server.holding(now.address)
		return len(holding) == 0, err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	holding, err := n.server.holding(now.address)
	for _, pid := range holding {
		_ = syscall.Kill(pid, syscall.SIGTERM) // gone is as good
	}
	return err
}

// Activate implements balancer.Balancer. A host name as the address is resolved here, once.
func (n *Nginx) Activate(ctx context.Context, pool string, m balancer.Member) error {
	if err := errors.Join(n.known(pool, m.Name), balancer.CheckMember(pool, m)); err != nil {
		return err
	}
	at, err := balancer.Resolve(ctx, m.Address)
	if err == nil {
		err = n.activate(ctx, pool, member{name: m.Name, address: at.String()})
	}
	if err != nil {
		return fmt.Errorf("activate %s in %s: %w", m.Name, pool, err)
	}
	return nil
}

func (n *Nginx) activate(ctx context.Context, pool string, m member) error {
	if err := n.prove(ctx, pool, m); err != nil {
		return err
	}
	return n.put(ctx, pool, m)
}

// Switch implements balancer.Switcher: one reload takes all of it.
func (n *Nginx) Switch(ctx context.Context, pool string, in, out []balancer.Member) error {
	proving, pctx := errgroup.WithContext(ctx)
	proving.SetLimit(atOnce)
	lines := make([]member, len(in), len(in)+len(out))
	for i, m := range in {
		proving.Go(func() error {
			if err := errors.Join(n.known(pool, m.Name), balancer.CheckMember(pool, m)); err != nil {
				return err
			}
			at, err := balancer.Resolve(pctx, m.Address)
			lines[i] = member{name: m.Name, address: at.String()}
			if err == nil {
				err = n.prove(pctx, pool, lines[i])
			}
			if err != nil {
				return fmt.Errorf("switch %s in %s: %w", m.Name, pool, err)
			}
			return nil
		})
	}
	if err := proving.Wait(); err != nil {
		return err
	}
	u, err := n.read(pool)
	if err != nil {
		return err
	}
	for _, m := range out {
		if line, there := u.find(m.Name); there {
			line.down = true
			lines = append(lines, line)
		}
	}
	if err := n.put(ctx, pool, lines...); err != nil {
		return fmt.Errorf("switch %s: %w", pool, err)
	}
	for _, m := range out {
		if err := n.Drain(ctx, pool, m); err != nil {
			return err
		}
	}
	return nil
}

// atOnce bounds how many members are asked for their health at the same time.
const atOnce = 32

// prove returns when a member is healthy.
func (n *Nginx) prove(ctx context.Context, pool string, m member) error {
	defer n.admitting(pool, m.name)()
	last := errors.New("none yet")
	health := n.pools[pool].Health
	for passed, rise := 0, cmp.Or(health.Rise, 2); passed < rise; {
		err := n.probe(ctx, health, m.address)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("not healthy in time: last check: %w: %w", last, ctx.Err())
		case err == nil:
			passed++
		default:
			passed, last = 0, err
		}
		if passed < rise && pause(ctx, health.pause()) != nil {
			return fmt.Errorf("not healthy in time: last check: %w: %w", last, ctx.Err())
		}
	}
	return nil
}

// admitting notes that a member is being checked, until it is told otherwise.
func (n *Nginx) admitting(pool, name string) (done func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.letting == nil {
		n.letting = map[string][]string{}
	}
	n.letting[pool] = append(n.letting[pool], name)
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if i := slices.Index(n.letting[pool], name); i >= 0 {
			n.letting[pool] = slices.Delete(n.letting[pool], i, i+1)
		}
	}
}

// probe asks a member once.
func (n *Nginx) probe(ctx context.Context, h Health, address string) error {
	ctx, cancel := context.WithTimeout(ctx, h.limit())
	defer cancel()
	if h.Path == "" {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+h.Path, nil)
	if err != nil {
		return err
	}
	resp, err := n.check.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<20)
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return fmt.Errorf("%s answered %s", h.Path, resp.Status)
	}
	return nil
}

// Members implements balancer.Balancer. Those that are in are asked for their health, a few at a time.
func (n *Nginx) Members(ctx context.Context, pool string) (map[string]balancer.Status, error) {
	if err := n.known(pool); err != nil {
		return nil, err
	}
	u, err := n.read(pool)
	if err == nil && u == nil {
		err = n.save(pool, u) // nginx does not start without the upstream
	}
	if err != nil {
		return nil, err
	}
	if _, err := n.server.master(); err != nil {
		return nil, fmt.Errorf("balancer: %w", err)
	}
	out := map[string]balancer.Status{}
	n.mu.Lock()
	for _, name := range n.letting[pool] {
		out[name] = balancer.Checking
	}
	n.mu.Unlock()
	var mu sync.Mutex
	var asking sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for _, m := range u {
		asking.Go(func() {
			slots <- struct{}{}
			status := n.standing(ctx, pool, m)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if status != balancer.Out || out[m.name] == "" {
				out[m.name] = status
			}
		})
	}
	asking.Wait()
	return out, ctx.Err()
}

func (n *Nginx) standing(ctx context.Context, pool string, m member) balancer.Status {
	if !m.down {
		if n.probe(ctx, n.pools[pool].Health, m.address) != nil {
			return balancer.Down
		}
		return balancer.Up
	}
	holding, err := n.server.holding(m.address)
	switch {
	case err == nil && len(holding) == 0:
		return balancer.Out
	case n.applying(pool, m.name):
		return balancer.Up // it may still get requests
	default:
		return balancer.Draining
	}
}

func (n *Nginx) applying(pool, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.taken, func(c *change) bool {
		return c.pool == pool && slices.ContainsFunc(c.members, func(m member) bool { return m.name == name })
	})
}

// put brings members' lines about, and returns when workers serve that have read them. While nginx does not run it waits.
func (n *Nginx) put(ctx context.Context, pool string, lines ...member) error {
	c := &change{pool: pool, members: lines}
	n.mu.Lock()
	n.pending = append(n.pending, c)
	n.mu.Unlock()
	for {
		select {
		case n.turn <- struct{}{}:
		case <-ctx.Done():
			return n.withdraw(c, ctx.Err())
		}
		if !c.done {
			n.apply(ctx)
		}
		done, err := c.done, c.err
		<-n.turn
		if done && !errors.Is(err, errNotRunning) {
			return err
		}
		if perr := pause(ctx, 50*time.Millisecond); perr != nil {
			return n.withdraw(c, fmt.Errorf("%w: %w", perr, err))
		}
		n.mu.Lock()
		c.done = false
		n.pending = append(n.pending, c)
		n.mu.Unlock()
	}
}

// withdraw takes back what was not taken up yet.
func (n *Nginx) withdraw(c *change, why error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = slices.DeleteFunc(n.pending, func(o *change) bool { return o == c })
	return why
}

// apply takes all that is pending up with one reload. A file that nginx does not like is put back.
func (n *Nginx) apply(ctx context.Context) {
	n.mu.Lock()
	changes := n.pending
	n.pending, n.taken = nil, changes
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.taken = nil
	}()
	// Once begun it is finished: others have their changes in it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := n.write(ctx, changes)
	for _, c := range changes {
		c.done, c.err = true, err
	}
}

func (n *Nginx) write(ctx context.Context, changes []*change) (err error) {
	if _, err := n.server.master(); err != nil {
		return err
	}
	before := map[string]upstream{}
	after := map[string]upstream{}
	for _, c := range changes {
		if _, read := before[c.pool]; !read {
			if before[c.pool], err = n.read(c.pool); err != nil {
				return err
			}
			after[c.pool] = before[c.pool]
		}
		for _, m := range c.members {
			after[c.pool] = after[c.pool].with(m)
		}
	}
	changed := !n.loaded
	n.loaded = false
	for _, pool := range slices.Sorted(maps.Keys(after)) {
		if same := slices.Equal(before[pool], after[pool]); !same {
			changed = true
			if err := n.save(pool, after[pool]); err != nil {
				return err
			}
		}
	}
	if changed {
		err = n.server.test(ctx)
	}
	if changed && err == nil {
		err = n.server.reload(ctx)
	}
	if err != nil && !errors.Is(err, errNotRunning) { // the next nginx would read it as it starts
		for pool, u := range before {
			err = errors.Join(err, n.save(pool, u))
		}
	}
	n.loaded = err == nil
	return err
}

func (n *Nginx) save(pool string, u upstream) error {
	if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return fmt.Errorf("make directory of upstreams: %w", err)
	}
	if err := renameio.WriteFile(n.file(pool), []byte(u.format(pool, n.pools[pool])), 0o644); err != nil {
		return fmt.Errorf("write upstream %s: %w", pool, err)
	}
	return nil
}

// known refuses a pool that is not configured, and names that cannot be written.
func (n *Nginx) known(pool string, members ...string) error {
	if _, ok := n.pools[pool]; !ok {
		return balancer.UnknownPool(pool, slices.Collect(maps.Keys(n.pools)))
	}
	for _, name := range members {
		if !memberWord.MatchString(name) {
			return fmt.Errorf("member %q: letters, digits and . _ : @ - are wanted", name)
		}
	}
	return nil
}
