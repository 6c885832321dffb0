package master

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/pillar"
	"github.com/brine-deploy/brine/pkg/wire"
)

// The bounds of requests that take time: what minions ask beyond them is refused, and asked again.
const (
	slowAtOnce    = 4    // that are served
	slowPerMinion = 8    // of one minion, served or waiting
	slowWaiting   = 4096 // of all
)

// slow serves requests that take time beside the loop that receives messages, so that nobody else waits for them. The zero
// slow is ready.
type slow struct {
	running sync.WaitGroup

	once  sync.Once
	slots chan struct{}

	mu  sync.Mutex
	own map[fleet.MinionID]int // guarded by mu; of each minion
	all int                    // guarded by mu
}

// start serves a request in its turn; false when there are too many.
func (s *slow) start(ctx context.Context, from fleet.MinionID, serve func()) bool {
	s.once.Do(func() { s.slots = make(chan struct{}, slowAtOnce) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == nil {
		s.own = map[fleet.MinionID]int{}
	}
	if s.own[from] >= slowPerMinion || s.all >= slowWaiting {
		return false
	}
	s.own[from]++
	s.all++
	s.running.Go(func() {
		defer s.end(from)
		select {
		case s.slots <- struct{}{}:
			serve()
			<-s.slots
		case <-ctx.Done():
		}
	})
	return true
}

func (s *slow) end(from fleet.MinionID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.own[from]--; s.own[from] == 0 {
		delete(s.own, from)
	}
}

// takesTime names the requests that are served beside the others.
func takesTime(kind string) bool {
	return kind == wire.RequestFiles || kind == wire.RequestFile || kind == wire.RequestPillar
}

// answerAside answers a request that takes time.
func (d *dispatcher) answerAside(ctx context.Context, minion fleet.MinionID, m wire.Request, serve answer) error {
	started := d.slow.start(ctx, minion, func() {
		if err := d.answer(ctx, minion, m, serve); err != nil && ctx.Err() == nil {
			d.log.Warn("request of a minion not answered", "minion", minion, "request", m.Kind, "error", err)
		}
	})
	if started {
		return nil
	}
	return d.send(string(minion), wire.Reply{ID: m.ID, Error: wire.Busy})
}

// answer serves a request and sends what it gives: a piece of a file as it is, everything else as JSON.
func (d *dispatcher) answer(ctx context.Context, minion fleet.MinionID, m wire.Request, serve answer) error {
	value, err := serve(ctx, minion, m.Body)
	if err != nil {
		return errors.Join(err, d.send(string(minion), wire.Reply{ID: m.ID, Error: err.Error()}))
	}
	if chunk, ok := value.(wire.Chunk); ok {
		chunk.ID = m.ID
		return d.send(string(minion), chunk)
	}
	body, err := json.Marshal(value)
	if err == nil && len(body) > wire.MaxReply {
		err = fmt.Errorf("the answer has %d bytes; at most %d can be sent", len(body), wire.MaxReply)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("encode reply: %w", err), d.send(string(minion), wire.Reply{ID: m.ID, Error: err.Error()}))
	}
	return d.send(string(minion), wire.Reply{ID: m.ID, Body: body})
}

// files answers with the index of all files of states.
func (m *Master) files(ctx context.Context, _ fleet.MinionID, body json.RawMessage) (any, error) {
	var req wire.FilesRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fmt.Errorf("request for files: %w", err)
	}
	index, err := m.tree.Index(ctx)
	if err != nil {
		return nil, err
	}
	if index.Digest() == req.Known {
		return wire.FilesReply{}, nil
	}
	text, err := json.Marshal(index)
	return wire.FilesReply{Index: text}, err
}

// file answers with a piece of a file.
func (m *Master) file(ctx context.Context, _ fleet.MinionID, body json.RawMessage) (any, error) {
	var req wire.FileRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fmt.Errorf("request for a file: %w", err)
	}
	entry := fileroot.Entry{Name: req.Name, Size: req.Size, Digest: req.Digest}
	piece, err := m.tree.Chunk(ctx, req.Saltenv, entry, req.Offset)
	return wire.Chunk{Kind: wire.BlobFile, Size: int(req.Size), Off: int(req.Offset), Data: piece}, err
}

// pillarOf compiles the pillar of an accepted minion.
func (m *Master) pillarOf(ctx context.Context, id fleet.MinionID, override *data.Map) (*data.Map, error) {
	minion, ok := m.roster.get(id)
	if !ok {
		return nil, &fleet.Problem{Message: fmt.Sprintf("no minion %q is accepted", id), Hint: "brine minions lists them", Exit: fleet.ExitFailed}
	}
	return m.tree.Pillar(ctx, minion, override)
}

// pillar answers with the minion's own pillar. What is wrong with it is told in the log alone, but for the file's name: the
// line may hold what is not for this minion.
func (m *Master) pillar(ctx context.Context, id fleet.MinionID, body json.RawMessage) (any, error) {
	var req wire.PillarRequest
	if err := json.Unmarshal(body, &req); err != nil {
		return nil, fmt.Errorf("request for pillar: %w", err)
	}
	var override *data.Map
	if len(req.Override) > 0 {
		value, err := data.FromJSON(req.Override)
		if err != nil {
			return nil, fmt.Errorf("request for pillar: %w", err)
		}
		override, _ = value.(*data.Map)
	}
	own, err := m.pillarOf(ctx, id, override)
	if bad, ok := errors.AsType[pillar.Errors](err); ok {
		reply := wire.PillarReply{}
		for _, e := range bad {
			m.log.Error("pillar not compiled", "minion", id, "error", e)
			reply.Errors = append(reply.Errors, wire.PillarError{File: e.File, Message: "it cannot be compiled; brine pillar " + string(id) + " says why"})
		}
		return reply, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(own)
	return wire.PillarReply{Pillar: text}, err
}

// grains notes what has changed on a minion since its hello.
func (m *Master) grains(ctx context.Context, id fleet.MinionID, body json.RawMessage) (any, error) {
	value, err := data.FromJSON(body)
	if err != nil {
		return nil, fmt.Errorf("new grains: %w", err)
	}
	plain, _ := data.Plain(value).(map[string]any)
	found, _ := plain["grains"].(map[string]any)
	labels, _ := plain["tags"].(map[string]any)
	minion, ok := m.roster.get(id)
	if !ok || found == nil {
		return nil, errors.New("new grains: there are none")
	}
	tags := fleet.Tags{}
	for name, v := range labels {
		if text, ok := v.(string); ok {
			tags[name] = text
		}
	}
	m.roster.update(id, wire.Hello{Grains: found, Tags: tags, Version: minion.Version})
	m.dispatcher.enqueue(ctx, wireReturn{from: id, hello: true})
	return true, nil
}

// getPillar shows an operator a minion's pillar, and all that is wrong with it.
func (m *Master) getPillar(ctx context.Context, r *http.Request) (any, error) {
	id := fleet.MinionID(r.PathValue("id"))
	own, err := m.pillarOf(ctx, id, nil)
	var bad pillar.Errors
	if err != nil && !errors.As(err, &bad) {
		return nil, err
	}
	report := fleet.PillarReport{Minion: id}
	for _, e := range bad {
		report.Errors = append(report.Errors, fleet.PillarMistake{File: e.File, Path: e.Path, Line: e.Line, Column: e.Column, Message: e.Message, Text: e.Error()})
	}
	report.Pillar, err = json.Marshal(own)
	return report, err
}
