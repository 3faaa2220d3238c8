package query

import (
	"strings"

	"tallyman"
)

// MatchRecord reports whether any record is one of those that the expression means, as a ledger answers it: a field that a record lacks fits nothing.
func MatchRecord(e tallyman.Expr, r tallyman.Record) bool {
	switch r := r.(type) {
	case *tallyman.Transfer:
		return Match(e, r)
	case *tallyman.Event:
		return each(e, func(t tallyman.Term) bool { return eventHolds(t, r) })
	case *tallyman.Gap:
		return each(e, func(t tallyman.Term) bool { return gapHolds(t, r) })
	case *tallyman.Finding:
		return each(e, func(t tallyman.Term) bool { return findingHolds(t, r) })
	}
	return false
}

func each(e tallyman.Expr, holds func(tallyman.Term) bool) bool {
	switch e := e.(type) {
	case nil:
		return true
	case tallyman.And:
		for _, of := range e {
			if !each(of, holds) {
				return false
			}
		}
		return true
	case tallyman.Or:
		for _, of := range e {
			if each(of, holds) {
				return true
			}
		}
		return false
	case tallyman.Not:
		return !each(e.Of, holds)
	case tallyman.Term:
		return holds(e)
	}
	return false
}

func eventHolds(t tallyman.Term, e *tallyman.Event) bool {
	client := e.Client.Addr().Unmap().WithZone("")
	switch t.Field {
	case tallyman.FieldKind:
		return text(t, e.Kind)
	case tallyman.FieldHost:
		return text(t, e.Host)
	case tallyman.FieldUser:
		return text(t, e.User)
	case tallyman.FieldClient:
		return t.Net.Contains(client)
	case tallyman.FieldFile:
		return text(t, e.Path)
	case tallyman.FieldToClass:
		return text(t, e.ToClass)
	case tallyman.FieldAny:
		address := ""
		if client.IsValid() {
			address = client.String()
		}
		return loosely(t, e.Text, e.Path, e.User, e.Device, address)
	default:
		return false
	}
}

func gapHolds(t tallyman.Term, g *tallyman.Gap) bool {
	switch t.Field {
	case tallyman.FieldKind:
		return t.Text == "gap"
	case tallyman.FieldHost:
		return text(t, g.Host)
	case tallyman.FieldAny:
		return loosely(t, g.Why)
	default:
		return false
	}
}

func findingHolds(t tallyman.Term, f *tallyman.Finding) bool {
	switch t.Field {
	case tallyman.FieldKind:
		return t.Text == "finding"
	case tallyman.FieldAny:
		return loosely(t, f.Why, f.Rule, f.Key)
	default:
		return false
	}
}

// loosely compares as a bare word does: the word is part of one of the texts, or one fits the pattern; A-Z in them count as a-z.
func loosely(t tallyman.Term, in ...string) bool {
	for _, s := range in {
		s = lower(s)
		if t.Cmp == tallyman.Match && fits(t.Text, s) || t.Cmp == tallyman.Equal && strings.Contains(s, t.Text) {
			return true
		}
	}
	return false
}
