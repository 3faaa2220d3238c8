package sqlstore

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"path"
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

// mostDepth bounds how deep a question may be nested.
const mostDepth = 100

// compile makes a condition of an expression; term makes it of one term.
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
		return chain(e, " AND ", always, depth, term)
	case tallyman.Or:
		return chain(e, " OR ", never, depth, term)
	default:
		return never, fmt.Errorf("a query of type %T", e)
	}
}

func chain(list []tallyman.Expr, link string, none condition, depth int, term func(tallyman.Term) (condition, error)) (condition, error) {
	if len(list) == 0 {
		return none, nil
	}
	var parts []string
	var args []any
	for _, e := range list {
		c, err := compile(e, depth+1, term)
		if err != nil {
			return never, err
		}
		parts = append(parts, "("+c.sql+")")
		args = append(args, c.args...)
	}
	return condition{strings.Join(parts, link), args}, nil
}

// transferTerm is the condition of a term on the row t of transfer. The plus keeps planners from taking an index for a condition that is for filtering.
func (s *Store) transferTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldAny:
		return s.anyTerm(t), nil
	case tallyman.FieldVerdict:
		return s.verdictTerm(t, tallyman.Verdict.String)
	case tallyman.FieldOutcome:
		return s.verdictTerm(t, tallyman.Verdict.Outcome)
	case tallyman.FieldReason:
		return numbered("+t.reason", reasonNumbers(t)), nil
	case tallyman.FieldOp:
		return numbered("+t.op", opNumbers(t)), nil
	case tallyman.FieldProto:
		return s.among("+t.proto", "word", "text", t), nil
	case tallyman.FieldHost:
		return s.among("+t.host", "word", "text", t), nil
	case tallyman.FieldFile:
		return s.among("+t.file", "file", "name", t), nil
	case tallyman.FieldUser:
		return s.among("+t.trait", "trait", "user", t), nil
	case tallyman.FieldClient:
		c, err := s.addresses(t)
		return condition{"+t.client IN (SELECT id FROM address WHERE " + c.sql + ")", c.args}, err
	case tallyman.FieldSize:
		return number("t.bytes", t), nil
	case tallyman.FieldTook:
		return number("t.took", t), nil
	case tallyman.FieldSHA256:
		return digestTerm(t)
	case tallyman.FieldSearch:
		return searchTerm(t)
	case tallyman.FieldKind:
		return truth(matches(t, "transfer")), nil
	default:
		return never, fmt.Errorf("transfers have no field %q", tallyman.Escape(string(t.Field)))
	}
}

func truth(yes bool) condition {
	if yes {
		return always
	}
	return never
}

// matches compares one of our own words with a term.
func matches(t tallyman.Term, word string) bool {
	if t.Cmp != tallyman.Match {
		return t.Text == word
	}
	ok, err := path.Match(t.Text, word)
	return err == nil && ok
}

// verdictTerm asks for verdicts by their word, or for what they come to.
func (s *Store) verdictTerm(t tallyman.Term, word func(tallyman.Verdict) string) (condition, error) {
	var n []int64
	for v := tallyman.NoVerdict; v <= tallyman.Contradicted; v++ {
		if w := word(v); w != "" && matches(t, w) {
			n = append(n, int64(v))
		}
	}
	return numbered("+t.verdict", n), nil
}

func reasonNumbers(t tallyman.Term) (n []int64) {
	for i, r := range tallyman.Reasons() {
		if matches(t, string(r)) {
			n = append(n, int64(i+1))
		}
	}
	return n
}

func opNumbers(t tallyman.Term) (n []int64) {
	for op := tallyman.OpGet; op <= tallyman.OpRead; op++ {
		if matches(t, op.String()) || op.Direction() != "" && matches(t, op.Direction()) {
			n = append(n, int64(op))
		}
	}
	return n
}

func numbered(column string, among []int64) condition {
	if len(among) == 0 {
		return never
	}
	var b strings.Builder
	b.WriteString(column + " IN (")
	for i, n := range among {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(n, 10))
	}
	b.WriteByte(')')
	return condition{sql: b.String()}
}

