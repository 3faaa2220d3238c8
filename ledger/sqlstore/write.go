package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
)

// checkEvery is the number of records between two looks at the context.
const checkEvery = 64

// Write implements tallyman.Ledger. A transfer replaces its stored revision if its own is newer; events, gaps and findings are stored once. Writing waits
// while the database is busy, until the context ends; then nothing of the batch is stored.
func (s *Store) Write(ctx context.Context, b tallyman.Batch) error {
	err := s.transact(ctx, func(w *writer) error {
		still := context.WithoutCancel(ctx)
		for i, r := range b.Records {
			if i%checkEvery == 0 && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := w.record(still, b.Mark.Agent, r); err != nil {
				return err
			}
		}
		return w.mark(still, b.Mark)
	})
	if err != nil {
		return fmt.Errorf("write to ledger: %w", err)
	}
	return nil
}

func (w *writer) record(ctx context.Context, a tallyman.Agent, r tallyman.Record) error {
	switch r := r.(type) {
	case *tallyman.Transfer:
		return w.transfer(ctx, a, r)
	case *tallyman.Event:
		return w.event(ctx, r)
	case *tallyman.Gap:
		return w.gap(ctx, r)
	case *tallyman.Finding:
		return w.finding(ctx, r)
	default:
		return fmt.Errorf("a record of type %T has no table", r)
	}
}

func (w *writer) transfer(ctx context.Context, a tallyman.Agent, given *tallyman.Transfer) error {
	t := settled(given)
	if micros(t.Start) < w.rows.floor {
		held, err := w.holds(ctx, t.ID)
		if err != nil {
			return err
		}
		if !held {
			w.rows.late++
			return nil
		}
	}
	n, err := w.bind(ctx, &t)
	if err != nil {
		return fmt.Errorf("transfer %s: %w", t.ID, err)
	}
	for key := keyOf(t.ID); ; key++ {
		added, err := affected(w.insert.ExecContext(ctx, append(w.args, key)...))
		if err != nil {
			return fmt.Errorf("insert transfer %s: %w", t.ID, err)
		}
		if added {
			w.rows.transfers++
			w.change.Add(n, 1)
			return w.evidence(ctx, w.addEvidence, a, &t, key)
		}
		old, err := w.storedAt(ctx, key)
		if err != nil {
			return fmt.Errorf("read transfer %s: %w", t.ID, err)
		}
		if old.id != t.ID {
			continue
		}
		if old.rev >= t.Rev {
			return nil
		}
		return w.replace(ctx, a, &t, key, n, old.Entry)
	}
}

// holds reports whether there is a row of the record.
func (w *writer) holds(ctx context.Context, id tallyman.UUID) (bool, error) {
	for key := keyOf(id); ; key++ {
		old, err := w.storedAt(ctx, key)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read transfer %s: %w", id, err)
		case old.id == id:
			return true, nil
		}
	}
}

// stored is what the writer must know of a row before it replaces it.
type stored struct {
	id  tallyman.UUID
	rev uint32
	rollup.Entry
}

func (w *writer) storedAt(ctx context.Context, key int64) (old stored, err error) {
	var id, merged []byte
	var bytes sql.NullInt64
	var flags int64
	n := &old.Entry
	err = w.stored.QueryRowContext(ctx, key).Scan(&id, &old.rev, &merged, &n.Start, &n.Host, &n.Proto, &n.Op, &n.Verdict, &flags,
		&n.Client, &n.File, &bytes)
	copy(old.id[:], id)
	n.Merged, n.Search, n.Bytes = merged != nil, flags&searched != 0, bytes.Int64
	return old, err
}

// replace sets a newer revision in the place of the stored one, and moves the roll-ups by the difference.
func (w *writer) replace(ctx context.Context, a tallyman.Agent, t *tallyman.Transfer, key int64, n, old rollup.Entry) error {
	if len(t.Evidence) == 0 {
		if err := w.keepEvidence(ctx, t, key); err != nil {
			return err
		}
	}
	st, args := w.move, slices.Concat(w.args, []any{key})
	if n.Start == old.Start && n.Client == old.Client && n.File == old.File {
		st, args = w.revise, args[:0]
		for i, c := range columns[:len(columns)-1] {
			if !slices.Contains(indexed, c) {
				args = append(args, w.args[i])
			}
		}
		args = append(args, key)
	}
	if _, err := st.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("revise transfer %s: %w", t.ID, err)
	}
	w.change.Add(old, -1)
	w.change.Add(n, 1)
	return w.evidence(ctx, w.putEvidence, a, t, key)
}

// keepEvidence gives the new revision the evidence of the old one: a pack can be read beside its own revision only.
func (w *writer) keepEvidence(ctx context.Context, t *tallyman.Transfer, key int64) error {
	rows, err := w.getEvidence.QueryContext(ctx, key)
	if err != nil {
		return fmt.Errorf("read evidence of %s: %w", t.ID, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		found, err := scanTransfer(rows.Scan, true)
		if err != nil {
			return err
		}
		if err := found.unpack(ctx, w.agentOf); err != nil {
			return err
		}
		t.Evidence = found.t.Evidence
	}
	return rows.Err()
}

// evidence stores the evidence of the revision that was just written.
func (w *writer) evidence(ctx context.Context, st *sql.Stmt, a tallyman.Agent, t *tallyman.Transfer, key int64) error {
	if len(t.Evidence) == 0 {
		return nil
	}
	if first := t.Evidence[0].ID.Agent; !first.IsZero() {
		a = first
	}
	mark, err := w.watermark(ctx, a)
	if err != nil {
		return err
	}
	w.pack = appendPack(w.pack[:0], t, mark.row, a)
	if _, err := st.ExecContext(ctx, w.pack, key); err != nil {
		return fmt.Errorf("write evidence of %s: %w", t.ID, err)
	}
	return nil
}

// affected reports whether a statement changed a row.
func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}
