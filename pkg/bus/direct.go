package bus

import (
	"errors"
	"sync"
	"syscall"
)

// attempt writes to a socket as much as it takes without waiting.
type attempt struct {
	bytes []byte
	done  int
	err   error
	try   func(fd uintptr) bool // made once: each time it would have to be allocated
}

var attempts = sync.Pool{New: func() any {
	a := &attempt{}
	a.try = func(fd uintptr) bool {
		for {
			a.done, a.err = syscall.Write(int(fd), a.bytes)
			if !errors.Is(a.err, syscall.EINTR) {
				return true
			}
		}
	}
	return a
}}

// write writes the beginning of bytes and returns how much that is.
func (a *attempt) write(to syscall.RawConn) (int, error) {
	a.done, a.err = 0, nil
	if err := to.Write(a.try); err != nil {
		return 0, err
	}
	if errors.Is(a.err, syscall.EAGAIN) {
		return 0, nil
	}
	return max(a.done, 0), a.err
}

// sendDirectly makes who pushes send, too: for many connections with one message each that is cheaper than a goroutine for each.
// For one connection with many messages it is not, since these are then not sent together.
func (o *outbox) sendDirectly() {
	if s, ok := o.raw.(syscall.Conn); ok {
		o.mu.Lock() // the timer runs already
		defer o.mu.Unlock()
		o.direct, _ = s.SyscallConn() //nolint:errcheck // then it is nil
	}
}
