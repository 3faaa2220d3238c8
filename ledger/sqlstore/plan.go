package sqlstore

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tallyman"
	"tallyman/ledger/sqlstore/where"
)

// A list is made in one of two ways. Either every row that fits stands in a few lanes, stretches of an index such as one client, some files or one
// verdict: then the newest rows of each lane are taken. Or all rows are walked from the newest on, which is good for what is frequent.

const (
	mostLanes = 16   // more are not worth it
	fewSeeks  = 200  // values of a lane that cost nothing
	mostSeeks = 5000 // values of a lane: beyond it, walking all rows finds a page sooner
)

// lane is a stretch of an index that holds rows which may fit.
type lane struct {
	where.Condition
	values int // how many values of the index it asks for; 1 means that the index gives the rows in the order of the list
	all    int // how many values the index has, about
}

// plan is how a list is made.
type plan struct {
	bounds where.Condition // what all rows must fit
	from   int64           // no row that starts before it is wanted
	lanes  []lane          // nil: all rows are walked
	rest   where.Condition // what is left of the question
}

// odd are the verdicts of the index transfer_odd: those that are few, and that people look for, and none, of operations that move no content. Odd says it as the
// index does, so that the planner sees that it fits.
var odd = []tallyman.Verdict{tallyman.NoVerdict, tallyman.Active, tallyman.Failed, tallyman.Aborted, tallyman.Unproven, tallyman.Contradicted}

// Odd is the condition of the index transfer_odd.
const Odd = "t.verdict <> 2 AND t.verdict <> 5 AND t.verdict <> 6"

// span is the interval of a query.
func span(column string, q tallyman.Query) (parts []where.Condition) {
	if !q.From.IsZero() {
		parts = append(parts, where.Of(column+" >= ?", micros(q.From)))
	}
	if !q.To.IsZero() {
		parts = append(parts, where.Of(column+" < ?", micros(q.To)))
	}
	return parts
}

// plan finds the lanes of a question.
func (s *Store) plan(ctx context.Context, q tallyman.Query) (p plan, err error) {
	p.bounds = where.All(append(span("t.start", q), where.Of("t.merged IS NULL")))
	p.from = -forever
	if !q.From.IsZero() {
		p.from = micros(q.From)
	}
	rest := q.Where
	if q.Open {
		p.lanes = oddLanes([]int64{int64(tallyman.Active)})
	} else if p.lanes, rest, err = s.lanes(ctx, q.Where); err != nil {
		return p, err
	}
	p.rest, err = where.Compile(rest, s.engine.Transfer)
	return p, err
}

// where is the whole condition of a lane, for rows behind a place.
func (p *plan) where(l where.Condition, beyond place) where.Condition {
	return where.All([]where.Condition{l, p.bounds, where.Of("t.start <= ? AND (t.start < ? OR t.pk < ?)", beyond.at, beyond.at, beyond.key), p.rest})
}

// lanes returns lanes that hold all rows which fit the expression, and what is left to ask of their rows. No lanes are nil; an empty list says
// that no row fits.
func (s *Store) lanes(ctx context.Context, e tallyman.Expr) (lanes []lane, rest tallyman.Expr, err error) {
	switch e := e.(type) {
	case tallyman.Term:
		return s.termLanes(ctx, e)
	case tallyman.Or:
		lanes = []lane{}
		for _, of := range e {
			more, left, err := s.lanes(ctx, of)
			if err != nil || more == nil || len(lanes)+len(more) > mostLanes {
				return nil, e, err
			}
			lanes = append(lanes, more...)
			if left != nil {
				rest = e
			}
		}
		return lanes, rest, nil
	case tallyman.And:
		best := -1
		for i, of := range e {
			found, left, err := s.lanes(ctx, of)
			if err != nil {
				return nil, e, err
			}
			if found != nil && (best < 0 || seeks(found) < seeks(lanes)) {
				best, lanes, rest = i, found, left
			}
		}
		if best < 0 {
			return nil, e, nil
		}
		others := slices.Delete(slices.Clone(e), best, best+1)
		if rest != nil {
			others = append(others, rest)
		}
		return lanes, others, nil
	default:
		return nil, e, nil
	}
}

