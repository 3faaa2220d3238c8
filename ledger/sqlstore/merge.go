package sqlstore

import (
	"cmp"
	"container/heap"
	"context"
	"database/sql"
	"slices"
)

// compare orders places as a list does.
func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(q.at, p.at), cmp.Compare(q.key, p.key))
}

// merger takes places from lanes in the order of the list.
type merger struct {
	p     *plan
	ask   func(lane condition, beyond place, n int) ([]place, error)
	lanes []*stretch // a heap: the lane with the next place on top
}

// stretch is what was read of a lane and not yet taken.
type stretch struct {
	lane   condition
	places []place
	size   int // of the next reading
	done   bool
}

func (m *merger) Len() int           { return len(m.lanes) }
func (m *merger) Less(i, j int) bool { return m.lanes[i].places[0].compare(m.lanes[j].places[0]) < 0 }
func (m *merger) Swap(i, j int)      { m.lanes[i], m.lanes[j] = m.lanes[j], m.lanes[i] }
func (m *merger) Push(x any)         { m.lanes = append(m.lanes, x.(*stretch)) }
func (m *merger) Pop() any {
	last := m.lanes[len(m.lanes)-1]
	m.lanes = m.lanes[:len(m.lanes)-1]
	return last
}

// fill reads on in a lane.
func (m *merger) fill(st *stretch, beyond place) (err error) {
	if st.done {
		return nil
	}
	st.places, err = m.ask(st.lane, beyond, st.size)
	st.done = len(st.places) < st.size
	st.size = min(2*st.size, mostPage)
	return err
}

// take returns the next n places. A row that stands in two lanes is taken once.
func (m *merger) take(beyond place, n int) ([]place, error) {
	for _, lane := range m.p.lanes {
		st := &stretch{lane: lane, size: 1 + 2*n/len(m.p.lanes)}
		if err := m.fill(st, beyond); err != nil {
			return nil, err
		}
		if len(st.places) > 0 {
			m.lanes = append(m.lanes, st)
		}
	}
	heap.Init(m)
	out := make([]place, 0, n)
	for len(out) < n && len(m.lanes) > 0 {
		st := m.lanes[0]
		next := st.places[0]
		if len(out) == 0 || out[len(out)-1] != next {
			out = append(out, next)
		}
		if st.places = st.places[1:]; len(st.places) == 0 {
			if err := m.fill(st, next); err != nil {
				return nil, err
			}
		}
		if len(st.places) == 0 {
			heap.Pop(m)
		} else {
			heap.Fix(m, 0)
		}
	}
	return out, nil
}

// merge finds the next n places of a plan with several lanes.
func (s *Store) merge(ctx context.Context, tx *sql.Tx, p *plan, beyond place, n int) ([]place, error) {
	prepared := map[string]*sql.Stmt{}
	defer func() {
		for _, st := range prepared {
			st.Close()
		}
	}()
	still := context.WithoutCancel(ctx) // the driver starts a goroutine for each question that can be cancelled
	m := &merger{p: p, ask: func(lane condition, beyond place, n int) ([]place, error) {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		c := p.where(lane, beyond)
		st := prepared[c.sql]
		if st == nil {
			var err error
			query := "SELECT t.start, t.key FROM transfer t WHERE " + c.sql + " ORDER BY t.start DESC, t.key DESC LIMIT ?"
			if st, err = tx.PrepareContext(ctx, s.dialect.Bind(query)); err != nil {
				return nil, err
			}
			prepared[c.sql] = st
		}
		rows, err := st.QueryContext(still, append(c.args, n)...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var places []place
		for rows.Next() {
			var at place
			if err := rows.Scan(&at.at, &at.key); err != nil {
				return nil, err
			}
			places = append(places, at)
		}
		return places, rows.Err()
	}}
	return m.take(beyond, n)
}

// rowsAt reads the rows of places, in their order.
func (s *Store) rowsAt(ctx context.Context, tx *sql.Tx, places []place, evidence bool) ([]found, error) {
	var out []found
	for part := range slices.Chunk(places, 100) {
		args := make([]any, len(part))
		for i, at := range part {
			args[i] = at.key
		}
		rows, err := s.rows(ctx, tx, "WHERE t.key IN ("+list(len(part))+")", args, evidence)
		if err != nil {
			return nil, err
		}
		out = append(out, rows...)
	}
	slices.SortFunc(out, func(a, b found) int { return a.place.compare(b.place) })
	return out, nil
}
