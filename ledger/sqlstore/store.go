package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
	"tallyman/ledger/sqlstore/where"
)

// ErrReadOnly is returned by Write and Prune of a ledger that was opened for reading.
var ErrReadOnly = errors.New("the ledger was opened for reading only")

// Store is a ledger on an SQL database. It implements tallyman.Ledger.
type Store struct {
	dialect  Dialect
	engine   where.Engine
	writes   *sql.DB // one connection; nil = read only
	read     *sql.DB
	readOnly bool
	images   *rollup.Images
	agents   sync.Map // row of the table agent -> tallyman.Agent

	turn   chan struct{} // holds one token: whoever has it writes
	writer *writer       // of who has the turn; nil until the first write and after an error of the connection
}

// New returns the ledger on two handles of one database whose schema is up to date. writes must be nil, or have one
// connection; a process that has writes must be the only one that writes. The caller closes the handles after Close.
func New(d Dialect, writes, read *sql.DB) *Store {
	s := &Store{dialect: d, engine: where.Engine{Match: d.Match, Holds: d.Holds, Lower: d.Lower}, writes: writes, read: read, readOnly: writes == nil, images: rollup.NewImages(), turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
	return s
}

// Close waits for the running transaction and gives its connection back.
func (s *Store) Close() {
	<-s.turn
	s.dropWriter()
	s.writes = nil
	s.turn <- struct{}{}
}

// Waits between two tries of a transaction that found the database busy.
const (
	firstWait = 5 * time.Millisecond
	mostWait  = 500 * time.Millisecond
)

// transact runs one transaction. It waits for its turn, and tries again while the database is busy; both end with the context. What
// the transaction did to the roll-ups is shown to readers after the commit.
func (s *Store) transact(ctx context.Context, do func(*writer) error) error {
	select {
	case <-s.turn:
		defer func() { s.turn <- struct{}{} }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the ledger: %w", context.Cause(ctx))
	}
	if s.writes == nil {
		return ErrReadOnly
	}
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		err := s.attempt(ctx, do)
		if err == nil || !s.dialect.Busy(err) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("the ledger is busy: %w", context.Cause(ctx))
		}
	}
}

func (s *Store) attempt(ctx context.Context, do func(*writer) error) error {
	if s.writer == nil {
		w, err := s.openWriter(ctx)
		if err != nil {
			return err
		}
		s.writer = w
	}
	w := s.writer
	commit, err := w.run(ctx, do)
	if err != nil {
		s.dropWriter()
		return err
	}
	s.images.Apply(w.change, commit)
	return nil
}

// dropWriter gives the connection back; what it remembers may not be so. The statement that undoes an open transaction fails where none is open.
func (s *Store) dropWriter() {
	if s.writer != nil {
		s.writer.close()
		s.writer = nil
	}
}

// Committed implements tallyman.Ledger. A ledger whose mark is older than what a spool was told is a restored backup: the
// spool then begins a new epoch.
func (s *Store) Committed(ctx context.Context, a tallyman.Agent) (tallyman.ID, error) {
	id := tallyman.ID{Agent: a}
	var seq int64
	row := s.read.QueryRowContext(ctx, s.dialect.Bind("SELECT epoch, seq FROM agent WHERE agent = ?"), a[:])
	switch err := row.Scan(&id.Epoch, &seq); {
	case errors.Is(err, sql.ErrNoRows):
		return tallyman.ID{}, nil
	case err != nil:
		return tallyman.ID{}, fmt.Errorf("read watermark: %w", err)
	}
	if id.Seq = uint64(seq); id.Epoch == 0 && seq == 0 {
		return tallyman.ID{}, nil // the agent is known from evidence that another brought
	}
	return id, nil
}

// Marks returns the watermarks of all agents.
func (s *Store) Marks(ctx context.Context) ([]tallyman.ID, error) {
	var out []tallyman.ID
	err := s.query(ctx, "SELECT agent, epoch, seq FROM agent WHERE epoch > 0 OR seq > 0 ORDER BY agent", nil, func(scan scanner) error {
		var id tallyman.ID
		var agent []byte
		var seq int64
		if err := scan(&agent, &id.Epoch, &seq); err != nil {
			return err
		}
		copy(id.Agent[:], agent)
		id.Seq = uint64(seq)
		out = append(out, id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read watermarks: %w", err)
	}
	return out, nil
}

// Counts are the rows of a ledger. Late counts records that were refused because they start before Floor: what was pruned does not come back.
type Counts struct {
	Transfers, Events int64
	Floor             time.Time // zero if no transfer was ever pruned
	Late              int64
}

// Counts reads what the ledger counts itself; it costs the same at any size.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	var floor int64
	row := s.read.QueryRowContext(ctx, "SELECT transfers, events, floor, late FROM ledger")
	if err := row.Scan(&c.Transfers, &c.Events, &floor, &c.Late); err != nil {
		return c, fmt.Errorf("read ledger: %w", err)
	}
	if floor > noFloor {
		c.Floor = moment(floor)
	}
	return c, nil
}

// noFloor is the floor of a ledger that never pruned a transfer.
const noFloor = -9000000000000000000

// scanner reads the columns of the current row.
type scanner func(to ...any) error

// asker is a database, a connection or a transaction.
type asker interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// ask calls each for every row of the answer.
func (d *Dialect) ask(ctx context.Context, on asker, query string, args []any, each func(scanner) error) error {
	rows, err := on.QueryContext(ctx, d.Bind(query), args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// query asks the readers.
func (s *Store) query(ctx context.Context, query string, args []any, each func(scanner) error) error {
	return s.dialect.ask(ctx, s.read, query, args, each)
}

// view runs questions that must see one moment of the ledger.
func (s *Store) view(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	return do(tx)
}
