package bus

import "sync"

// window bounds what has been read of one connection and not been taken by Recv, so that a peer that sends for ever fills
// neither the memory nor the inbox: it waits for its own messages, and the others do not wait for it. A nil one bounds
// nothing.
type window struct {
	most          *Limits
	room          chan struct{} // gets a token whenever there may be room
	done, closing <-chan struct{}

	mu              sync.Mutex
	messages, bytes int // guarded by mu
}

func newWindow(most *Limits, done, closing <-chan struct{}) *window {
	return &window{most: most, room: make(chan struct{}, 1), done: done, closing: closing}
}

// wait returns when another message may be read, or nothing matters any more.
func (w *window) wait() {
	for w != nil && w.full() {
		select {
		case <-w.room:
		case <-w.done:
			return
		case <-w.closing:
			return
		}
	}
}

func (w *window) full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.messages >= w.most.UnreadMessages || w.bytes >= w.most.UnreadBytes
}

// add counts a message that was read.
func (w *window) add(n int) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages, w.bytes = w.messages+1, w.bytes+n
}

// taken counts a message that was given out.
func (w *window) taken(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages, w.bytes = w.messages-1, w.bytes-n
	select {
	case w.room <- struct{}{}:
	default:
	}
}
