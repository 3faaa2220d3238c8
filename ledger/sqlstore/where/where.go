package where

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"tallyman"
)

// Condition is a piece of a WHERE. It is never NULL, so that NOT means what people think.
type Condition struct {
	SQL  string
	Args []any
}

// Of makes a condition of SQL with a placeholder for each argument.
func Of(sql string, args ...any) Condition { return Condition{sql, args} }

// The conditions that hold for every row, and for none.
var (
	Always = Condition{SQL: "1 = 1"}
	Never  = Condition{SQL: "1 = 0"}
)

func truth(yes bool) Condition {
	if yes {
		return Always
	}
	return Never
}

// mostDepth bounds how deep a question may be nested.
const mostDepth = 100

// Engine is what an SQL engine says in its own way of columns of bytes.
type Engine struct {
	Match func(column, pattern string) (condition string, args []any) // the whole of the column fits the pattern, as Fits says
	Holds func(column string) string                                  // the column holds the bytes of one argument
	Lower func(column string) string                                  // the column with a-z for A-Z
}

// Searched is the bit of transfer.flags of a refusal within a boot search.
const Searched = 2

// Compile makes a condition of an expression, as package query defines its meaning; term makes it of one term.
func Compile(e tallyman.Expr, term func(tallyman.Term) (Condition, error)) (Condition, error) {
	return compile(e, 0, term)
}

func compile(e tallyman.Expr, depth int, term func(tallyman.Term) (Condition, error)) (Condition, error) {
	if depth > mostDepth {
		return Never, fmt.Errorf("the query is nested more than %d deep", mostDepth)
	}
	switch e := e.(type) {
	case nil:
		return Always, nil
	case tallyman.Term:
		return term(e)
	case tallyman.Not:
		c, err := compile(e.Of, depth+1, term)
		return Condition{"NOT (" + c.SQL + ")", c.Args}, err
	case tallyman.And:
		parts, err := compileAll(e, depth, term)
		return All(parts), err
	case tallyman.Or:
		parts, err := compileAll(e, depth, term)
		return Either(parts), err
	default:
		return Never, fmt.Errorf("a query of type %T", e)
	}
}

