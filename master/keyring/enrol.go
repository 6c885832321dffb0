package keyring

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Strangers may fill neither the keyring nor the log.
const (
	maxPending        = 1000 // keys in all
	maxPendingAddress = 20   // keys from one address
	maxReported       = 1000 // claims to others' ids, until the master starts again
)

const (
	tokenPrefix = "brt_"
	tokenBytes  = 20
)

// Enrol lets a key that has connected as Pending ask for an id: it becomes pending, or accepted when token admits it. It
// may ask as often as it likes. From is its address. A token that does not admit it is an error of the journal's; then,
// as with every error, nothing changes.
func (k *Keyring) Enrol(
	ctx context.Context, key fleet.Key, id fleet.MinionID, token, from string,
) (state fleet.KeyState, err error) {
	if !fleet.ValidName(string(id)) {
		return "", fmt.Errorf("%q is not an id: letters, digits, dots, dashes and underscores, at most 128", clip(string(id)))
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	known, ok := k.lookup(key)
	switch {
	case ok && !holds(known.State):
		return "", fmt.Errorf("%w: it was %s", ErrRefused, known.State)
	case ok && known.State == fleet.KeyAccepted && known.ID != id:
		return "", fmt.Errorf("%w: this key is %s", ErrIDTaken, known.ID)
	case ok && known.ID == id && (known.State == fleet.KeyAccepted || token == ""):
		return known.State, nil
	}
	if holder, taken := k.holder(id); taken && holder.Key != key {
		return "", k.refuse(ctx, holder, key, from)
	}
	asked := fleet.MinionKey{ID: id, Key: key, From: from}
	if token != "" {
		return k.admit(ctx, asked, token)
	}
	if err := k.room(asked); err != nil {
		return "", err
	}
	asked.State, asked.By = fleet.KeyPending, string(id)
	asked, err = k.put(ctx, asked)
	return asked.State, err
}

// EnrolAs is Enrol for a key whose owner somebody else vouches for: by, the cloud's name for the instance, "ec2:i-0abc". One
// key alone is accepted of each such name; and an id that had a key refused before is for an operator to decide.
func (k *Keyring) EnrolAs(ctx context.Context, key fleet.Key, id fleet.MinionID, by, from string) (fleet.KeyState, error) {
	if !fleet.ValidName(string(id)) {
		return "", fmt.Errorf("%q is not an id: letters, digits, dots, dashes and underscores, at most 128", clip(string(id)))
	}
	k.changing.Lock()
	defer k.changing.Unlock()
	if known, ok := k.lookup(key); ok && known.State != fleet.KeyPending {
		if known.State == fleet.KeyAccepted && known.ID == id {
			return known.State, nil
		}
		return "", fmt.Errorf("%w: it was %s as %s", ErrRefused, known.State, known.ID)
	}
	if holder, taken := k.holder(id); taken && holder.Key != key {
		return "", k.refuse(ctx, holder, key, from)
	}
	other, found := k.find(func(other fleet.MinionKey) bool {
		return other.Key != key && (other.By == by || other.ID == id && !holds(other.State))
	})
	if found {
		return "", fmt.Errorf("%w: %s has key %s, which is %s", ErrRefused, by, other.Fingerprint, other.State)
	}
	asked, err := k.put(ctx, fleet.MinionKey{ID: id, Key: key, From: from, State: fleet.KeyAccepted, By: by})
	return asked.State, err
}

// admit accepts a key by its token.
func (k *Keyring) admit(ctx context.Context, asked fleet.MinionKey, token string) (fleet.KeyState, error) {
	digest := tokenDigest(token)
	asked.State, asked.By = fleet.KeyAccepted, tokenName(digest)
	asked, err := k.keep(asked, func(key fleet.MinionKey, r fleet.Record) error {
		return k.journal.UseToken(ctx, digest, time.Now(), key, r)
	})
	return asked.State, err
}

// refuse reports that a key asked for the id of another: a mistake, or somebody who pretends to be that minion. It is
// reported once, so that asking again and again does not fill the log.
func (k *Keyring) refuse(ctx context.Context, holder fleet.MinionKey, key fleet.Key, from string) error {
	refused := fmt.Errorf("%w: %s has key %s; choose another id, or take it from that key with brine keys %s %s",
		ErrIDTaken, holder.ID, holder.Fingerprint, map[fleet.KeyState]string{fleet.KeyPending: "reject", fleet.KeyAccepted: "revoke"}[holder.State], holder.ID)
	c := claim{holder.ID, key}
	if _, known := k.reported[c]; known || len(k.reported) >= maxReported {
		return refused
	}
	err := k.journal.Append(ctx, fleet.Record{
		Kind: fleet.KeyChanged, By: from, Minion: holder.ID,
		Message: fmt.Sprintf("refused key %s: %s has key %s, which is %s", key.Fingerprint(), holder.ID, holder.Fingerprint, holder.State),
	})
	if err == nil {
		k.reported[c] = struct{}{}
	}
	return errors.Join(refused, err)
}

// room says whether one more key may become pending. One that is pending already, under another id, needs none.
func (k *Keyring) room(asked fleet.MinionKey) error {
	total, near := 0, 0
	_, is := k.find(func(key fleet.MinionKey) bool {
		if key.State == fleet.KeyPending {
			total++
			if host(key.From) == host(asked.From) {
				near++
			}
		}
		return key.Key == asked.Key
	})
	switch {
	case is:
		return nil
	case total >= maxPending:
		return fmt.Errorf("%w: %d; an operator has to accept or reject some", ErrFull, total)
	case near >= maxPendingAddress:
		return fmt.Errorf("%w from %s: %d; an operator has to accept or reject some", ErrFull, host(asked.From), near)
	}
	return nil
}

// NewToken makes a token that lets minions enrol without an operator, uses times within ttl. Its text is not kept.
func (k *Keyring) NewToken(ctx context.Context, ttl time.Duration, uses int, by string) (fleet.Token, error) {
	if ttl <= 0 || uses < 1 {
		return fleet.Token{}, fmt.Errorf("a token needs a time to live and at least one use, not %s and %d", ttl, uses)
	}
	secret := make([]byte, tokenBytes)
	_, _ = rand.Read(secret) // never fails
	t := fleet.Token{
		Text: tokenPrefix + base64.RawURLEncoding.EncodeToString(secret), Expires: time.Now().Add(ttl).UTC(), Uses: uses,
	}
	digest := tokenDigest(t.Text)
	err := k.journal.AddToken(ctx, digest, t.Expires, uses, by, fleet.Record{
		Kind: fleet.KeyChanged, By: by,
		Message: fmt.Sprintf("made %s, %d uses until %s", tokenName(digest), uses, t.Expires.Format(time.RFC3339)),
	})
	if err != nil {
		return fleet.Token{}, err
	}
	return t, nil
}

// tokenDigest is how a token is stored and looked up, so that neither the journal nor the time of a look-up tells of
// its text.
func tokenDigest(text string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(text)))
	return hex.EncodeToString(sum[:])
}

// tokenName is what the log calls a token.
func tokenName(digest string) string { return "token:" + digest[:8] }

// host is an address without its port.
func host(addr string) string {
	if h, _, err := net.SplitHostPort(addr); err == nil {
		return h
	}
	return addr
}

// clip shortens what a stranger sent before it is shown.
func clip(s string) string { return s[:min(len(s), 40)] }
