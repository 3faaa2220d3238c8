package sqlstore

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"tallyman"
)

// condition is a piece of a WHERE. It is never NULL, so that NOT means what people think.
type condition struct {
	sql  string
	args []any
}

var (
	always = condition{sql: "1 = 1"}
	never  = condition{sql: "1 = 0"}
)

func truth(yes bool) condition {
	if yes {
		return always
	}
	return never
}

// mostDepth bounds how deep a question may be nested.
const mostDepth = 100

// compile makes a condition of an expression, as package query defines its meaning; term makes it of one term.
func compile(e tallyman.Expr, depth int, term func(tallyman.Term) (condition, error)) (condition, error) {
	if depth > mostDepth {
		return never, fmt.Errorf("the query is nested more than %d deep", mostDepth)
	}
	switch e := e.(type) {
	case nil:
		return always, nil
	case tallyman.Term:
		return term(e)
	case tallyman.Not:
		c, err := compile(e.Of, depth+1, term)
		return condition{"NOT (" + c.sql + ")", c.args}, err
	case tallyman.And:
		parts, err := compileAll(e, depth, term)
		return all(parts), err
	case tallyman.Or:
		parts, err := compileAll(e, depth, term)
		return either(parts), err
	default:
		return never, fmt.Errorf("a query of type %T", e)
	}
}

func compileAll(list []tallyman.Expr, depth int, term func(tallyman.Term) (condition, error)) (parts []condition, err error) {
	for _, e := range list {
		c, err := compile(e, depth+1, term)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	return parts, nil
}

// either is the condition that one of them holds.
func either(parts []condition) condition {
	if len(parts) == 0 {
		return never
	}
	c := all(parts)
	var sql []string
	for _, p := range parts {
		sql = append(sql, p.sql)
	}
	c.sql = "(" + strings.Join(sql, ") OR (") + ")"
	return c
}

// transferTerm is the condition of a term on the row t of transfer. The plus keeps planners from taking an index for what is there to filter.
func (s *Store) transferTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldAny:
		return either([]condition{
			fits("t.file", "file", s.loosely("d.name", t)),
			fits("t.client", "address", s.loosely("d.text", t)),
			numbered("+t.reason", reasonsLike(t)),
		}), nil
	case tallyman.FieldVerdict, tallyman.FieldOutcome:
		return numbered("+t.verdict", verdictsOf(t)), nil
	case tallyman.FieldReason:
		return numbered("+t.reason", reasonsOf(t)), nil
	case tallyman.FieldOp:
		return numbered("+t.op", opsOf(t)), nil
	case tallyman.FieldProto:
		return within("+t.proto", "word", s.textMatch("text", t)), nil
	case tallyman.FieldHost:
		return within("+t.host", "word", s.textMatch("text", t)), nil
	case tallyman.FieldFile:
		return fits("t.file", "file", s.textMatch("d.name", t)), nil
	case tallyman.FieldUser:
		return within("+t.trait", "trait", s.textMatch("user", t)), nil
	case tallyman.FieldClient:
		return fits("t.client", "address", network("d.ip", t.Net)), nil
	case tallyman.FieldSize:
		return number("t.bytes", t)
	case tallyman.FieldTook:
		return number("t.took", t)
	case tallyman.FieldSHA256:
		return digestTerm(t)
	case tallyman.FieldSearch:
		if t.Text == "yes" {
			return condition{sql: "t.flags & " + strconv.Itoa(searched) + " <> 0"}, nil
		}
		return condition{sql: "t.flags & " + strconv.Itoa(searched) + " = 0"}, nil
	case tallyman.FieldKind:
		return truth(t.Text == "transfer"), nil
	default:
		return never, fmt.Errorf("transfers have no field %q", tallyman.Escape(string(t.Field)))
	}
}

// fits asks for rows whose value of a large dimension fits. Few rows are asked, so that each is looked up.
func fits(column, table string, c condition) condition {
	return condition{"EXISTS (SELECT 1 FROM " + table + " d WHERE d.id = " + column + " AND " + c.sql + ")", c.args}
}

// within asks for rows whose id belongs to a value of a small dimension that fits.
func within(column, table string, c condition) condition {
	return condition{column + " IN (SELECT id FROM " + table + " WHERE " + c.sql + ")", c.args}
}

// verdictsOf returns the verdicts that have the word, or come to the outcome.
func verdictsOf(t tallyman.Term) (n []int64) {
	for v := tallyman.Active; v <= tallyman.Contradicted; v++ {
		word := v.String()
		if t.Field == tallyman.FieldOutcome {
			word = v.Outcome()
		}
		if word == t.Text {
			n = append(n, int64(v))
		}
	}
	return n
}

func reasonsOf(t tallyman.Term) (n []int64) {
	for i, r := range tallyman.Reasons() {
		if string(r) == t.Text {
			n = append(n, int64(i+1))
		}
	}
	return n
}

// reasonsLike returns the reasons that a bare word means.
func reasonsLike(t tallyman.Term) (n []int64) {
	if t.Cmp == tallyman.Match && Fits(t.Text, "") || t.Cmp != tallyman.Match && t.Text == "" {
		n = append(n, 0)
	}
	for i, r := range tallyman.Reasons() {
		if t.Cmp == tallyman.Match && Fits(t.Text, string(r)) || t.Cmp != tallyman.Match && strings.Contains(string(r), t.Text) {
			n = append(n, int64(i+1))
		}
	}
	return n
}

func opsOf(t tallyman.Term) (n []int64) {
	for op := tallyman.OpGet; op <= tallyman.OpRead; op++ {
		if op.String() == t.Text {
			n = append(n, int64(op))
		}
	}
	return n
}

func numbered(column string, among []int64) condition {
	if len(among) == 0 {
		return never
	}
	list := make([]string, len(among))
	for i, n := range among {
		list[i] = strconv.FormatInt(n, 10)
	}
	return condition{sql: column + " IN (" + strings.Join(list, ", ") + ")"}
}

// number compares a number that may be unknown; what is unknown fits no comparison.
func number(column string, t tallyman.Term) (condition, error) {
	op := ""
	switch t.Cmp {
	case tallyman.Equal:
		op = "="
	case tallyman.Less:
		op = "<"
	case tallyman.LessEqual:
		op = "<="
	case tallyman.Greater:
		op = ">"
	case tallyman.GreaterEqual:
		op = ">="
	default:
		return never, fmt.Errorf("%s is a number: it fits no pattern", t.Field)
	}
	return condition{column + " IS NOT NULL AND " + column + " " + op + " ?", []any{t.Num}}, nil
}

// digestTerm asks for a SHA-256, or for its first digits with a star.
func digestTerm(t tallyman.Term) (condition, error) {
	digits, cut := t.Text, false
	if t.Cmp == tallyman.Match {
		digits, cut = strings.CutSuffix(t.Text, "*")
	}
	low, errLow := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	high, errHigh := hex.DecodeString(digits + strings.Repeat("f", len(digits)%2))
	if errLow != nil || errHigh != nil || len(low) > 32 || !cut && len(low) != 32 || strings.ToLower(digits) != digits {
		return never, fmt.Errorf("sha256 %q: expected 64 lower-case hexadecimal digits, or the first of them and a star", tallyman.Escape(t.Text))
	}
	c := condition{"t.digest IS NOT NULL AND length(t.digest) = 32 AND t.digest >= ?", []any{low}}
	if next := after(high); next != nil {
		c = condition{c.sql + " AND t.digest < ?", append(c.args, next)}
	}
	return c, nil
}
