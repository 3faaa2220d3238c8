package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"

	"tallyman/ledger/sqlstore/rollup"

	"tallyman/ledger/sqlstore/where"
)

// place is where a record stands in a list: newest start first, then the greater key.
type place struct {
	at, key int64
}

// compare orders places as a list does.
func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(q.at, p.at), cmp.Compare(q.key, p.key))
}

// page reads the next n rows, all as of one moment.
func (s *Store) page(ctx context.Context, p *plan, beyond place, n int, evidence bool) (page []found, err error) {
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		switch {
		case p.lanes == nil:
			page, err = s.rows(ctx, tx, p.where(where.Always, beyond), n, evidence)
		case len(p.lanes) == 1 && p.lanes[0].values == 1:
			page, err = s.rows(ctx, tx, p.where(p.lanes[0].Condition, beyond), n, evidence)
		case len(p.lanes) > 0:
			page, err = s.pageOf(ctx, tx, p, beyond, n, evidence)
		}
		return err
	})
	return page, err
}

// pageOf takes the newest n of what the lanes hold.
func (s *Store) pageOf(ctx context.Context, tx *sql.Tx, p *plan, beyond place, n int, evidence bool) ([]found, error) {
	var places []place
	for _, l := range p.lanes {
		found, err := s.newestOf(ctx, tx, p, l, beyond, n)
		if err != nil {
			return nil, err
		}
		places = append(places, found...)
	}
	slices.SortFunc(places, place.compare)
	places = slices.Compact(places) // a row may stand in two lanes
	return s.rowsAt(ctx, tx, places[:min(n, len(places))], evidence)
}

const inOrder = " ORDER BY t.start DESC, t.pk DESC LIMIT ?"

// newestOf finds the newest n places of a lane. One value of an index comes in order; of several, a window of time is read
// and sorted, and a wider one if it held too little.
func (s *Store) newestOf(ctx context.Context, tx *sql.Tx, p *plan, l lane, beyond place, n int) ([]place, error) {
	c := p.where(l.Condition, beyond)
	if l.values == 1 {
		return s.places(ctx, tx, "WHERE "+c.SQL+inOrder, append(c.Args, n))
	}
	from, to, err := s.window(ctx, tx, l, beyond, n)
	if err != nil {
		return nil, err
	}
	for {
		last := from <= p.from
		// The plus keeps the planner from walking all rows for the sake of their order.
		found, err := s.places(ctx, tx, "WHERE "+c.SQL+" AND t.start > ? ORDER BY +t.start DESC, t.pk DESC LIMIT ?",
			append(slices.Clip(c.Args), max(from, p.from-1), n))
		if err != nil || len(found) == n || last {
			return found, err
		}
		wider := int64(16)
		if len(found) > 0 {
			wider = int64(min(16, 2+2*n/len(found)))
		}
		if from = to - (to-from+1)*wider; to-from > mostWindow {
			from = -forever
		}
	}
}

// mostWindow is the width, five years, beyond which a window is everything.
const mostWindow = 5 * 365 * rollup.Day

// mostSteps bounds how many rows are stepped over to find the first window.
const mostSteps = 5000

// window guesses the time since which n rows of the lane have started: as if the lane had its share of all rows.
func (s *Store) window(ctx context.Context, tx *sql.Tx, l lane, beyond place, n int) (from, to int64, err error) {
	start := func(steps int) (at int64, err error) {
		row := tx.QueryRowContext(ctx, s.dialect.Bind("SELECT start FROM transfer WHERE start <= ? ORDER BY start DESC LIMIT 1 OFFSET ?"), beyond.at, steps)
		if err = row.Scan(&at); errors.Is(err, sql.ErrNoRows) {
			return -forever, nil
		}
		return at, err
	}
	if to, err = start(0); err != nil || to == -forever {
		return -forever, to, err
	}
	from, err = start(min(mostSteps, n+n*l.all/l.values))
	return from, to, err
}

func (s *Store) places(ctx context.Context, tx *sql.Tx, tail string, args []any) (places []place, err error) {
	err = s.dialect.ask(ctx, tx, "SELECT t.start, t.pk FROM transfer t "+tail, args, func(scan scanner) error {
		var at place
		err := scan(&at.at, &at.key)
		places = append(places, at)
		return err
	})
	return places, err
}

// rows reads the first n transfers that fit, with their evidence if it is wanted.
func (s *Store) rows(ctx context.Context, tx *sql.Tx, c where.Condition, n int, evidence bool) ([]found, error) {
	query := "SELECT " + selected + " FROM " + joinedTables
	if evidence {
		query = "SELECT " + selected + ", e.body FROM " + joinedTables + " LEFT JOIN evidence e ON e.pk = t.pk"
	}
	var out []found
	err := s.dialect.ask(ctx, tx, query+" WHERE "+c.SQL+inOrder, append(c.Args, n), func(scan scanner) error {
		f, err := scanTransfer(scan, evidence)
		out = append(out, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := out[i].unpack(ctx, s.agentOf); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rowsAt reads the rows of places, in their order.
func (s *Store) rowsAt(ctx context.Context, tx *sql.Tx, places []place, evidence bool) (out []found, err error) {
	for part := range slices.Chunk(places, 100) {
		keys := make([]int64, len(part))
		for i, at := range part {
			keys[i] = at.key
		}
		rows, err := s.rows(ctx, tx, where.Numbered("t.pk", keys), len(part), evidence)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b found) int { return a.place.compare(b.place) })
	return out, nil
}