// among asks for rows whose id belongs to a value of a dimension that the term fits.
func (s *Store) among(column, table, value string, t tallyman.Term) condition {
	c := s.bytesMatch(value, t)
	return condition{column + " IN (SELECT id FROM " + table + " WHERE " + c.sql + ")", c.args}
}

// bytesMatch compares the bytes of a column with a word or a pattern. What stands before the first wildcard is a range, so that the index is used.
func (s *Store) bytesMatch(column string, t tallyman.Term) condition {
	if t.Cmp != tallyman.Match {
		return condition{column + " = ?", []any{[]byte(t.Text)}}
	}
	at := strings.IndexAny(t.Text, "*?")
	if at < 0 {
		return condition{column + " = ?", []any{[]byte(t.Text)}}
	}
	c := between(column, []byte(t.Text[:at]))
	if strings.Trim(t.Text[at:], "*") != "" {
		sql, args := s.dialect.Match(column, t.Text)
		c = condition{c.sql + " AND " + sql, append(c.args, args...)}
	}
	return c
}

// between asks for values that begin with the prefix.
func between(column string, prefix []byte) condition {
	c := condition{column + " >= ?", []any{prefix}}
	if next := after(prefix); next != nil {
		c = condition{c.sql + " AND " + column + " < ?", append(c.args, next)}
	}
	return c
}

// after is the least value that is greater than all that begin with the prefix; nil if there is none.
func after(prefix []byte) []byte {
	next := bytes.Clone(prefix)
	for i := len(next) - 1; i >= 0; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
	return nil
}

// addresses is the condition of a client on the table address.
func (s *Store) addresses(t tallyman.Term) (condition, error) {
	switch {
	case t.Net.IsValid():
		return within(t.Net), nil
	case t.Cmp == tallyman.Match:
		sql, args := s.dialect.Match("text", t.Text)
		return condition{sql, args}, nil
	}
	ip, err := netip.ParseAddr(t.Text)
	if err != nil {
		return never, fmt.Errorf("client %q is no address: expected one such as 10.20.0.5, 10.20.0.0/16 or 10.20.*", tallyman.Escape(t.Text))
	}
	return within(netip.PrefixFrom(ip, ip.BitLen())), nil
}

// within asks for the addresses of a prefix. IPv4 addresses are stored as ::ffff:a.b.c.d, and belong to no prefix of IPv6.
func within(p netip.Prefix) condition {
	bits := p.Bits()
	if p.Addr().Unmap().Is4() && bits <= 32 {
		bits += 96
	}
	from := p.Addr().As16()
	clear(from[(bits+7)/8:])
	if bits%8 != 0 {
		from[bits/8] &= ^byte(0xff >> (bits % 8))
	}
	c := condition{"ip >= ?", []any{from[:]}}
	to := bytes.Clone(from[:(bits+7)/8])
	if bits%8 != 0 {
		to[len(to)-1] |= 0xff >> (bits % 8)
	}
	if to = after(to); to != nil {
		c = condition{c.sql + " AND ip < ?", append(c.args, to)}
	}
	if bits < 96 {
		v4 := netip.MustParseAddr("::ffff:0.0.0.0").As16()
		c = condition{c.sql + " AND (ip < ? OR ip >= ?)", append(c.args, v4[:], after(bytes.Clone(v4[:12])))}
	}
	return c
}

var comparisons = map[tallyman.Cmp]string{
	tallyman.Equal: "=", tallyman.Less: "<", tallyman.LessEqual: "<=", tallyman.Greater: ">", tallyman.GreaterEqual: ">=",
}

// number compares a number that may be unknown; what is unknown fits no comparison.
func number(column string, t tallyman.Term) condition {
	op, ok := comparisons[t.Cmp]
	if !ok {
		return truth(strings.Trim(t.Text, "*") == "").and(condition{sql: column + " IS NOT NULL"})
	}
	return condition{column + " IS NOT NULL AND " + column + " " + op + " ?", []any{t.Num}}
}

func (c condition) and(d condition) condition {
	return condition{"(" + c.sql + ") AND (" + d.sql + ")", append(c.args[:len(c.args):len(c.args)], d.args...)}
}

