package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"tallyman"
)

const (
	pruneStep = 500  // rows that one transaction deletes
	topFiles  = 1000 // files of a day that keep their count
)

// Keep says what a ledger keeps. A zero duration, or size, is no bound.
type Keep struct {
	Now       time.Time
	Transfers time.Duration // by start; a transfer that still runs stays
	Evidence  time.Duration // by when the transfer was first learnt of
	Events    time.Duration // events, gaps and findings
	MaxSize   int64         // bytes in use; beyond it the oldest transfers go, and their evidence
}

// Pruned says what Prune took away.
type Pruned struct {
	Transfers, Evidence, Events int64     // rows
	Counts                      int64     // counts of files that were not among the first thousand of their day
	Oldest                      time.Time // transfers that start before it are gone; zero if none was ever pruned
}

// IsZero reports whether no record was taken away.
func (p Pruned) IsZero() bool { return p.Transfers == 0 && p.Evidence == 0 && p.Events == 0 }

// Prune takes away what is older than keep says, or beyond its size, in transactions of a few hundred rows between which others write. Roll-ups
// and watermarks stay. Counts of files, exact for the day of keep.Now and the one before, are cut to the first thousand of each older day.
// After an error the result says what was done until then. The caller writes the record that tells of it.
func (s *Store) Prune(ctx context.Context, keep Keep) (done Pruned, err error) {
	p := pruner{store: s, keep: keep, files: map[int64]struct{}{}}
	for _, step := range []func(context.Context) error{p.cutFiles, p.byAge, p.bySize, p.forgetFiles} {
		if err = step(ctx); err != nil {
			err = fmt.Errorf("prune: %w", err)
			break
		}
	}
	return p.done, err
}

// pruner is one run of Prune.
type pruner struct {
	store *Store
	keep  Keep
	done  Pruned
	files map[int64]struct{} // of transfers that went
}

func (p *pruner) byAge(ctx context.Context) error {
	if p.keep.Evidence > 0 {
		before := keyAt(p.keep.Now.Add(-p.keep.Evidence))
		err := p.repeat(ctx, func(ctx context.Context, w *writer) (int64, error) { return w.pruneEvidence(ctx, before) }, &p.done.Evidence)
		if err != nil {
			return err
		}
	}
	if p.keep.Transfers > 0 {
		before := micros(p.keep.Now.Add(-p.keep.Transfers))
		err := p.repeat(ctx, func(ctx context.Context, w *writer) (int64, error) { return p.transfers(ctx, w, before) }, &p.done.Transfers)
		if err != nil {
			return err
		}
	}
	if p.keep.Events > 0 {
		before := micros(p.keep.Now.Add(-p.keep.Events))
		err := p.repeat(ctx, func(ctx context.Context, w *writer) (int64, error) { return w.pruneEvents(ctx, before) }, &p.done.Events)
		if err != nil {
			return err
		}
	}
	return nil
}

// repeat runs a step, each time in a transaction of its own, until it finds nothing more.
func (p *pruner) repeat(ctx context.Context, step func(context.Context, *writer) (int64, error), total *int64) error {
	for {
		var n int64
		err := p.store.transact(ctx, func(w *writer) (err error) {
			n, err = step(context.WithoutCancel(ctx), w)
			return err
		})
		if err != nil || n == 0 {
			return err
		}
		*total += n
	}
}

func (p *pruner) bySize(ctx context.Context) error {
	if p.keep.MaxSize <= 0 {
		return nil
	}
	tooLarge := func(ctx context.Context, w *writer) (yes bool, err error) {
		var size int64
		err = w.conn.QueryRowContext(ctx, p.store.dialect.Size).Scan(&size)
		return size > p.keep.MaxSize, err
	}
	err := p.repeat(ctx, func(ctx context.Context, w *writer) (int64, error) {
		if yes, err := tooLarge(ctx, w); err != nil || !yes {
			return 0, err
		}
		return p.transfers(ctx, w, forever)
	}, &p.done.Transfers)
	if err != nil {
		return err
	}
	return p.repeat(ctx, func(ctx context.Context, w *writer) (int64, error) {
		if yes, err := tooLarge(ctx, w); err != nil || !yes {
			return 0, err
		}
		return w.pruneEvents(ctx, forever)
	}, &p.done.Events)
}

