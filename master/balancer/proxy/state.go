package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/brine-deploy/brine/master/balancer"
)

// state is what the state file holds: the members that are in, by pool and name. Those that are being let in or out are
// not: whoever ordered it orders it again.
type state map[string]map[string]memberState

type memberState struct {
	Address string          `json:"address"`
	Status  balancer.Status `json:"status"` // up or down
}

// open takes the members of file, if it exists, and keeps it up to date from now on. Who was up is up at once.
func (p *Proxy) open(file string) error {
	p.file = file
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state of the proxy: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("read state of the proxy: %s: %w; without the file the proxy begins with empty pools", file, err)
	}
	for name, members := range s {
		pool := p.pools[name]
		if pool == nil {
			continue // the configuration has dropped it
		}
		for member, was := range members {
			m := balancer.Member{Name: member, Address: was.Address}
			if err := balancer.CheckMember(name, m); err != nil {
				return fmt.Errorf("read state of the proxy: %s: %w", file, err)
			}
			if was.Status != balancer.Up {
				was.Status = balancer.Down
			}
			pool.members[member] = newMember(m, was.Status)
		}
	}
	return nil
}

// save writes the state file, atomically.
func (p *Proxy) save() error {
	p.saving.Lock()
	defer p.saving.Unlock()
	if p.file == "" {
		return nil
	}
	s := state{}
	for name, pool := range p.pools {
		s[name] = pool.state()
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode state of the proxy: %w", err)
	}
	if err := replace(p.file, append(text, '\n')); err != nil {
		return fmt.Errorf("write state of the proxy: %w", err)
	}
	return nil
}

// saveLater is save for those who have nobody to tell; the next change saves again.
func (p *Proxy) saveLater() {
	if err := p.save(); err != nil {
		p.log.Error("state of the proxy not saved", "error", err)
	}
}

func (p *pool) state() map[string]memberState {
	p.mu.Lock()
	defer p.mu.Unlock()
	members := map[string]memberState{}
	for name, m := range p.members {
		if m.status == balancer.Up || m.status == balancer.Down {
			members[name] = memberState{m.Address, m.status}
		}
	}
	return members
}

func replace(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