// digestTerm asks for a SHA-256, or for its first digits with a star.
func digestTerm(t tallyman.Term) (condition, error) {
	digits, cut := strings.CutSuffix(strings.ToLower(t.Text), "*")
	low, errLow := hex.DecodeString(digits + strings.Repeat("0", len(digits)%2))
	high, errHigh := hex.DecodeString(digits + strings.Repeat("f", len(digits)%2))
	if errLow != nil || errHigh != nil || len(low) > 32 || !cut && len(low) != 32 {
		return never, fmt.Errorf("sha256 %q: expected 64 hexadecimal digits, or the first of them and a star", tallyman.Escape(t.Text))
	}
	c := condition{"t.digest IS NOT NULL AND length(t.digest) = 32 AND t.digest >= ?", []any{low}}
	if next := after(high); next != nil {
		c = condition{c.sql + " AND t.digest < ?", append(c.args, next)}
	}
	return c, nil
}

func searchTerm(t tallyman.Term) (condition, error) {
	bit := "t.flags & " + strconv.Itoa(searched)
	switch strings.ToLower(t.Text) {
	case "yes", "true", "1", "*":
		return condition{sql: bit + " <> 0"}, nil
	case "no", "false", "0":
		return condition{sql: bit + " = 0"}, nil
	default:
		return never, fmt.Errorf("search %q: expected yes or no", tallyman.Escape(t.Text))
	}
}

// anyTerm is a bare word: part of the file's name, of the client's address or of the reason.
func (s *Store) anyTerm(t tallyman.Term) condition {
	name, text := s.part("name", t), s.part("text", t)
	c := condition{
		"+t.file IN (SELECT id FROM file WHERE " + name.sql + ") OR +t.client IN (SELECT id FROM address WHERE " + text.sql + ")",
		append(name.args, text.args...),
	}
	if n := reasonNumbers(partly(t)); len(n) > 0 {
		c.sql += " OR " + numbered("+t.reason", n).sql
	}
	return c
}

// part asks whether the word, or the pattern, stands anywhere in the column.
func (s *Store) part(column string, t tallyman.Term) condition {
	if t.Cmp != tallyman.Match {
		return condition{s.dialect.Holds(column), []any{[]byte(t.Text)}}
	}
	sql, args := s.dialect.Match(column, partly(t).Text)
	return condition{sql, args}
}

func partly(t tallyman.Term) tallyman.Term {
	t.Text = "*" + strings.Trim(t.Text, "*") + "*"
	t.Cmp = tallyman.Match
	return t
}

// eventTerm, gapTerm and findingTerm are the conditions on what is no transfer. A field that a record lacks fits nothing.
func (s *Store) eventTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return s.among("t.kind", "word", "text", t), nil
	case tallyman.FieldHost:
		return s.among("t.host", "word", "text", t), nil
	case tallyman.FieldUser:
		return s.bytesMatch("t.user", t), nil
	case tallyman.FieldClient:
		c, err := s.addresses(t)
		return condition{"t.client IN (SELECT id FROM address WHERE " + c.sql + ")", c.args}, err
	case tallyman.FieldFile:
		return s.bytesMatch("t.path", t), nil
	case tallyman.FieldAny:
		return s.anywhere(t, "t.text", "t.path", "t.user", "t.device"), nil
	default:
		return never, nil
	}
}

func (s *Store) gapTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(matches(t, "gap")), nil
	case tallyman.FieldHost:
		return s.among("t.host", "word", "text", t), nil
	case tallyman.FieldAny:
		return s.anywhere(t, "t.why"), nil
	default:
		return never, nil
	}
}

func (s *Store) findingTerm(t tallyman.Term) (condition, error) {
	switch t.Field {
	case tallyman.FieldKind:
		return truth(matches(t, "finding")), nil
	case tallyman.FieldAny:
		return s.anywhere(t, "t.why", "t.rule", "t.topic"), nil
	default:
		return never, nil
	}
}

func (s *Store) anywhere(t tallyman.Term, columns ...string) condition {
	c := s.part(columns[0], t)
	for _, column := range columns[1:] {
		d := s.part(column, t)
		c = condition{c.sql + " OR " + d.sql, append(c.args, d.args...)}
	}
	return c
}