// transfers deletes the oldest transfers that start before the time, with their evidence.
func (p *pruner) transfers(ctx context.Context, w *writer, before int64) (int64, error) {
	var keys []int64
	var floor int64
	query := "SELECT pk, start, file FROM transfer WHERE start < ? AND +verdict <> ? ORDER BY start LIMIT ?"
	err := w.dialect.ask(ctx, w.conn, query, []any{before, int64(tallyman.Active), pruneStep}, func(scan scanner) error {
		var key, file int64
		err := scan(&key, &floor, &file)
		keys = append(keys, key)
		p.files[file] = struct{}{}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read old transfers: %w", err)
	}
	if len(keys) == 0 {
		return 0, nil
	}
	// What was pruned may come again, from a spool that did not hear of it: it must not be counted twice.
	w.rows.floor = max(w.rows.floor, floor+1)
	w.rows.transfers -= int64(len(keys))
	p.done.Oldest = moment(w.rows.floor)
	return int64(len(keys)), w.remove(ctx, "transfer", keys, true)
}

func (w *writer) pruneEvidence(ctx context.Context, before int64) (int64, error) {
	keys, err := w.oldKeys(ctx, "evidence", "pk", before)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if _, err := w.dropEvidence.ExecContext(ctx, key); err != nil {
			return 0, fmt.Errorf("delete evidence: %w", err)
		}
	}
	return int64(len(keys)), nil
}

func (w *writer) pruneEvents(ctx context.Context, before int64) (total int64, err error) {
	for _, table := range []string{"event", "gap", "finding"} {
		keys, err := w.oldKeys(ctx, table, "at", before)
		if err != nil {
			return 0, err
		}
		if err := w.remove(ctx, table, keys, false); err != nil {
			return 0, err
		}
		total += int64(len(keys))
	}
	w.rows.events -= total
	return total, nil
}

func (w *writer) oldKeys(ctx context.Context, table, by string, before int64) (keys []int64, err error) {
	query := "SELECT pk FROM " + table + " WHERE " + by + " < ? ORDER BY " + by + " LIMIT ?"
	err = w.dialect.ask(ctx, w.conn, query, []any{before, pruneStep}, func(scan scanner) error {
		var key int64
		err := scan(&key)
		keys = append(keys, key)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read old rows of %s: %w", table, err)
	}
	return keys, nil
}

// remove deletes rows. A row that stands behind its own key, because that was taken, moves up: otherwise it would not be found any more.
func (w *writer) remove(ctx context.Context, table string, keys []int64, evidence bool) error {
	p := &preparer{conn: w.conn, dialect: w.dialect}
	defer p.close()
	r := remover{evidence: evidence, w: w}
	r.drop = p.prepare(ctx, "DELETE FROM "+table+" WHERE pk = ?")
	r.next = p.prepare(ctx, "SELECT id FROM "+table+" WHERE pk = ?")
	r.shift = p.prepare(ctx, "UPDATE "+table+" SET pk = ? WHERE pk = ?")
	if p.err != nil {
		return p.err
	}
	slices.SortFunc(keys, func(a, b int64) int { return cmp.Compare(b, a) }) // so that what moves up stays
	for _, key := range keys {
		if err := r.remove(ctx, key); err != nil {
			return fmt.Errorf("delete from %s: %w", table, err)
		}
	}
	return nil
}

// remover deletes rows of one table.
type remover struct {
	w                 *writer
	evidence          bool // its rows have evidence
	drop, next, shift *sql.Stmt
}

func (r *remover) remove(ctx context.Context, key int64) error {
	if _, err := r.drop.ExecContext(ctx, key); err != nil {
		return err
	}
	if r.evidence {
		if _, err := r.w.dropEvidence.ExecContext(ctx, key); err != nil {
			return err
		}
	}
	for ; ; key++ {
		var id []byte
		err := r.next.QueryRowContext(ctx, key+1).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) || err == nil && keyOf(tallyman.UUID(id)) > key {
			return nil
		}
		if err == nil {
			_, err = r.shift.ExecContext(ctx, key, key+1)
		}
		if err == nil && r.evidence {
			_, err = r.w.shiftEvidence.ExecContext(ctx, key, key+1)
		}
		if err != nil {
			return err
		}
	}
}