// seeks is how many places of an index the lanes ask for. Of two plans the one with fewer is taken; a file or a client is rarer than a verdict.
func seeks(lanes []lane) (n int) {
	for _, l := range lanes {
		n += l.values
		if strings.HasPrefix(l.SQL, "t.verdict") {
			n += 9
		}
	}
	return n
}

func (s *Store) termLanes(ctx context.Context, t tallyman.Term) ([]lane, tallyman.Expr, error) {
	var lanes []lane
	var err error
	switch t.Field {
	case tallyman.FieldFile:
		lanes, err = s.idLanes(ctx, "t.file", "file", s.engine.Text("name", t))
	case tallyman.FieldClient:
		lanes, err = s.idLanes(ctx, "t.client", "address", where.Network("ip", t.Net))
	case tallyman.FieldAny:
		if len(where.ReasonsLike(t)) == 0 {
			lanes, err = s.anyLanes(ctx, t)
		}
	case tallyman.FieldVerdict:
		lanes = oddLanes(where.Verdicts(t))
	case tallyman.FieldOutcome: // without a verdict the reason says it
		return oddLanes(append(where.Verdicts(t), int64(tallyman.NoVerdict))), t, nil
	case tallyman.FieldReason:
		// The verdicts that may stand beside the reason, as the table of the root has it.
		var n []int64
		for v := tallyman.NoVerdict; v <= tallyman.Contradicted; v++ {
			if tallyman.Legal(v, tallyman.Reason(t.Text)) {
				n = append(n, int64(v))
			}
		}
		return oddLanes(n), t, nil
	default: // no index
	}
	if lanes == nil || err != nil {
		return nil, t, err
	}
	return lanes, nil, nil
}

// anyLanes are the lanes of a bare word that is part of no reason.
func (s *Store) anyLanes(ctx context.Context, t tallyman.Term) ([]lane, error) {
	files, err := s.idLanes(ctx, "t.file", "file", s.engine.Loosely("name", t))
	if err != nil || files == nil {
		return nil, err
	}
	clients, err := s.idLanes(ctx, "t.client", "address", s.engine.Loosely("text", t))
	if err != nil || clients == nil {
		return nil, err
	}
	return append(files, clients...), nil
}

// oddLanes are the lanes of the verdicts, if all of them are odd.
func oddLanes(verdicts []int64) []lane {
	lanes := []lane{}
	for _, n := range verdicts {
		if !slices.Contains(odd, tallyman.Verdict(n)) {
			return nil
		}
		lanes = append(lanes, lane{where.Of("t.verdict = ? AND "+Odd, n), 1, 1})
	}
	return lanes
}

// idLanes is the lane of the values of a dimension that fit: none if there are no such values, nil if there are too many.
func (s *Store) idLanes(ctx context.Context, column, table string, c where.Condition) ([]lane, error) {
	var ids []int64
	query := "SELECT id FROM " + table + " WHERE " + c.SQL + " LIMIT ?"
	err := s.query(ctx, query, append(slices.Clip(c.Args), mostSeeks+1), func(scan scanner) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("look up %s: %w", table, err)
	case len(ids) == 0:
		return []lane{}, nil
	case len(ids) == 1:
		return []lane{{where.Of(column+" = ?", ids[0]), 1, 1}}, nil
	case len(ids) > mostSeeks:
		return nil, nil
	}
	var newest int
	err = s.query(ctx, "SELECT max(id) FROM "+table, nil, func(scan scanner) error { return scan(&newest) })
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", table, err)
	}
	if len(ids) > fewSeeks && len(ids) > newest/10 {
		return nil, nil // most rows fit
	}
	return []lane{{where.Numbered(column, ids), len(ids), newest}}, nil
}
