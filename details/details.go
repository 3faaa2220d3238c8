// Package details writes the protocol facts of evidence as canonical JSON: keys in the order in which they are given, which callers keep
// alphabetical, no spaces, text of strangers escaped. It is pure.
package details

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tallyman"
)

// Builder builds one object. The zero Builder is an empty one.
type Builder struct{ buf []byte }

// Number writes a number that is not 0.
func (b *Builder) Number(key string, n int64) {
	if n != 0 {
		b.Count(key, n)
	}
}

// Count writes a number, also when it is 0.
func (b *Builder) Count(key string, n int64) {
	b.key(key)
	b.buf = strconv.AppendInt(b.buf, n, 10)
}

// Text writes a text that is not empty.
func (b *Builder) Text(key, value string) {
	if value != "" {
		b.key(key)
		b.quote(value)
	}
}

// Time writes a time that is known, in UTC with microseconds, as records do.
func (b *Builder) Time(key string, t time.Time) {
	if !t.IsZero() {
		b.Text(key, t.UTC().Format("2006-01-02T15:04:05.000000Z"))
	}
}

// Flag writes true, or nothing.
func (b *Builder) Flag(key string, set bool) {
	if set {
		b.key(key)
		b.buf = append(b.buf, "true"...)
	}
}

// Numbers writes a list that is not empty.
func (b *Builder) Numbers(key string, list []int) {
	if len(list) == 0 {
		return
	}
	b.key(key)
	for i, n := range list {
		b.buf = append(b.buf, ",["[btoi(i == 0)])
		b.buf = strconv.AppendInt(b.buf, int64(n), 10)
	}
	b.buf = append(b.buf, ']')
}

// Object writes pairs that are sorted by key.
func (b *Builder) Object(key string, pairs []Pair) {
	if len(pairs) == 0 {
		return
	}
	b.key(key)
	for i, p := range pairs {
		b.buf = append(b.buf, ",{"[btoi(i == 0)])
		b.quote(p.Name)
		b.buf = append(b.buf, ':')
		b.quote(p.Value)
	}
	b.buf = append(b.buf, '}')
}

// Pair is one member of an object.
type Pair struct{ Name, Value string }

// String returns the object, or "" when nothing was written.
func (b *Builder) String() string {
	if len(b.buf) == 0 {
		return ""
	}
	return string(append(b.buf, '}'))
}

func (b *Builder) key(name string) {
	b.buf = append(b.buf, ",{"[btoi(len(b.buf) == 0)], '"')
	b.buf = append(b.buf, name...)
	b.buf = append(b.buf, '"', ':')
}

// quote escapes for people first, then for JSON.
func (b *Builder) quote(s string) {
	b.buf = append(b.buf, '"')
	if s = tallyman.Escape(s); strings.ContainsAny(s, `"\`) {
		for _, r := range s {
			if r == '"' || r == '\\' {
				b.buf = append(b.buf, '\\')
			}
			b.buf = utf8.AppendRune(b.buf, r)
		}
	} else {
		b.buf = append(b.buf, s...)
	}
	b.buf = append(b.buf, '"')
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
