package entry

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// Fact is one key of the details: a bool, int, int64 or string.
type Fact struct {
	key   string
	value any
}

// NewFact returns one. The value is a bool, int, int64 or string.
func NewFact(key string, value any) Fact { return Fact{key, value} }

// Assumed marks a claim that the server writes in other cases too.
func Assumed() Fact { return Fact{"assumed", true} }

// details writes the facts as canonical JSON: keys in order, no spaces.
func (e *Entry) details(facts []Fact) string {
	all := append(make([]Fact, 0, len(facts)+2), facts...)
	all = append(all, Fact{"format", e.Format})
	if !e.Certain {
		all = append(all, Fact{"boundary", "text"})
	}
	slices.SortStableFunc(all, func(a, b Fact) int { return strings.Compare(a.key, b.key) })
	b := append(make([]byte, 0, 96), '{')
	for i, f := range all {
		if i > 0 && f.key == all[i-1].key {
			continue
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, '"'), f.key...), '"', ':')
		switch v := f.value.(type) {
		case bool:
			b = strconv.AppendBool(b, v)
		case int:
			b = strconv.AppendInt(b, int64(v), 10)
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case string:
			b = quote(b, v)
		}
	}
	return string(append(b, '}'))
}

// longest bounds a text in the details; the line itself is in Raw.
const longest = 256

// quote writes text of a stranger: escaped for people as everywhere, then for JSON.
func quote(b []byte, s string) []byte {
	if len(s) > longest {
		s = s[:longest]
	}
	b = append(b, '"')
	for _, r := range tallyman.Escape(s) {
		switch r {
		case '"', '\\':
			b = append(b, '\\', byte(r))
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

func pidText(pid int32) string { return strconv.Itoa(int(pid)) }
