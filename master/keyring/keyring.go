// Package keyring says which keys may do what: it authorizes connections, enrols minions, and changes the state of keys
// on an operator's order. The journal has the truth; a copy in memory answers handshakes.
package keyring

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Why a key gets no further.
var (
	ErrRefused   = errors.New("key is refused")            // it was rejected or revoked
	ErrIDTaken   = errors.New("id belongs to another key") // or the key to another id
	ErrFull      = errors.New("too many keys are pending")
	ErrUnknownID = errors.New("no key of that id")
)

// Journal is where keys and tokens are kept. Each method does all or nothing, records included.
type Journal interface {
	Keys(ctx context.Context) ([]fleet.MinionKey, error)
	PutKey(ctx context.Context, k fleet.MinionKey, records ...fleet.Record) error
	AddToken(ctx context.Context, digest string, expires time.Time, uses int, by string, records ...fleet.Record) error
	UseToken(ctx context.Context, digest string, now time.Time, k fleet.MinionKey, records ...fleet.Record) error
	Append(ctx context.Context, records ...fleet.Record) error
}

// Keyring is the keys of the fleet. Its methods may be called concurrently.
type Keyring struct {
	journal Journal
	changed func(fleet.MinionKey)

	changing sync.Mutex                    // held from deciding on a change to having told of it
	reported map[claim]struct{}            // guarded by changing; claims to others' ids that are in the log already
	mu       sync.RWMutex                  // held for moments, so that no handshake waits for the disk
	keys     map[fleet.Key]fleet.MinionKey // guarded by mu; changed with changing held only
}

// claim is a key that asks for an id.
type claim struct {
	id  fleet.MinionID
	key fleet.Key
}

// New reads the keys of the journal. From then on all changes must go through the keyring. It calls changed after each
// change, one call at a time; changed must not change keys itself.
func New(ctx context.Context, j Journal, changed func(fleet.MinionKey)) (*Keyring, error) {
	list, err := j.Keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	k := &Keyring{journal: j, changed: changed, reported: map[claim]struct{}{}, keys: make(map[fleet.Key]fleet.MinionKey, len(list))}
	for _, key := range list {
		k.keys[key.Key] = key
	}
	return k, nil
}

const pendingPrefix = "pending:" // no minion's id has a colon

// Pending is the identity under which a key that is not accepted connects.
func Pending(key fleet.Key) string { return pendingPrefix + string(key.Fingerprint()) }

// IsPending tells the identity of a key that is not accepted from the id of a minion.
func IsPending(identity string) bool { return strings.HasPrefix(identity, pendingPrefix) }

// Authorize says as whom a key may connect: as its minion's id when it is accepted, as Pending when it is pending or not
// known. Another key gives ErrRefused. It does not wait for the disk.
func (k *Keyring) Authorize(_ context.Context, key fleet.Key, _ net.Addr) (identity string, err error) {
	known, ok := k.lookup(key)
	switch {
	case !ok || known.State == fleet.KeyPending:
		return Pending(key), nil
	case known.State == fleet.KeyAccepted:
		return string(known.ID), nil
	default:
		return "", fmt.Errorf("%w: it was %s", ErrRefused, known.State)
	}
}

// List returns every key, by id, those of one id by age.
func (k *Keyring) List(context.Context) ([]fleet.MinionKey, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	list := make([]fleet.MinionKey, 0, len(k.keys))
	for _, key := range k.keys {
		list = append(list, key)
	}
	slices.SortFunc(list, func(a, b fleet.MinionKey) int {
		if c := strings.Compare(string(a.ID), string(b.ID)); c != 0 {
			return c
		}
		return a.Since.Compare(b.Since)
	})
	return list, nil
}

func (k *Keyring) lookup(key fleet.Key) (fleet.MinionKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	known, ok := k.keys[key]
	return known, ok
}

// find returns the first key that matches, and whether there is one.
func (k *Keyring) find(match func(fleet.MinionKey) bool) (fleet.MinionKey, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, key := range k.keys {
		if match(key) {
			return key, true
		}
	}
	return fleet.MinionKey{}, false
}

// holder returns the key that has the id: pending or accepted. There is at most one.
func (k *Keyring) holder(id fleet.MinionID) (fleet.MinionKey, bool) {
	return k.find(func(key fleet.MinionKey) bool { return key.ID == id && holds(key.State) })
}

func holds(s fleet.KeyState) bool { return s == fleet.KeyPending || s == fleet.KeyAccepted }

// keep puts a key in its new state into the journal, by store, and into the copy in memory, and tells of it. The caller
// holds changing.
func (k *Keyring) keep(
	key fleet.MinionKey, store func(fleet.MinionKey, fleet.Record) error,
) (fleet.MinionKey, error) {
	key.Since, key.Fingerprint = time.Now().UTC(), key.Key.Fingerprint()
	err := store(key, fleet.Record{
		Kind: fleet.KeyChanged, By: key.By, Minion: key.ID, Key: key.State,
		Message: fmt.Sprintf("key %s of %s is %s", key.Fingerprint, key.ID, key.State),
	})
	if err != nil {
		return fleet.MinionKey{}, err
	}
	k.mu.Lock()
	k.keys[key.Key] = key
	k.mu.Unlock()
	k.changed(key)
	return key, nil
}