func compileAll(list []tallyman.Expr, depth int, term func(tallyman.Term) (Condition, error)) (parts []Condition, err error) {
	for _, e := range list {
		c, err := compile(e, depth+1, term)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	return parts, nil
}

// Either is the condition that one of them holds.
func Either(parts []Condition) Condition {
	if len(parts) == 0 {
		return Never
	}
	c := All(parts)
	var sql []string
	for _, p := range parts {
		sql = append(sql, p.SQL)
	}
	c.SQL = "(" + strings.Join(sql, ") OR (") + ")"
	return c
}

// Transfer is the condition of a term on the row t of transfer. The plus keeps planners from taking an index for what is there to filter.
func (e Engine) Transfer(t tallyman.Term) (Condition, error) {
	switch t.Field {
	case tallyman.FieldAny:
		return Either([]Condition{
			fits("t.file", "file", e.Loosely("d.name", t)),
			fits("t.client", "address", e.Loosely("d.text", t)),
			Numbered("+t.reason", ReasonsLike(t)),
		}), nil
	case tallyman.FieldVerdict:
		return Numbered("+t.verdict", Verdicts(t)), nil
	case tallyman.FieldOutcome:
		bare := All([]Condition{Numbered("+t.verdict", []int64{int64(tallyman.NoVerdict)}), Numbered("+t.reason", reasonsTo(t.Text))})
		return Either([]Condition{Numbered("+t.verdict", Verdicts(t)), bare}), nil
	case tallyman.FieldReason:
		return Numbered("+t.reason", reasonsOf(t)), nil
	case tallyman.FieldOp:
		return Numbered("+t.op", opsOf(t)), nil
	case tallyman.FieldProto:
		return within("+t.proto", "word", e.Text("text", t)), nil
	case tallyman.FieldHost:
		return within("+t.host", "word", e.Text("text", t)), nil
	case tallyman.FieldFile:
		return fits("t.file", "file", e.Text("d.name", t)), nil
	case tallyman.FieldUser:
		return within("+t.trait", "trait", e.Text("user_name", t)), nil
	case tallyman.FieldClient:
		return fits("t.client", "address", Network("d.ip", t.Net)), nil
	case tallyman.FieldSize:
		return number("t.bytes", t)
	case tallyman.FieldTook:
		return number("t.took", t)
	case tallyman.FieldSHA256:
		return digestTerm(t)
	case tallyman.FieldSearch:
		if t.Text == "yes" {
			return Condition{SQL: "t.flags & " + strconv.Itoa(Searched) + " <> 0"}, nil
		}
		return Condition{SQL: "t.flags & " + strconv.Itoa(Searched) + " = 0"}, nil
	case tallyman.FieldToClass:
		return within("+t.trait", "trait", e.Text("to_class", t)), nil
	case tallyman.FieldKind:
		return truth(t.Text == "transfer"), nil
	default:
		return Never, fmt.Errorf("transfers have no field %q", tallyman.Escape(string(t.Field)))
	}
}

// fits asks for rows whose value of a large dimension fits. Few rows are asked, so that each is looked up.
func fits(column, table string, c Condition) Condition {
	return Condition{"EXISTS (SELECT 1 FROM " + table + " d WHERE d.id = " + column + " AND " + c.SQL + ")", c.Args}
}

// within asks for rows whose id belongs to a value of a small dimension that fits.
func within(column, table string, c Condition) Condition {
	return Condition{column + " IN (SELECT id FROM " + table + " WHERE " + c.SQL + ")", c.Args}
}

// Verdicts returns the verdicts that have the word, or come to the outcome.
func Verdicts(t tallyman.Term) (n []int64) {
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

// reasonsTo returns the reasons that come to the outcome, where there is no verdict.
func reasonsTo(outcome string) (n []int64) {
	for i, r := range tallyman.Reasons() {
		if r.Outcome() == outcome {
			n = append(n, int64(i+1))
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

// ReasonsLike returns the reasons that a bare word means.
func ReasonsLike(t tallyman.Term) (n []int64) {
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

// Numbered asks for one of some numbers.
func Numbered(column string, among []int64) Condition {
	if len(among) == 0 {
		return Never
	}
	list := make([]string, len(among))
	for i, n := range among {
		list[i] = strconv.FormatInt(n, 10)
	}
	return Condition{SQL: column + " IN (" + strings.Join(list, ", ") + ")"}
}

// number compares a number that may be unknown; what is unknown fits no comparison.
func number(column string, t tallyman.Term) (Condition, error) {
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
		return Never, fmt.Errorf("%s is a number: it fits no pattern", t.Field)
	}
	return Condition{column + " IS NOT NULL AND " + column + " " + op + " ?", []any{t.Num}}, nil
}

// digestTerm asks for a SHA-256, or for its first digits with a star.
func digestTerm(t tallyman.Term) (Condition, error) {
	digits, cut := t.Text, false
	if t.Cmp == tallyman.Match {
		digits, cut = strings.CutSuffix(t.Text, "*")
	}
	low, errLow := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	high, errHigh := hex.DecodeString(digits + strings.Repeat("f", len(digits)%2))
	if errLow != nil || errHigh != nil || len(low) > 32 || !cut && len(low) != 32 || strings.ToLower(digits) != digits {
		return Never, fmt.Errorf("sha256 %q: expected 64 lower-case hexadecimal digits, or the first of them and a star", tallyman.Escape(t.Text))
	}
	c := Condition{"t.digest IS NOT NULL AND length(t.digest) = 32 AND t.digest >= ?", []any{low}}
	if next := after(high); next != nil {
		c = Condition{c.SQL + " AND t.digest < ?", append(c.Args, next)}
	}
	return c, nil
}
