package elbv2

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/google/renameio/v2"

	"github.com/brine-deploy/brine/master/balancer"
)

// names remembers at which address each member was let in: AWS knows ip targets by nothing else.
type names struct {
	own bool // the file is named by the balancer's section

	mu   sync.Mutex
	file string                       // guarded by mu; empty: memory alone
	of   map[string]map[string]string // guarded by mu; pool -> name -> address
}

func (n *names) load(file string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.own {
		n.file = file
	}
	text, err := os.ReadFile(n.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(text, &n.of); err != nil {
		return fmt.Errorf("read state %s: %w", n.file, err)
	}
	return nil
}

// put notes where a member is.
func (n *names) put(pool string, m balancer.Member) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.of[pool][m.Name] == m.Address {
		return nil
	}
	if n.of == nil {
		n.of = map[string]map[string]string{}
	}
	if n.of[pool] == nil {
		n.of[pool] = map[string]string{}
	}
	for name, address := range n.of[pool] {
		if address == m.Address {
			delete(n.of[pool], name) // it is somebody else's now
		}
	}
	n.of[pool][m.Name] = m.Address
	return n.save()
}

func (n *names) save() error {
	if n.file == "" {
		return nil
	}
	text, err := json.Marshal(n.of)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(n.file), 0o700); err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	if err := renameio.WriteFile(n.file, text, 0o600); err != nil {
		return fmt.Errorf("keep state: %w", err)
	}
	return nil
}

func (n *names) address(pool, name string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	address, ok := n.of[pool][name]
	return address, ok
}

// name is the member's at a target's address, or the address itself. Port is what the pool says instead of the member.
func (n *names) name(pool, target string, port int) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name, address := range n.of[pool] {
		if port != 0 {
			address = net.JoinHostPort(hostOf(address), strconv.Itoa(port))
		}
		if address == target {
			return name
		}
	}
	return target
}
