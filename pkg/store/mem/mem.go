// Package mem is a store in memory, for tests.
package mem

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/brine-deploy/brine/pkg/store"
)

var _ store.Driver = (*Mem)(nil)

// Mem is a store.Driver that forgets everything at the end. Its zero value is empty and ready.
type Mem struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// Put implements store.Driver.
func (m *Mem) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	content, err := io.ReadAll(r)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil && int64(len(content)) != size {
		err = fmt.Errorf("%d bytes instead of %d", len(content), size)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, exists := m.objects[name]; exists {
		return store.ErrExists
	}
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[name] = content
	return nil
}

// Get implements store.Driver.
func (m *Mem) Get(_ context.Context, name string, offset int64) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.objects[name]
	if !ok {
		return nil, store.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(content[min(offset, int64(len(content))):])), nil
}

// Stat implements store.Driver.
func (m *Mem) Stat(_ context.Context, name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.objects[name]
	if !ok {
		return 0, store.ErrNotFound
	}
	return int64(len(content)), nil
}

// List implements store.Driver.
func (m *Mem) List(_ context.Context, prefix string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(m.objects))
	return slices.DeleteFunc(names, func(name string) bool { return !strings.HasPrefix(name, prefix) }), nil
}

// Delete implements store.Driver.
func (m *Mem) Delete(_ context.Context, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
	return nil
}
