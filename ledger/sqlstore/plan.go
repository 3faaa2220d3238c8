package sqlstore

import (
	"context"
	"fmt"
	"slices"

	"tallyman"
)

// A list is made from lanes: stretches of an index that are each in the order of the list, such as one client or one file. The lanes are merged, so
// that a page costs a few entries of each, however many there are. Without lanes the rows are walked from the newest on.

// mostLanes is where walking all rows is expected to find a page sooner than asking each lane.
const mostLanes = 1000

// odd are the verdicts of the index transfer_odd: those that are few, and that people look for.
var odd = []tallyman.Verdict{tallyman.Active, tallyman.Failed, tallyman.Aborted, tallyman.Unproven, tallyman.Contradicted}

const isOdd = "t.verdict IN (1, 3, 4, 7, 8)" // as the index says it, so that the planner sees that it fits

// plan is how a list is made.
type plan struct {
	bounds condition   // what all rows must fit
	lanes  []condition // nil: one lane of all rows
	rest   condition   // what is left of the question
}

// span is the interval of a query.
func span(column string, q tallyman.Query) (parts []condition) {
	if !q.From.IsZero() {
		parts = append(parts, condition{column + " >= ?", []any{micros(q.From)}})
	}
	if !q.To.IsZero() {
		parts = append(parts, condition{column + " < ?", []any{micros(q.To)}})
	}
	return parts
}

// plan finds the lanes of a question.
func (s *Store) plan(ctx context.Context, q tallyman.Query) (plan, error) {
	p := plan{bounds: all(append(span("t.start", q), condition{sql: "t.merged IS NULL"}))}
	where := q.Where
	lanes, rest, err := s.lanes(ctx, where)
	if err != nil {
		return p, err
	}
	if q.Open {
		lanes, rest = []condition{verdictLane(tallyman.Active)}, where
	}
	if p.rest, err = compile(rest, 0, s.transferTerm); err != nil {
		return p, err
	}
	p.lanes = lanes
	return p, nil
}

func verdictLane(v tallyman.Verdict) condition {
	return condition{"t.verdict = ? AND " + isOdd, []any{int64(v)}}
}

// lanes returns lanes that hold all rows which fit the expression, and what is left to ask of their rows. No lanes are nil; an empty list says
// that no row fits.
func (s *Store) lanes(ctx context.Context, e tallyman.Expr) (lanes []condition, rest tallyman.Expr, err error) {
	switch e := e.(type) {
	case tallyman.Term:
		return s.termLanes(ctx, e)
	case tallyman.Or:
		lanes = []condition{}
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
		return s.worthwhile(lanes, rest, e)
	case tallyman.And:
		best := -1
		for i, of := range e {
			found, left, err := s.lanes(ctx, of)
			if err != nil {
				return nil, e, err
			}
			if found != nil && (best < 0 || len(found) < len(lanes)) {
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
		return s.worthwhile(lanes, others, e)
	default:
		return nil, e, nil
	}
}

// worthwhile gives up many lanes whose rest would look through a dimension for each of them.
func (s *Store) worthwhile(lanes []condition, rest, whole tallyman.Expr) ([]condition, tallyman.Expr, error) {
	if len(lanes) > 4 && asksDimension(rest) {
		return nil, whole, nil
	}
	return lanes, rest, nil
}

func asksDimension(e tallyman.Expr) bool {
	switch e := e.(type) {
	case tallyman.Term:
		switch e.Field {
		case tallyman.FieldFile, tallyman.FieldClient, tallyman.FieldAny, tallyman.FieldUser:
			return true
		}
	case tallyman.Not:
		return asksDimension(e.Of)
	case tallyman.And:
		return slices.ContainsFunc(e, asksDimension)
	case tallyman.Or:
		return slices.ContainsFunc(e, asksDimension)
	}
	return false
}

func (s *Store) termLanes(ctx context.Context, t tallyman.Term) ([]condition, tallyman.Expr, error) {
	var lanes []condition
	var err error
	switch t.Field {
	case tallyman.FieldFile:
		lanes, err = s.idLanes(ctx, "t.file", "file", s.textMatch("name", t))
	case tallyman.FieldClient:
		lanes, err = s.idLanes(ctx, "t.client", "address", network(t.Net))
	case tallyman.FieldAny:
		if len(reasonsLike(t)) == 0 {
			lanes, err = s.anyLanes(ctx, t)
		}
	case tallyman.FieldVerdict, tallyman.FieldOutcome:
		lanes = oddLanes(verdictsOf(t))
	case tallyman.FieldReason:
		var n []int64
		for v := tallyman.Active; v <= tallyman.Contradicted; v++ {
			if tallyman.Legal(v, tallyman.Reason(t.Text)) {
				n = append(n, int64(v))
			}
		}
		return oddLanes(n), t, nil
	}
	if lanes == nil || err != nil {
		return nil, t, err
	}
	return lanes, nil, nil
}

// anyLanes are the lanes of a bare word that is part of no reason.
func (s *Store) anyLanes(ctx context.Context, t tallyman.Term) ([]condition, error) {
	files, err := s.idLanes(ctx, "t.file", "file", s.loosely("name", t))
	if err != nil || files == nil {
		return nil, err
	}
	clients, err := s.idLanes(ctx, "t.client", "address", s.loosely("text", t))
	if err != nil || clients == nil || len(files)+len(clients) > mostLanes {
		return nil, err
	}
	return append(files, clients...), nil
}

// oddLanes are the lanes of the verdicts, if all of them are odd.
func oddLanes(verdicts []int64) []condition {
	lanes := []condition{}
	for _, n := range verdicts {
		v := tallyman.Verdict(n)
		if !slices.Contains(odd, v) {
			return nil
		}
		lanes = append(lanes, verdictLane(v))
	}
	return lanes
}

// idLanes are the lanes of the values of a dimension that fit, unless they are too many.
func (s *Store) idLanes(ctx context.Context, column, table string, c condition) ([]condition, error) {
	lanes := []condition{}
	query := "SELECT id FROM " + table + " WHERE " + c.sql + " LIMIT ?"
	err := s.query(ctx, query, append(c.args[:len(c.args):len(c.args)], mostLanes+1), func(scan scanner) error {
		var id int64
		err := scan(&id)
		lanes = append(lanes, condition{column + " = ?", []any{id}})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", table, err)
	}
	if len(lanes) > mostLanes {
		return nil, nil
	}
	return lanes, nil
}

// where is the whole condition of a lane.
func (p *plan) where(lane condition, beyond place) condition {
	parts := []condition{p.bounds, {"t.start <= ? AND (t.start < ? OR t.key < ?)", []any{beyond.at, beyond.at, beyond.key}}, p.rest}
	if lane.sql != "" {
		parts = append(parts, lane)
	}
	return all(parts)
}
