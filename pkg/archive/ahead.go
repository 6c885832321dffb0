package archive

import "io"

// Ahead reads from another reader before it is asked to, in a goroutine of its own: what gives bytes and what takes them
// work at the same time.
type Ahead struct {
	full chan chunk
	free chan []byte
	stop chan struct{}
	gone chan struct{} // closed when nothing reads any more

	now    chunk
	buffer []byte // that now is in
}

// chunk is some bytes, and what ended them.
type chunk struct {
	bytes []byte
	err   error
}

// ReadAhead begins to read from r: at most count buffers of size bytes. Whoever calls it calls Close.
func ReadAhead(r io.Reader, size, count int) *Ahead {
	a := &Ahead{full: make(chan chunk, count), free: make(chan []byte, count), stop: make(chan struct{}), gone: make(chan struct{})}
	for range count {
		a.free <- nil // made when it is needed
	}
	go a.fill(r, size)
	return a
}

func (a *Ahead) fill(r io.Reader, size int) {
	defer close(a.gone)
	for {
		select {
		case <-a.stop:
			return
		case b := <-a.free:
			if b == nil {
				b = make([]byte, size)
			}
			n, err := r.Read(b)
			a.full <- chunk{b[:n], err} // there is room for all buffers
			if err != nil {
				return
			}
		}
	}
}

// Read gives what the other reader gave, its error included. Not for concurrent use, and not after Close.
func (a *Ahead) Read(b []byte) (int, error) {
	for len(a.now.bytes) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.buffer != nil {
			a.free <- a.buffer
		}
		a.now = <-a.full
		a.buffer = a.now.bytes[:cap(a.now.bytes)]
	}
	n := copy(b, a.now.bytes)
	a.now.bytes = a.now.bytes[n:]
	return n, nil
}

// Close waits until nothing reads from the other reader any more: a Read that is under way has to end. Call it once.
func (a *Ahead) Close() {
	close(a.stop)
	<-a.gone
}
