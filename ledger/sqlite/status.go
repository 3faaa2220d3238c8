package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"tallyman/ledger/sqlstore"
)

// Status says how the ledger is doing.
type Status struct {
	sqlstore.Counts
	Path              string
	Migration, Newest int64 // the schema of the file, and the one that this program knows
	Bytes             int64 // of the file
	Used              int64 // of these, bytes of pages that hold something; deleted rows leave the others to new ones
	Log               int64 // bytes of the write-ahead log
}

// Status reads the state of the ledger. It costs the same at any size.
func (l *Ledger) Status(ctx context.Context) (Status, error) {
	st := Status{Path: l.path}
	var err error
	if st.Counts, err = l.Counts(ctx); err != nil {
		return st, err
	}
	if st.Migration, err = version(ctx, l.read); err != nil {
		return st, err
	}
	if st.Newest, err = target(); err != nil {
		return st, err
	}
	if err := l.read.QueryRowContext(ctx, dialect().Size).Scan(&st.Used); err != nil {
		return st, fmt.Errorf("read the size of the ledger: %w", err)
	}
	if st.Bytes, err = size(l.path); err != nil {
		return st, err
	}
	st.Log, err = size(l.path + "-wal")
	return st, err
}

func size(path string) (int64, error) {
	fi, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return fi.Size(), nil
}

// Backup copies the ledger, as of one moment, into a new file. Writing goes on meanwhile. The copy has its name only when it is whole and on
// stable storage; a file that is there already is refused.
func (l *Ledger) Backup(ctx context.Context, path string) (err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("back up ledger: %s is there already: choose another name", path)
	}
	part := path + ".part"
	defer func() {
		if err != nil {
			_ = os.Remove(part)
			err = fmt.Errorf("back up ledger to %s: %w", path, err)
		}
	}()
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	if _, err := l.read.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
