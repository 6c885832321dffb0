package keyring

import (
	"context"
	"fmt"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Accept lets the minion id in. A fingerprint that is given must be its key's. A rejected key is accepted only by its
// fingerprint, a revoked one never again: its minion has to make a new key. Accepting twice changes nothing.
func (k *Keyring) Accept(
	ctx context.Context, id fleet.MinionID, fingerprint fleet.Fingerprint, by string,
) (fleet.MinionKey, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	key, err := k.of(id, fingerprint)
	switch {
	case err != nil:
		return fleet.MinionKey{}, err
	case key.State == fleet.KeyAccepted:
		return key, nil
	case key.State == fleet.KeyRevoked:
		return fleet.MinionKey{}, fmt.Errorf("key of %s is revoked: remove the minion's key file, and accept the new key that it makes", id)
	case key.State == fleet.KeyRejected && fingerprint == "":
		return fleet.MinionKey{}, fmt.Errorf("key of %s is rejected: give its fingerprint, %s, to accept it all the same", id, key.Fingerprint)
	}
	if holder, taken := k.holder(id); taken && holder.Key != key.Key {
		return fleet.MinionKey{}, fmt.Errorf("%w: %s has key %s", ErrIDTaken, id, holder.Fingerprint)
	}
	return k.move(ctx, key, fleet.KeyAccepted, by)
}

// Reject refuses the pending key of id. Rejecting twice changes nothing.
func (k *Keyring) Reject(ctx context.Context, id fleet.MinionID, by string) (fleet.MinionKey, error) {
	return k.ban(ctx, id, fleet.KeyPending, fleet.KeyRejected, by)
}

// Revoke takes an accepted minion's rights away. Revoking twice changes nothing.
func (k *Keyring) Revoke(ctx context.Context, id fleet.MinionID, by string) (fleet.MinionKey, error) {
	return k.ban(ctx, id, fleet.KeyAccepted, fleet.KeyRevoked, by)
}

func (k *Keyring) ban(ctx context.Context, id fleet.MinionID, from, to fleet.KeyState, by string) (fleet.MinionKey, error) {
	k.changing.Lock()
	defer k.changing.Unlock()
	key, err := k.of(id, "")
	switch {
	case err != nil:
		return fleet.MinionKey{}, err
	case key.State == to:
		return key, nil
	case key.State != from:
		return fleet.MinionKey{}, fmt.Errorf("key of %s is %s: only one that is %s can be %s", id, key.State, from, to)
	}
	return k.move(ctx, key, to, by)
}

func (k *Keyring) move(ctx context.Context, key fleet.MinionKey, to fleet.KeyState, by string) (fleet.MinionKey, error) {
	key.State, key.By = to, by
	return k.put(ctx, key)
}

func (k *Keyring) put(ctx context.Context, key fleet.MinionKey) (fleet.MinionKey, error) {
	return k.keep(key, func(key fleet.MinionKey, r fleet.Record) error { return k.journal.PutKey(ctx, key, r) })
}

// of returns the key of an id that has the fingerprint; without one the key that holds the id, else the one that held it
// last.
func (k *Keyring) of(id fleet.MinionID, fingerprint fleet.Fingerprint) (fleet.MinionKey, error) {
	if fingerprint != "" {
		return k.byFingerprint(id, fingerprint)
	}
	if holder, ok := k.holder(id); ok {
		return holder, nil
	}
	var last fleet.MinionKey
	_, _ = k.find(func(key fleet.MinionKey) bool {
		if key.ID == id && !key.Since.Before(last.Since) {
			last = key
		}
		return false
	})
	if last.ID == "" {
		return last, fmt.Errorf("%w: %s", ErrUnknownID, id)
	}
	return last, nil
}

func (k *Keyring) byFingerprint(id fleet.MinionID, fingerprint fleet.Fingerprint) (fleet.MinionKey, error) {
	key, ok := k.find(func(key fleet.MinionKey) bool { return key.ID == id && key.Fingerprint == fingerprint })
	if ok {
		return key, nil
	}
	other, err := k.of(id, "")
	if err != nil {
		return key, err
	}
	return key, fmt.Errorf("fingerprint does not match: the key of %s is %s, from %s", id, other.Fingerprint, other.From)
}
