package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore/where"
)

// mostPage bounds the rows of a page. Between pages no transaction is open, so that a slow reader does not hold back the writer's log.
const mostPage = 500

// newest is the place before the first record.
var newest = place{math.MaxInt64, math.MaxInt64}

// Transfers implements tallyman.Ledger. Each page is one moment of the ledger; a record that is revised between two pages keeps its place unless
// its start changes.
func (s *Store) Transfers(ctx context.Context, q tallyman.Query) iter.Seq2[*tallyman.Transfer, error] {
	return func(yield func(*tallyman.Transfer, error) bool) {
		p, err := s.plan(ctx, q)
		if err != nil {
			yield(nil, fmt.Errorf("list transfers: %w", err))
			return
		}
		beyond, err := s.placeOf(ctx, "transfer", q.After)
		if err != nil {
			yield(nil, fmt.Errorf("list transfers: %w", err))
			return
		}
		for left := q.Limit; ; {
			n := mostPage
			if q.Limit > 0 {
				n = min(n, left)
			}
			page, err := s.page(ctx, &p, beyond, n, q.Evidence)
			if err != nil {
				yield(nil, fmt.Errorf("list transfers: %w", err))
				return
			}
			for _, f := range page {
				if !yield(f.t, nil) {
					return
				}
			}
			if left -= len(page); len(page) < n || left == 0 {
				return
			}
			beyond = page[len(page)-1].place
		}
	}
}

// placeOf finds the place of a cursor. A record that has gone since keeps its place.
func (s *Store) placeOf(ctx context.Context, table string, c tallyman.Cursor) (place, error) {
	if c.IsZero() {
		return newest, nil
	}
	at := place{micros(tallyman.Clean(c.At)), keyOf(c.ID)}
	key, err := s.keyIn(ctx, table, c.ID)
	if err == nil {
		at.key = key
	} else if errors.Is(err, tallyman.ErrNotFound) {
		err = nil
	}
	return at, err
}

// keyIn finds the key under which a record stands.
func (s *Store) keyIn(ctx context.Context, table string, id tallyman.UUID) (int64, error) {
	for key := keyOf(id); ; key++ {
		var there []byte
		err := s.read.QueryRowContext(ctx, s.dialect.Bind("SELECT id FROM "+table+" WHERE pk = ?"), key).Scan(&there)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return 0, tallyman.ErrNotFound
		case err != nil:
			return 0, fmt.Errorf("look up record %s: %w", id, err)
		case string(there) == string(id[:]):
			return key, nil
		}
	}
}

// Transfer implements tallyman.Ledger. A record that was united with another is still found here, and names the other in Merged.
func (s *Store) Transfer(ctx context.Context, id tallyman.UUID) (*tallyman.Transfer, error) {
	key, err := s.keyIn(ctx, "transfer", id)
	if err != nil {
		return nil, err
	}
	var found []found
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		found, err = s.rows(ctx, tx, where.Of("t.pk = ?", key), 1, true)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("read transfer %s: %w", id, err)
	case len(found) == 0 || found[0].t.ID != id:
		return nil, tallyman.ErrNotFound
	}
	return found[0].t, nil
}

// slow is the distance of seen from start, as the index transfer_slow says it, beyond which a record stands there.
const slow = time.Minute

// Recent yields, newest first, the transfers of which something was learnt at or after the time, with their evidence: what a join must hold again after
// a restart, beside those that still run (Query.Open).
func (s *Store) Recent(ctx context.Context, since time.Time) iter.Seq2[*tallyman.Transfer, error] {
	return func(yield func(*tallyman.Transfer, error) bool) {
		places, err := s.recentPlaces(ctx, micros(tallyman.Clean(since)))
		for part := range slices.Chunk(places, mostPage) {
			var page []found
			if page, err = s.pageAt(ctx, part); err != nil {
				break
			}
			for _, f := range page {
				if !yield(f.t, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(nil, fmt.Errorf("list recent transfers: %w", err))
		}
	}
}

// recentPlaces asks twice, so that each question has an index of its own.
func (s *Store) recentPlaces(ctx context.Context, since int64) ([]place, error) {
	var out []place
	take := func(scan scanner) error {
		var at place
		err := scan(&at.at, &at.key)
		out = append(out, at)
		return err
	}
	ask := "SELECT t.start, t.pk FROM transfer t WHERE t.merged IS NULL AND t.seen >= ? AND "
	err := s.query(ctx, ask+"t.start >= ? AND t.seen - t.start <= 60000000", []any{since, since - slow.Microseconds()}, take)
	if err == nil {
		err = s.query(ctx, ask+"t.seen - t.start > 60000000", []any{since}, take)
	}
	slices.SortFunc(out, place.compare)
	return out, err
}

func (s *Store) pageAt(ctx context.Context, places []place) (page []found, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		page, err = s.rowsAt(ctx, tx, places, true)
		return err
	})
	return page, err
}
