package where

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// token is a piece of a pattern: plain bytes, a star or a question mark.
type token struct {
	plain []byte
	wild  byte // '*', '?', or 0 for plain bytes
}

// tokens takes a pattern apart. A backslash makes the next byte plain; stars that follow one another are one.
func tokens(pattern string) (list []token) {
	add := func(c, wild byte) {
		last := len(list) - 1
		switch {
		case wild == '*' && last >= 0 && list[last].wild == '*':
		case wild != 0:
			list = append(list, token{wild: wild})
		case last >= 0 && list[last].wild == 0:
			list[last].plain = append(list[last].plain, c)
		default:
			list = append(list, token{plain: []byte{c}})
		}
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '*' || c == '?':
			add(c, c)
		case c == '\\' && i+1 < len(pattern):
			i++
			add(pattern[i], 0)
		default:
			add(c, 0)
		}
	}
	return list
}

// matchBytes is the condition that the whole of a column fits the pattern. What stands before the first wildcard is a range, so that an index
// is used; the other plain bytes are looked for before the engine tries the pattern, which is dearer.
func (e Engine) matchBytes(column, pattern string) Condition {
	list := tokens(pattern)
	if len(list) == 0 {
		return Condition{column + " = ?", []any{[]byte{}}}
	}
	var parts []Condition
	rest := list
	if list[0].wild == 0 {
		if len(list) == 1 {
			return Condition{column + " = ?", []any{list[0].plain}}
		}
		parts, rest = append(parts, between(column, list[0].plain)), list[1:]
	}
	loose := len(rest) == 1 && rest[0].wild == '*' || len(parts) == 0 && len(rest) == 3 && rest[0].wild == '*' && rest[2].wild == '*'
	for _, t := range rest {
		if t.wild == 0 {
			parts = append(parts, Condition{e.Holds(column), []any{t.plain}})
		}
	}
	if !loose {
		sql, args := e.Match(column, pattern)
		parts = append(parts, Condition{sql, args})
	}
	return All(parts)
}

// All is the condition that all hold.
func All(parts []Condition) Condition {
	if len(parts) == 0 {
		return Always
	}
	var sql []string
	var args []any
	for _, c := range parts {
		sql = append(sql, c.SQL)
		args = append(args, c.Args...)
	}
	return Condition{"(" + strings.Join(sql, ") AND (") + ")", args}
}

// Text compares a column of bytes with a word or a pattern.
func (e Engine) Text(column string, t tallyman.Term) Condition {
	if t.Cmp == tallyman.Match {
		return e.matchBytes(column, t.Text)
	}
	return Condition{column + " = ?", []any{[]byte(t.Text)}}
}

// Loosely compares as a bare word does: the word is part of the column, or the column fits the pattern; A-Z in the column count as a-z.
func (e Engine) Loosely(column string, t tallyman.Term) Condition {
	column = e.Lower(column)
	if t.Cmp == tallyman.Match {
		return e.matchBytes(column, t.Text)
	}
	return Condition{e.Holds(column), []any{[]byte(t.Text)}}
}

// between asks for values that begin with the prefix.
func between(column string, prefix []byte) Condition {
	c := Condition{column + " >= ?", []any{prefix}}
	if next := after(prefix); next != nil {
		c = Condition{c.SQL + " AND " + column + " < ?", append(c.Args, next)}
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

// Fits reports whether the whole text fits the pattern of a query: * is any bytes, ? one character of UTF-8 or one byte where there is none, a backslash
// makes the next byte plain. It takes at most len(pattern) x len(text) steps. Dialects whose engine has no such comparison give it this one.
func Fits(pattern, text string) bool {
	star, from := -1, 0 // the token behind the last star, and where its text is tried to end
	list := tokens(pattern)
	for i, at := 0, 0; ; {
		if i < len(list) && list[i].wild == '*' {
			i++
			star, from = i, at
			continue
		}
		if i == len(list) && at == len(text) {
			return true
		}
		if i < len(list) {
			if n, ok := list[i].fits(text[at:]); ok {
				i, at = i+1, at+n
				continue
			}
		}
		if star < 0 || from >= len(text) {
			return false
		}
		from++
		i, at = star, from
	}
}

// fits matches a token that is no star with the beginning of the text.
func (t token) fits(text string) (n int, ok bool) {
	if t.wild == '?' {
		_, n = utf8.DecodeRuneInString(text)
		return n, n > 0
	}
	return len(t.plain), strings.HasPrefix(text, string(t.plain))
}
