package minion

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"sync"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/wire"
)

// highstateRequest numbers the requests for the highstate; those of the asker have higher numbers.
const highstateRequest = 1

const highstateFunction = "state.highstate"

// highstate is how far a run of the daemon has come to what its host should be at start:
//
//	wanted --request--> asked --job succeeded--> good --request, answered--> settled
//
// A job that failed leaves it at asked: no pool gets the host until a later state.highstate succeeds, whoever wants that.
type highstate struct {
	wanted bool // at start; does not change

	mu      sync.Mutex
	asked   bool // guarded by mu; there is a job that applies the states
	good    bool // guarded by mu; it, or a later one, has succeeded
	settled bool // guarded by mu; the master knows, and brings the groups' releases
}

// held says that no pool may have this host yet.
func (h *highstate) held() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted && !h.settled
}

// due is what to ask the master for next.
func (h *highstate) due() (q wire.HighstateRequest, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return wire.HighstateRequest{Groups: h.good}, h.wanted && !h.settled && (h.good || !h.asked)
}

func (h *highstate) answered(r wire.HighstateReply) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = true
	h.settled = h.settled || r.Job == ""
}

func (h *highstate) succeeded() (before bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.good = true
	return h.settled
}

// askHighstate asks for what is due of it, over a new connection or an old one.
func (s *session) askHighstate(ctx context.Context) error {
	q, ok := s.highstate.due()
	if !ok {
		return nil
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	return s.send(ctx, wire.Request{ID: highstateRequest, Kind: wire.RequestHighstate, Body: body})
}

func (s *session) highstateAnswered(m wire.Reply) {
	var reply wire.HighstateReply
	if m.Error != "" {
		s.log.Warn("highstate not given", "error", m.Error)
		return
	}
	if err := json.Unmarshal(m.Body, &reply); err != nil {
		s.log.Warn("highstate not understood", "error", err)
		return
	}
	s.highstate.answered(reply)
	if reply.Job == "" {
		s.log.Info("highstate asked for", "groups", reply.Groups)
	}
}

// own says whether a job is one that this minion has asked for.
func (m *Minion) own(job fleet.Job) bool {
	return job.By == "minion:"+m.cfg.ID
}

// applied asks for the groups' releases after a state.highstate that succeeded, when it is the first, or asked for by this
// minion.
func (m *Minion) applied(ctx context.Context, job fleet.Job, outcome fleet.Outcome) {
	if job.Function != highstateFunction || outcome != fleet.Succeeded || testing(job) {
		return
	}
	var err error
	switch settled := m.highstate.succeeded(); {
	case settled && m.own(job), !m.highstate.wanted && m.own(job):
		_, err = m.asker.ask(ctx, wire.RequestHighstate, wire.HighstateRequest{Groups: true, Again: true})
	case !settled && m.highstate.wanted:
		if s := m.asker.current(); s != nil { // else the next connection begins with it
			err = s.askHighstate(ctx)
		}
	}
	if err != nil && ctx.Err() == nil {
		m.log.WarnContext(ctx, "releases not asked for", "error", err)
	}
}

func testing(job fleet.Job) bool {
	_, named, err := arguments(job)
	test, _ := named.Get("test")
	return err != nil || modules.Truth(test)
}

// repeatHighstate asks for the highstate every now and then, as configured, until ctx is done.
func (m *Minion) repeatHighstate(ctx context.Context) {
	every, splay := m.cfg.HighstateTimes()
	if every <= 0 {
		return
	}
	for pause(ctx, every+rand.N(splay+1)) == nil { //nolint:gosec // only to spread the fleet
		if _, err := m.asker.ask(ctx, wire.RequestHighstate, wire.HighstateRequest{}); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "highstate not asked for", "error", err)
		}
	}
}
