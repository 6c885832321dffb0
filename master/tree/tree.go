// Package tree holds what the master gives minions to apply: the files of states, and to each its own pillar.
package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/archive"
	"github.com/brine-deploy/brine/pkg/config"
	"github.com/brine-deploy/brine/pkg/data"
	"github.com/brine-deploy/brine/pkg/fileroot"
	"github.com/brine-deploy/brine/pkg/fleet"
	"github.com/brine-deploy/brine/pkg/modules"
	"github.com/brine-deploy/brine/pkg/pillar"
)

// pillarTime bounds the compilation of one minion's pillar.
const pillarTime = 30 * time.Second

// Tree is the roots of states and pillar. Its methods may be called concurrently.
type Tree struct {
	cfg        config.States
	nodegroups map[string]any
	log        *slog.Logger
	repos      []*repo
	states     roots
	pillar     roots
	indexer    fileroot.Indexer

	walking sync.Mutex // held while the files are looked at
	mu      sync.Mutex
	next    *walk // guarded by mu; the walk that has not begun
}

// walk is one look at all files, for all that asked before it began.
type walk struct {
	done  chan struct{}
	index fileroot.Index
	err   error
}

// New makes a Tree. Checkouts of git repositories are kept below dir.
func New(cfg config.States, nodegroups map[string]any, dir string, log *slog.Logger) (*Tree, error) {
	t := &Tree{cfg: cfg, nodegroups: nodegroups, log: log}
	if err := data.Strategy(cfg.PillarMerging).Valid(); err != nil {
		return nil, fmt.Errorf("states.pillar_merging: %w", err)
	}
	for _, part := range []struct {
		from config.Roots
		into *roots
	}{{cfg.Root, &t.states}, {cfg.Pillar, &t.pillar}} {
		*part.into = roots{}
		for env, list := range part.from {
			for _, root := range list {
				one, err := t.root(root, filepath.Join(dir, "trees"))
				if err != nil {
					return nil, err
				}
				(*part.into)[env] = append((*part.into)[env], one)
			}
		}
	}
	return t, nil
}

// root is where one root's files are now.
type root func() (dir string, err error)

// roots are those of each environment.
type roots map[string][]root

func (r roots) local() (fileroot.Local, error) {
	all := fileroot.Local{}
	for env, list := range r {
		all[env] = []string{}
		for _, one := range list {
			dir, err := one()
			if err != nil {
				return nil, err
			}
			all[env] = append(all[env], dir)
		}
	}
	return all, nil
}

func (t *Tree) root(r config.Root, dir string) (root, error) {
	if r.Git == "" {
		return func() (string, error) { return r.Dir, nil }, nil
	}
	own, err := newRepo(r, dir)
	if err != nil {
		return nil, fmt.Errorf("states: %w", err)
	}
	t.repos = append(t.repos, own)
	return own.dir, nil
}

// Run follows the git repositories until ctx is done.
func (t *Tree) Run(ctx context.Context) error {
	every, err := time.ParseDuration(t.cfg.GitInterval)
	if err != nil || len(t.repos) == 0 {
		<-ctx.Done()
		return nil //nolint:nilerr // without an interval nothing is followed; the configuration has been checked
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		for _, r := range t.repos {
			if err := r.update(ctx); err != nil && ctx.Err() == nil {
				t.log.Warn("git root not updated", "url", r.shown(), "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Index gives all files of states as they are now, or later. Those who ask while another one looks share the next look.
func (t *Tree) Index(ctx context.Context) (fileroot.Index, error) {
	t.mu.Lock()
	w, mine := t.next, false
	if w == nil {
		w, mine = &walk{done: make(chan struct{})}, true
		t.next = w
	}
	t.mu.Unlock()
	if mine {
		t.walk(context.WithoutCancel(ctx), w)
	}
	select {
	case <-w.done:
		return w.index, w.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (t *Tree) walk(ctx context.Context, w *walk) {
	t.walking.Lock()
	defer t.walking.Unlock()
	t.mu.Lock()
	t.next = nil
	t.mu.Unlock()
	defer close(w.done)
	files, err := t.states.local()
	if err != nil {
		w.err = err
		return
	}
	w.index, w.err = t.indexer.Index(ctx, files)
}

// Chunk gives a piece of a file.
func (t *Tree) Chunk(ctx context.Context, saltenv string, entry fileroot.Entry, offset int64) ([]byte, error) {
	files, err := t.states.local()
	if err != nil {
		return nil, err
	}
	f, info, err := files.Open(ctx, saltenv, entry.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	at, ok := f.(io.ReaderAt)
	if !ok || info.Size() != entry.Size || offset < 0 || offset >= entry.Size {
		return nil, fmt.Errorf("salt://%s has changed", entry.Name)
	}
	piece := make([]byte, min(fileroot.ChunkSize, entry.Size-offset))
	if n, err := at.ReadAt(piece, offset); n < len(piece) {
		return nil, fmt.Errorf("read salt://%s: %w", entry.Name, err)
	}
	return piece, nil
}

// Pillar compiles the pillar of one minion, with what was given with a call, which may be nil. Its errors are those of
// pillar.Tree's Compile.
func (t *Tree) Pillar(ctx context.Context, m fleet.Minion, override *data.Map) (*data.Map, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, pillarTime, fmt.Errorf("compile pillar: it takes longer than %v", pillarTime))
	defer cancel()
	files, err := t.pillar.local()
	if err != nil {
		return nil, err
	}
	own := &pillar.Tree{
		Files: files, Strategy: data.Strategy(t.cfg.PillarMerging), Lists: t.cfg.PillarMergeLists, Nodegroups: t.nodegroups, Decrypt: t.decrypt,
	}
	if t.cfg.PillarKeyFile == "" {
		own.Decrypt = nil
	}
	grains, _ := data.From(map[string]any(m.Grains)).(*data.Map)
	return own.Compile(ctx, &modules.Env{
		ID: string(m.ID), Grains: grains, Saltenv: fileroot.Base, Log: t.log, Functions: modules.All(),
		Opts: data.NewMap("id", string(m.ID), "saltenv", nil, "pillarenv", nil, "renderer", "jinja|yaml", "__role", "master"),
	}, override)
}

// decrypt opens an encrypted value with the identities of the key file as it is now.
func (t *Tree) decrypt(armoured string) (string, error) {
	identities, err := os.ReadFile(t.cfg.PillarKeyFile)
	if err != nil {
		return "", fmt.Errorf("states.pillar_key_file: %w", errors.Unwrap(err))
	}
	return archive.Decrypt(armoured, string(identities))
}
