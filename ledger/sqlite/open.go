package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"tallyman/ledger/sqlstore"
)

// Config says where the ledger is and how it is used.
type Config struct {
	Path     string // of the file; it is made when it is missing
	ReadOnly bool   // ask only: the file must exist and be of this version
	Readers  int    // connections for questions; 0 means 4
	CacheMiB int    // page cache of the writing connection; 0 means 64. A reader has an eighth of it
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.Path == "":
		return errors.New("ledger: the path is empty: name a file such as /var/lib/tallyman/tallyman.db")
	case c.Readers < 0 || c.CacheMiB < 0:
		return errors.New("ledger: readers and cache cannot be negative")
	}
	return nil
}

// Ledger is a ledger in one SQLite file. It implements tallyman.Ledger.
type Ledger struct {
	*sqlstore.Store
	path   string
	writes *sql.DB
	read   *sql.DB
}

// applicationID marks the file as a ledger: "TALY" (PRAGMA application_id).
const applicationID = 0x54414c59

// Open opens the ledger, makes it if it is missing, and brings its schema up to date. It starts no goroutine of its own.
func Open(ctx context.Context, c Config) (*Ledger, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Readers == 0 {
		c.Readers = 4
	}
	if c.CacheMiB == 0 {
		c.CacheMiB = 64
	}
	l := &Ledger{path: c.Path}
	if err := l.open(ctx, c); err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", c.Path, errors.Join(err, l.closeHandles()))
	}
	l.Store = sqlstore.New(dialect(), l.writes, l.read)
	return l, nil
}

func (l *Ledger) open(ctx context.Context, c Config) error {
	d, err := newDriver()
	if err != nil {
		return err
	}
	if c.ReadOnly {
		if _, err := os.Stat(c.Path); err != nil {
			return err
		}
		l.openReaders(d, c)
		return l.expect(ctx)
	}
	if err := create(c.Path); err != nil {
		return err
	}
	l.writes = sql.OpenDB(connector{d, source(c.Path,
		"mode=rwc",
		heap,
		"_pragma=busy_timeout(1000)", // then the store tries again, until its context ends
		"_pragma=synchronous(full)",
		"_pragma=wal_autocheckpoint(8000)", // pages: a page that changes often is moved into the file less often
		"_pragma=journal_size_limit(67108864)",
		"_pragma=temp_store(memory)",
		fmt.Sprintf("_pragma=cache_size(-%d)", c.CacheMiB<<10),
	)})
	l.writes.SetMaxOpenConns(1)
	if err := recognise(ctx, l.writes); err != nil {
		return err
	}
	if err := migrate(ctx, l.writes); err != nil {
		return err
	}
	l.openReaders(d, c)
	return nil
}

func (l *Ledger) openReaders(d driver.Driver, c Config) {
	l.read = sql.OpenDB(connector{d, source(c.Path,
		"mode=ro",
		heap,
		"_pragma=busy_timeout(5000)",
		"_pragma=temp_store(memory)",
		fmt.Sprintf("_pragma=cache_size(-%d)", c.CacheMiB<<7),
	)})
	l.read.SetMaxOpenConns(c.Readers)
	l.read.SetMaxIdleConns(c.Readers)
}

// heap keeps the index of the write-ahead log in memory of this process instead of a mapped file (sqlite.org/vfs.html, unix-excl). A write to a mapped page
// of a disk that hangs stops the thread in a page fault, where the runtime of Go cannot preempt it, and with it every other thread: then a hung
// ledger would stop transfers. The price is that one process at a time has the ledger open; others ask it.
const heap = "vfs=unix-excl"

// source names the file and how a connection to it is set up.
func source(path string, options ...string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + strings.Join(options, "&")
}

// create makes an empty file that only its owner and group may read: the ledger says who moved what. A file that exists is not touched: closing it would
// end the locks that this process holds on it (fcntl(2), advisory record locking).
func create(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return err
	}
	return f.Close()
}

// errForeign is returned for a file that this program did not make.
var errForeign = errors.New("the file is an SQLite database of another program: choose another path, or move the file away")

// recognise refuses a file of another program, marks a new one, and switches it to a write-ahead log.
func recognise(ctx context.Context, db *sql.DB) error {
	var id, tables int64
	if err := db.QueryRowContext(ctx, "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id()").Scan(&id, &tables); err != nil {
		return fmt.Errorf("read the file: %w", err)
	}
	if id != applicationID && tables > 0 {
		return errForeign
	}
	if tables == 0 {
		if _, err := db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return fmt.Errorf("mark the file: %w", err)
		}
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = wal").Scan(&mode); err != nil {
		return fmt.Errorf("switch to a write-ahead log: %w", err)
	}
	if mode != "wal" {
		return errors.New("the file system cannot hold a write-ahead log, which needs shared memory: choose a path on a local disk")
	}
	return nil
}

// Close waits for the running transaction and closes the file. What was written before stays whole without it.
func (l *Ledger) Close() error {
	l.Store.Close()
	return l.closeHandles()
}

func (l *Ledger) closeHandles() error {
	var errs []error
	if l.read != nil {
		errs = append(errs, l.read.Close())
	}
	if l.writes != nil {
		errs = append(errs, l.writes.Close()) // the last connection moves the log into the file
	}
	return errors.Join(errs...)
}
