package query

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tallyman"
)

// String writes an expression that Parse has given in one spelling, which Parse reads back as the same expression (but for Pos).
func String(e tallyman.Expr) string {
	var b strings.Builder
	write(&b, e, 0)
	return b.String()
}

// The places where an expression stands decide where it needs parentheses.
const (
	alone = iota
	inOr
	inAnd
	inNot
)

func write(b *strings.Builder, e tallyman.Expr, place int) {
	switch e := e.(type) {
	case tallyman.Or:
		list(b, e, " OR ", place > alone, inOr)
	case tallyman.And:
		list(b, e, " ", place > inOr, inAnd)
	case tallyman.Not:
		b.WriteByte('-')
		write(b, e.Of, inNot)
	case tallyman.Term:
		term(b, e)
	}
}

func list(b *strings.Builder, of []tallyman.Expr, between string, parentheses bool, place int) {
	if parentheses {
		b.WriteByte('(')
	}
	for i, e := range of {
		if i > 0 {
			b.WriteString(between)
		}
		write(b, e, place)
	}
	if parentheses {
		b.WriteByte(')')
	}
}

func term(b *strings.Builder, t tallyman.Term) {
	if t.Field != tallyman.FieldAny {
		b.WriteString(string(t.Field))
		b.WriteByte(':')
	}
	switch t.Field {
	case tallyman.FieldClient:
		if t.Net.IsSingleIP() {
			b.WriteString(t.Net.Addr().String())
		} else {
			b.WriteString(t.Net.String())
		}
	case tallyman.FieldSize:
		b.WriteString(sign(t.Cmp) + strconv.FormatInt(t.Num, 10))
	case tallyman.FieldTook:
		b.WriteString(sign(t.Cmp) + (time.Duration(t.Num) * time.Microsecond).String())
	case tallyman.FieldSHA256:
		b.WriteString(strings.TrimSuffix(t.Text, "*"))
	default:
		if t.Cmp == tallyman.Match {
			pattern(b, t.Text, t.Field == tallyman.FieldAny)
		} else {
			plain(b, t.Text, t.Field == tallyman.FieldAny)
		}
	}
}

func sign(c tallyman.Cmp) string {
	for _, k := range comparisons {
		if k.cmp == c && c != tallyman.Equal {
			return k.sign
		}
	}
	return ""
}

// plain writes a text that means itself, in quotes if it needs them.
func plain(b *strings.Builder, s string, bare bool) {
	if meansItself(s, bare) {
		b.WriteString(s)
		return
	}
	b.WriteByte('"')
	escape(b, s, `"\`)
	b.WriteByte('"')
}

// meansItself reports whether a text needs no quotes. A bare one must not look like a minus, a field or an address.
func meansItself(s string, bare bool) bool {
	if s == "" || strings.IndexFunc(s, special) >= 0 || tallyman.Escape(s) != s {
		return false
	}
	return !bare || s[0] != '-' && !strings.Contains(s, ":") && !isAddress(s)
}

func isAddress(s string) bool {
	_, ok := network(s)
	return ok
}

func special(r rune) bool { return strings.ContainsRune(" \t\r\n()\"\\*?", r) }

// pattern writes a pattern without quotes.
func pattern(b *strings.Builder, s string, bare bool) {
	meaning := " ()\"\\*?"
	if bare {
		meaning += ":-"
	}
	for i := 0; i < len(s); {
		if s[i] == '*' || s[i] == '?' {
			b.WriteByte(s[i])
			i++
			continue
		}
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		escape(b, s[i:i+size], meaning)
		i += size
	}
}

// escape writes text for a word: a backslash before those that would mean something, and what is not printable as Escape does.
func escape(b *strings.Builder, s, meaning string) {
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		if size == 1 && strings.IndexByte(meaning, s[i]) >= 0 {
			b.WriteByte('\\')
			b.WriteByte(s[i])
		} else {
			b.WriteString(tallyman.Escape(s[i : i+size]))
		}
		i += size
	}
}
