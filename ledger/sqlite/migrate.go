package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Each migration is a transaction.
func migrate(ctx context.Context, db *sql.DB) error {
	p, err := provider(db)
	if err != nil {
		return err
	}
	has, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if has > want {
		return newer(has, want)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate from %d to %d: %w", has, want, err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
}

// target is the newest migration.
func target() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	return int64(len(names)), err
}

// errNewer is wrapped by the error about a ledger of a newer program.
var errNewer = errors.New("the ledger was made by a newer Tallyman: install that version, or choose another path")

func newer(has, want int64) error {
	return fmt.Errorf("%w (schema %d, this program knows %d)", errNewer, has, want)
}

// version reads the newest migration that the file has had.
func version(ctx context.Context, db *sql.DB) (has int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied").Scan(&has)
	if err != nil {
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	}
	return has, nil
}

// expect refuses a file whose schema is not that of this program: whoever only reads cannot migrate.
func (l *Ledger) expect(ctx context.Context) error {
	var id int64
	if err := l.read.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	if id != applicationID {
		return errForeign
	}
	has, err := version(ctx, l.read)
	if err != nil {
		return err
	}
	want, err := target()
	switch {
	case err != nil:
		return err
	case has > want:
		return newer(has, want)
	case has < want:
		return fmt.Errorf("the schema is at %d, this program wants %d: run tallyman db migrate", has, want)
	}
	return nil
}
