package journal

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// SaveMinion stores what the master knows of a minion, all but Drained, which is SetDrained's.
func (j *Journal) SaveMinion(ctx context.Context, m fleet.Minion) (err error) {
	defer wrap(&err, "save minion %s", m.ID)
	return j.write(ctx, func(ctx context.Context, t *tx) error { return t.saveMinion(ctx, m) })
}

func (t *tx) saveMinion(ctx context.Context, m fleet.Minion) error {
	grains, err := encoded(m.Grains)
	if err != nil {
		return err
	}
	tags, err := encoded(m.Tags)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO minions (id, grains, tags, version, connected, since, last_seen, drained)
		VALUES (?, ?, ?, ?, ?, ?, ?, FALSE)
		ON CONFLICT (id) DO UPDATE SET grains = excluded.grains, tags = excluded.tags, version = excluded.version,
			connected = excluded.connected, since = excluded.since, last_seen = excluded.last_seen`,
		m.ID, grains, tags, m.Version, m.Connected, nanos(m.Since), nanos(m.LastSeen))
	return err
}

// Minions returns every minion, by id, as it was saved last: one that is Connected after the journal was opened was so when
// the master before this one ended. Whole numbers among the grains are int64, others float64.
func (j *Journal) Minions(ctx context.Context) (list []fleet.Minion, err error) {
	defer wrap(&err, "list minions")
	return all(ctx, j, readMinion,
		`SELECT id, grains, tags, version, connected, since, last_seen, drained FROM minions ORDER BY id`)
}

// SetDrained writes down whether a person has taken a minion out of its pools. ErrNotFound for an unknown one.
func (j *Journal) SetDrained(ctx context.Context, id fleet.MinionID, drained bool) (err error) {
	defer wrap(&err, "mark minion %s", id)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		return t.must(ctx, `UPDATE minions SET drained = ? WHERE id = ?`, drained, id)
	})
}

// DeleteMinion forgets a minion and what is live on it. Its jobs stay in the history, but are not sent any more: the
// id's next holder must not get them. A minion that is not there is no error.
func (j *Journal) DeleteMinion(ctx context.Context, id fleet.MinionID) (err error) {
	defer wrap(&err, "delete minion %s", id)
	return j.write(ctx, func(ctx context.Context, t *tx) error {
		for _, query := range []string{
			`DELETE FROM minions WHERE id = ?`,
			`DELETE FROM live WHERE minion = ?`,
		} {
			if _, err := t.exec(ctx, query, id); err != nil {
				return err
			}
		}
		return t.withdraw(ctx, id)
	})
}

func readMinion(scan scanner) (m fleet.Minion, err error) {
	var grains, tags []byte
	var since, seen int64
	err = scan(&m.ID, &grains, &tags, &m.Version, &m.Connected, &since, &seen, &m.Drained)
	if err != nil {
		return m, err
	}
	m.Since, m.LastSeen = instant(since), instant(seen)
	if err := json.Unmarshal(tags, &m.Tags); err != nil {
		return m, err
	}
	d := json.NewDecoder(bytes.NewReader(grains))
	d.UseNumber()
	if err := d.Decode(&m.Grains); err != nil {
		return m, err
	}
	for name, v := range m.Grains {
		m.Grains[name] = number(v)
	}
	return m, nil
}

// number makes the numbers in v what they were before JSON: a memory size must not become 8.4e+06.
func number(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64() // JSON made it, so it is one
		return f
	case []any:
		for i := range v {
			v[i] = number(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = number(v[k])
		}
	}
	return v
}
