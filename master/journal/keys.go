package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// Why a token does not admit a key.
var (
	ErrTokenUnknown = errors.New("unknown enrolment token; brine keys token makes one")
	ErrTokenExpired = errors.New("enrolment token has expired; brine keys token makes a new one")
	ErrTokenUsed    = errors.New("enrolment token is used up; brine keys token makes a new one")
)

const keyColumns = `SELECT id, pub, fingerprint, state, since, who, addr FROM keys`

// PutKey stores a key, replacing what was known of it, and appends the records. At most one key of an id may be pending
// or accepted.
func (j *Journal) PutKey(ctx context.Context, k fleet.MinionKey, records ...fleet.Record) (err error) {
	defer wrap(&err, "put key of %s", k.ID)
	return j.write(ctx, func(ctx context.Context, t *tx) error { return t.putKey(ctx, k, records) })
}

// Keys returns every key, by id.
func (j *Journal) Keys(ctx context.Context) (list []fleet.MinionKey, err error) {
	defer wrap(&err, "list keys")
	return all(ctx, j, readKey, keyColumns+` ORDER BY id, since`)
}

// KeyOf returns the key that holds an id, else the one that held it last, else ErrNotFound.
func (j *Journal) KeyOf(ctx context.Context, id fleet.MinionID) (k fleet.MinionKey, err error) {
	defer wrap(&err, "find key of %s", id)
	return one(ctx, j, readKey, keyColumns+` WHERE id = ?
		ORDER BY CASE WHEN state IN ('pending', 'accepted') THEN 0 ELSE 1 END, since DESC LIMIT 1`, id)
}

// KeyByPublic returns what is known of a public key, or ErrNotFound.
func (j *Journal) KeyByPublic(ctx context.Context, pub fleet.Key) (k fleet.MinionKey, err error) {
	defer wrap(&err, "find key %s", pub.Fingerprint())
	return one(ctx, j, readKey, keyColumns+` WHERE pub = ?`, pub[:])
}

// DeleteKey forgets every key of an id, and appends the records. None is no error.
func (j *Journal) DeleteKey(ctx context.Context, id fleet.MinionID, records ...fleet.Record) (err error) {
	defer wrap(&err, "delete key of %s", id)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		if _, err := t.exec(ctx, `DELETE FROM keys WHERE id = ?`, id); err != nil {
			return err
		}
		return t.append(ctx, records...)
	})
}

// AddToken stores an enrolment token by its digest, and appends the records. By is who made it.
func (j *Journal) AddToken(
	ctx context.Context, digest string, expires time.Time, uses int, by string, records ...fleet.Record,
) (err error) {
	defer wrap(&err, "add token")
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		// Tokens that expired long ago are of no use even for a good error message.
		if _, err := t.exec(ctx, `DELETE FROM tokens WHERE expires < ?`, nanos(time.Now().AddDate(0, -1, 0))); err != nil {
			return err
		}
		_, err := t.exec(ctx, `INSERT INTO tokens (digest, expires, uses, who) VALUES (?, ?, ?, ?)`,
			digest, nanos(expires), uses, by)
		if err != nil {
			return err
		}
		return t.append(ctx, records...)
	})
}

// UseToken spends one use of a token and stores the key that it admits, with the records, all or nothing. A token that
// does not admit the key gives ErrTokenUnknown, ErrTokenExpired or ErrTokenUsed.
func (j *Journal) UseToken(
	ctx context.Context, digest string, now time.Time, k fleet.MinionKey, records ...fleet.Record,
) (err error) {
	defer wrap(&err, "admit %s by token", k.ID)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		if err := t.spend(ctx, digest, now); err != nil {
			return err
		}
		return t.putKey(ctx, k, records)
	})
}

func (t *tx) spend(ctx context.Context, digest string, now time.Time) error {
	type token struct{ expires, uses int64 }
	found, err := one(ctx, t, func(scan scanner) (k token, err error) { return k, scan(&k.expires, &k.uses) },
		`SELECT expires, uses FROM tokens WHERE digest = ?`, digest)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrTokenUnknown
	case err != nil:
		return err
	case found.expires <= nanos(now):
		return ErrTokenExpired
	case found.uses <= 0:
		return ErrTokenUsed
	}
	_, err = t.exec(ctx, `UPDATE tokens SET uses = uses - 1 WHERE digest = ?`, digest)
	return err
}

func (t *tx) putKey(ctx context.Context, k fleet.MinionKey, records []fleet.Record) error {
	_, err := t.exec(ctx, `INSERT INTO keys (pub, id, fingerprint, state, since, who, addr) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (pub) DO UPDATE SET id = excluded.id, state = excluded.state, since = excluded.since,
			who = excluded.who, addr = excluded.addr`,
		k.Key[:], k.ID, k.Key.Fingerprint(), k.State, nanos(k.Since), k.By, k.From)
	if err != nil {
		return err
	}
	return t.append(ctx, records...)
}

func readKey(scan scanner) (k fleet.MinionKey, err error) {
	var pub []byte
	var since int64
	if err := scan(&k.ID, &pub, &k.Fingerprint, &k.State, &since, &k.By, &k.From); err != nil {
		return k, err
	}
	if len(pub) != len(k.Key) {
		return k, fmt.Errorf("key of %s has %d bytes", k.ID, len(pub))
	}
	k.Key, k.Since = fleet.Key(pub), instant(since)
	return k, nil
}
