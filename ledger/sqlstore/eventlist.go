package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"tallyman"
	"tallyman/ledger/sqlstore/where"
)

// listed is a record of a list of events with its place.
type listed struct {
	record tallyman.Record
	place  place
}

// Events implements tallyman.Ledger. A gap stands where it ends. Its kind is gap, that of a finding finding.
func (s *Store) Events(ctx context.Context, q tallyman.Query) iter.Seq2[tallyman.Record, error] {
	return func(yield func(tallyman.Record, error) bool) {
		beyond, err := s.eventPlace(ctx, q.After)
		if err != nil {
			yield(nil, fmt.Errorf("list events: %w", err))
			return
		}
		for left := q.Limit; ; {
			n := mostPage
			if q.Limit > 0 {
				n = min(n, left)
			}
			page, err := s.eventPage(ctx, q, beyond, n)
			if err != nil {
				yield(nil, fmt.Errorf("list events: %w", err))
				return
			}
			for _, e := range page {
				if !yield(e.record, nil) {
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

func (s *Store) eventPlace(ctx context.Context, c tallyman.Cursor) (place, error) {
	if c.IsZero() {
		return newest, nil
	}
	at := place{micros(tallyman.Clean(c.At)), keyOf(c.ID)}
	for _, sh := range s.sheets() {
		key, err := s.keyIn(ctx, sh.table, c.ID)
		switch {
		case err == nil:
			at.key = key
			return at, nil
		case !errors.Is(err, tallyman.ErrNotFound):
			return at, err
		}
	}
	return at, nil
}

// eventPage takes the next n records of each table, and of these the first n.
func (s *Store) eventPage(ctx context.Context, q tallyman.Query, beyond place, n int) ([]listed, error) {
	var page []listed
	for _, sh := range s.sheets() {
		fits, err := where.Compile(q.Where, sh.term)
		if err != nil {
			return nil, err
		}
		c := where.All(append(span("t.at", q), fits,
			where.Of("t.at <= ? AND (t.at < ? OR t.pk < ?)", beyond.at, beyond.at, beyond.key)))
		query := "SELECT " + sh.selected + " FROM " + sh.from + " WHERE " + c.SQL + " ORDER BY t.at DESC, t.pk DESC LIMIT ?"
		err = s.query(ctx, query, append(c.Args, n), func(scan scanner) error {
			r, at, err := sh.scan(scan)
			page = append(page, listed{r, at})
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("read %ss: %w", sh.table, err)
		}
	}
	slices.SortFunc(page, func(a, b listed) int { return a.place.compare(b.place) })
	return page[:min(n, len(page))], nil
}
