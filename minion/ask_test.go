package minion_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/wire"
)

// call makes a job of a function that the master signed.
func (s *stage) call(seq uint64, id fleet.JobID, function string, call fleet.Call) wire.Job {
	s.t.Helper()
	args, err := json.Marshal(call)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	body, sig, err := wire.Sign(s.sign, fleet.Job{ID: id, Minion: "web1", Function: function, Args: args, Issued: now, Deadline: now.Add(time.Minute)})
	if err != nil {
		s.t.Fatal(err)
	}
	return wire.Job{Seq: seq, Body: body, Sig: sig}
}

// requests gives the numbers of the requests of a kind that came.
func (s *stage) requests(kind string) (ids []uint64) {
	s.each(func(msg any) {
		if m, ok := msg.(wire.Request); ok && m.Kind == kind {
			ids = append(ids, m.ID)
		}
	})
	return ids
}

func TestAQuestionSurvivesABusyMasterAndACutConnection(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	s.send(s.call(1, "j1", "pillar.get", fleet.Call{Args: []any{"a:b"}}))
	asked := func(n int) uint64 {
		t.Helper()
		s.until("the pillar is asked for", func() bool { return len(s.requests(wire.RequestPillar)) >= n })
		return s.requests(wire.RequestPillar)[n-1]
	}
	s.send(wire.Reply{ID: asked(1), Error: wire.Busy})
	asked(2)
	s.bus.Disconnect("web1")
	s.send(wire.Reply{ID: asked(3), Body: json.RawMessage(`{"pillar": {"a": {"b": [1, "x"]}}}`)})
	if ret := s.ended("j1"); ret.Outcome != fleet.Succeeded || string(ret.Value) != `[1,"x"]` {
		t.Errorf("%s: %s %s", ret.Outcome, ret.Value, ret.Reason)
	}

	s.send(s.call(2, "j2", "pillar.items", fleet.Call{}))
	s.send(wire.Reply{ID: asked(4), Body: json.RawMessage(`{"errors": [{"file": "pillar:web", "message": "wrong"}]}`)})
	if ret := s.ended("j2"); ret.Outcome != fleet.Failed {
		t.Errorf("%s: %s", ret.Outcome, ret.Value)
	}
}

func TestGrainsThatAreSetStayAndAreTold(t *testing.T) {
	s := newStage(t, 0)
	s.start()
	told := 0
	do := func(seq uint64, id fleet.JobID, function string, call fleet.Call) fleet.Return {
		t.Helper()
		s.send(s.call(seq, id, function, call))
		told++
		s.until("the grains are told", func() bool { return len(s.requests(wire.RequestGrains)) >= told })
		s.send(wire.Reply{ID: s.requests(wire.RequestGrains)[told-1], Body: json.RawMessage("true")})
		return s.ended(id)
	}
	if ret := do(1, "j1", "grains.setval", fleet.Call{Args: []any{"owner:team", "shop"}}); ret.Outcome != fleet.Succeeded {
		t.Errorf("%s: %s", ret.Outcome, ret.Reason)
	}
	if ret := do(2, "j2", "grains.append", fleet.Call{Args: []any{"roles", []any{"web", "web", "db"}}}); string(ret.Value) != `{"roles":["web","db"]}` {
		t.Errorf("%s: %s", ret.Value, ret.Reason)
	}
	s.stop()
	s.start()
	s.send(s.call(3, "j3", "grains.item", fleet.Call{Args: []any{"owner:team", "roles"}}))
	if ret := s.ended("j3"); string(ret.Value) != `{"owner:team":"shop","roles":["web","db"]}` {
		t.Errorf("%s: %s", ret.Value, ret.Reason)
	}
	s.send(s.call(4, "j4", "grains.setval", fleet.Call{Args: []any{"id", "other"}}))
	if ret := s.ended("j4"); ret.Outcome != fleet.Failed {
		t.Errorf("the id can be set: %s", ret.Value)
	}
}
