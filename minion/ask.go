package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/wire"
)

// The patience with the master.
const (
	reunion   = 10 * time.Second       // to be connected
	slowReply = 2 * time.Minute        // for one answer
	busyPause = 200 * time.Millisecond // before a busy master is asked again
)

var errNotConnected = errors.New("not connected to the master")

// asker asks the master for what this minion needs, over whatever connection there is. A question that a cut connection
// leaves without an answer is asked again: none of them changes anything.
type asker struct {
	mu      sync.Mutex
	session *session            // guarded by mu; nil while there is no connection
	came    chan struct{}       // guarded by mu; closed when there is one
	gone    chan struct{}       // guarded by mu; closed when it ends
	last    uint64              // guarded by mu; number of the last question
	waiting map[uint64]chan any // guarded by mu; for a wire.Reply or a wire.Chunk
}

func newAsker() *asker {
	return &asker{came: make(chan struct{}), last: highstateRequest, waiting: map[uint64]chan any{}}
}

// attach lets questions go over a session, until detach.
func (a *asker) attach(s *session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.session, a.gone = s, make(chan struct{})
	close(a.came)
}

func (a *asker) detach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.session == nil {
		return
	}
	a.session, a.came = nil, make(chan struct{})
	close(a.gone)
}

// current is the connection that there is now, or nil.
func (a *asker) current() *session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.session
}

// deliver gives an answer to who waits for it.
func (a *asker) deliver(id uint64, answer any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.waiting[id]; ok {
		c <- answer // it has room for one
		delete(a.waiting, id)
	}
}

// ask sends a question and waits for its answer: the body of a reply, or the bytes of a piece.
func (a *asker) ask(ctx context.Context, kind string, question any) ([]byte, error) {
	body, err := json.Marshal(question)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, slowReply, fmt.Errorf("the master does not answer a request for %s", kind))
	defer cancel()
	for {
		answer, err := a.once(ctx, wire.Request{Kind: kind, Body: body})
		switch m := answer.(type) {
		case wire.Chunk:
			return m.Data, nil
		case wire.Reply:
			if m.Error == "" {
				return m.Body, nil
			}
			if m.Error != wire.Busy {
				return nil, errors.New(m.Error)
			}
			err = pause(ctx, busyPause)
		}
		if err != nil {
			return nil, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// once asks once. Both results are nil when the connection ended before the answer.
func (a *asker) once(ctx context.Context, q wire.Request) (any, error) {
	s, gone, err := a.connection(ctx)
	if err != nil {
		return nil, err
	}
	answer := make(chan any, 1)
	a.mu.Lock()
	a.last++
	q.ID = a.last
	a.waiting[q.ID] = answer
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.waiting, q.ID)
	}()
	if err := s.send(ctx, q); err != nil && ctx.Err() == nil {
		return nil, pause(ctx, busyPause)
	}
	select {
	case m := <-answer:
		return m, nil
	case <-gone:
		return nil, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// connection waits for a connection, not for long.
func (a *asker) connection(ctx context.Context) (*session, chan struct{}, error) {
	late := time.NewTimer(reunion)
	defer late.Stop()
	for {
		a.mu.Lock()
		s, gone, came := a.session, a.gone, a.came
		a.mu.Unlock()
		if s != nil {
			return s, gone, nil
		}
		select {
		case <-came:
		case <-late.C:
			return nil, nil, errNotConnected
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}
