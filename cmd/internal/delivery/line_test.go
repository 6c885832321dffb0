package delivery

import (
	"net"
	"sync"
	"testing"
)

// line is a network between a minion and its master that can be cut.
type line struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu
	dead  bool              // guarded by mu
	left  int               // guarded by mu; bytes to the master until the line is cut once; negative: no limit
	n     int               // guarded by mu; how often it was cut
	work  sync.WaitGroup
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &line{l: l, to: to, conns: map[net.Conn]bool{}, left: -1}
	n.work.Go(n.run)
	t.Cleanup(func() {
		l.Close()
		n.cut()
		n.work.Wait()
	})
	return n
}

func (n *line) addr() string { return n.l.Addr().String() }

func (n *line) run() {
	for {
		near, err := n.l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", n.to)
		if err != nil || !n.add(near, far) {
			near.Close()
			if far != nil {
				far.Close()
			}
			continue
		}
		n.work.Go(func() { n.copy(far, near, true) })
		n.work.Go(func() { n.copy(near, far, false) })
	}
}

func (n *line) add(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		n.conns[c] = true
	}
	return !n.dead
}

func (n *line) copy(to, from net.Conn, counted bool) {
	defer to.Close()
	defer from.Close()
	buf := make([]byte, 32<<10)
	for {
		k, err := from.Read(buf)
		if err != nil || counted && n.spend(k) {
			return
		}
		if _, err := to.Write(buf[:k]); err != nil {
			return
		}
	}
}

// spend reports whether the line is cut here.
func (n *line) spend(k int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left < 0 {
		return false
	}
	if n.left -= k; n.left < 0 {
		n.n++
		return true
	}
	return false
}

// cut ends all connections and lets no new one through.
func (n *line) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = true
	for c := range n.conns {
		c.Close()
		delete(n.conns, c)
	}
}

func (n *line) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = false
}

// cutAfter ends a connection in the middle, once.
func (n *line) cutAfter(bytes int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = bytes
}

func (n *line) cuts() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.n
}
