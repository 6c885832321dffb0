package minion

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/wire"
	"github.com/brine-deploy/brine/states/compile"
)

var _ fileroot.Server = (*masterFiles)(nil)

// masterFiles are the files of states as the master has them.
type masterFiles struct{ *asker }

// Index implements fileroot.Server.
func (f masterFiles) Index(ctx context.Context, known string) (fileroot.Index, error) {
	body, err := f.ask(ctx, wire.RequestFiles, wire.FilesRequest{Known: known})
	if err != nil {
		return nil, err
	}
	var reply wire.FilesReply
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, fmt.Errorf("read index of files: %w", err)
	}
	if len(reply.Index) == 0 {
		return nil, nil
	}
	var index fileroot.Index
	if err := json.Unmarshal(reply.Index, &index); err != nil {
		return nil, fmt.Errorf("read index of files: %w", err)
	}
	return index, nil
}

// Chunk implements fileroot.Server.
func (f masterFiles) Chunk(ctx context.Context, saltenv string, entry fileroot.Entry, offset int64) ([]byte, error) {
	return f.ask(ctx, wire.RequestFile, wire.FileRequest{Saltenv: saltenv, Name: entry.Name, Size: entry.Size, Digest: entry.Digest, Offset: offset})
}

// pillar asks the master for this minion's pillar, with what was given with a call. What is wrong with it is of type
// compile.Errors.
func (m *Minion) pillar(ctx context.Context, override *data.Map) (*data.Map, error) {
	var req wire.PillarRequest
	if override.Len() > 0 {
		text, err := json.Marshal(override)
		if err != nil {
			return nil, fmt.Errorf("encode pillar: %w", err)
		}
		req.Override = text
	}
	body, err := m.asker.ask(ctx, wire.RequestPillar, req)
	if err != nil {
		return nil, fmt.Errorf("ask for pillar: %w", err)
	}
	var reply wire.PillarReply
	if err := json.Unmarshal(body, &reply); err != nil {
		return nil, fmt.Errorf("read pillar: %w", err)
	}
	if len(reply.Errors) > 0 {
		all := make(compile.Errors, len(reply.Errors))
		for i, e := range reply.Errors {
			all[i] = &compile.Error{Class: compile.Pillar, File: e.File, Message: e.Message}
		}
		return nil, all
	}
	value, err := data.FromJSON(reply.Pillar)
	if err != nil {
		return nil, fmt.Errorf("read pillar: %w", err)
	}
	own, _ := value.(*data.Map)
	return own, nil
}
