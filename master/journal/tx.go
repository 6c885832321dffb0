package journal

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/brine-deploy/brine/pkg/fleet"
)

// tx is one write transaction.
type tx struct {
	*sql.Tx
	dialect Dialect
	stmts   map[string]*sql.Stmt // by query; they end with the transaction
	logged  uint64               // number of the log's last record, once it is known
	appends bool
	records [][]any                      // for the log, not inserted yet
	jobs    map[fleet.JobID]fleet.Record // what the records of a job have in common, as far as it was asked for
	// released counts deliveries of jobs that were closed and shared their body.
	released map[fleet.JobID]int
}

// write runs do in a transaction of its own, which sees all that was accepted before.
func (j *Journal) write(ctx context.Context, do func(context.Context, *tx) error) error {
	if err := j.catchUp(ctx); err != nil {
		return err
	}
	return j.commit(ctx, do)
}

func (j *Journal) catchUp(ctx context.Context) error {
	if j.front == nil {
		return nil
	}
	return j.front.catchUp(ctx)
}

// commit runs do in a transaction of its own. It is the one place where the tables change.
func (j *Journal) commit(ctx context.Context, do func(context.Context, *tx) error) error {
	conn, err := j.w.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool, nothing to lose
	ctx = context.WithoutCancel(ctx)
	begun, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	t := &tx{Tx: begun, dialect: j.dialect, stmts: map[string]*sql.Stmt{}, released: map[fleet.JobID]int{}, jobs: map[fleet.JobID]fleet.Record{}}
	defer func() { _ = t.Rollback() }() // does nothing after a commit
	if err := do(ctx, t); err != nil {
		return err
	}
	if err := t.settle(ctx); err != nil {
		return err
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if t.appends {
		j.notify()
	}
	return nil
}

// prepared returns the statement of a query, so that a batch compiles it once.
func (t *tx) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s := t.stmts[query]; s != nil {
		return s, nil
	}
	s, err := t.PrepareContext(ctx, t.dialect.rebind(query))
	if err != nil {
		return nil, err
	}
	t.stmts[query] = s
	return s, nil
}

// exec runs a statement and says how many rows it changed.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	s, err := t.prepared(ctx, query)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// rowsAtOnce is how many rows one statement inserts: for more, compiling it costs more than it saves.
const rowsAtOnce = 100

// insert adds rows of one length, many with each statement: INSERT INTO ... (columns), the values, and then tail.
func (t *tx) insert(ctx context.Context, into string, rows [][]any, tail string) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsAtOnce)
		row := "(?" + strings.Repeat(", ?", len(rows[0])-1) + ")"
		query := into + " VALUES " + row + strings.Repeat(", "+row, n-1) + tail
		args := make([]any, 0, n*len(rows[0]))
		for _, r := range rows[:n] {
			args = append(args, r...)
		}
		if _, err := t.exec(ctx, query, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// pairs begins a statement that is about n pairs (a, b), a text and something of the given type.
func pairs(kind string, n int) string {
	pair := "(CAST(? AS TEXT), CAST(? AS " + kind + "))"
	return "WITH pairs (a, b) AS (VALUES " + pair + strings.Repeat(", "+pair, n-1) + ") "
}

// must runs a statement that has to change a row, else the thing is not there.
func (t *tx) must(ctx context.Context, query string, args ...any) error {
	n, err := t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

func (t *tx) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := t.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

func (j *Journal) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := j.catchUp(ctx); err != nil {
		return nil, err
	}
	return j.tables().query(ctx, query, args...)
}

// tables reads what is in the tables, whatever else was accepted.
type tables struct{ *Journal }

func (j *Journal) tables() tables { return tables{j} }

func (j tables) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return j.r.QueryContext(ctx, j.dialect.rebind(query), args...)
}

// querier is a Journal, which reads what is committed, its tables, or a transaction.
type querier interface {
	query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanner is one row.
type scanner func(dest ...any) error

// all reads every row of a query.
func all[T any](ctx context.Context, q querier, read func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err tells what there is to tell
	var list []T
	for rows.Next() {
		v, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}

// one reads the first row of a query, or gives ErrNotFound.
func one[T any](ctx context.Context, q querier, read func(scanner) (T, error), query string, args ...any) (T, error) {
	list, err := all(ctx, q, read, query, args...)
	if err == nil && len(list) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		var none T
		return none, err
	}
	return list[0], nil
}

// column reads rows of one column.
func column[T any](scan scanner) (v T, err error) { return v, scan(&v) }

// decoded reads rows of one column of JSON.
func decoded[T any](scan scanner) (v T, err error) {
	var text []byte
	if err := scan(&text); err != nil {
		return v, err
	}
	return v, json.Unmarshal(text, &v)
}

// encoded is the text of a column of JSON.
func encoded(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// wrap says what was being done, and to what, when it failed.
func wrap(err *error, format string, args ...any) {
	if *err != nil {
		*err = fmt.Errorf(format+": %w", append(args, *err)...)
	}
}

// absent turns ErrNotFound into "there is none".
func absent(err error) (bool, error) {
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}
