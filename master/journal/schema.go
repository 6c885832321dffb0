package journal

import (
	"context"
	"embed"
	"fmt"
	"strings"
)

// The schema grows forward only: a change is a new file with the next number, never an edit of an old one.
//
//go:embed schema/*.sql
var schema embed.FS

// migrate brings the schema up to date. A journal that a newer brine has written is refused.
func (t *tx) migrate(ctx context.Context) error {
	files, err := schema.ReadDir("schema")
	if err != nil {
		return err
	}
	if _, err := t.exec(ctx, `CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY)`); err != nil {
		return err
	}
	at, err := one(ctx, t, column[int], `SELECT COALESCE(MAX(version), 0) FROM schema_version`)
	if err != nil {
		return err
	}
	if at > len(files) {
		return fmt.Errorf("it has schema %d, this program knows %d: run the newer brine-master that wrote it", at, len(files))
	}
	for i := at; i < len(files); i++ {
		if err := t.migrateTo(ctx, i+1, files[i].Name()); err != nil {
			return fmt.Errorf("migrate to schema %d: %w", i+1, err)
		}
	}
	return nil
}

func (t *tx) migrateTo(ctx context.Context, version int, file string) error {
	text, err := schema.ReadFile("schema/" + file)
	if err != nil {
		return err
	}
	if _, err := t.ExecContext(ctx, strings.ReplaceAll(string(text), "{blob}", t.dialect.Blob)); err != nil {
		return err
	}
	_, err = t.exec(ctx, `INSERT INTO schema_version (version) VALUES (?)`, version)
	return err
}
