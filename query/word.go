package query

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// word is a value as it was read.
type word struct {
	pos, end int    // in the text, with quotes
	plain    string // what it says
	pattern  string // the same as a pattern
	wild     bool   // it has a * or ? that means something
}

// text fills a term of a text field.
func (w word) text(t tallyman.Term) tallyman.Term {
	t.Text = w.plain
	if w.wild {
		t.Cmp, t.Text = tallyman.Match, w.pattern
	}
	return t
}

// word reads up to a space or parenthesis.
func (p *parser) word() (word, error) {
	w := word{pos: p.at}
	var plain, pattern strings.Builder
	quote := -1
	for !p.done() {
		c := p.text[p.at]
		switch {
		case c == '"':
			if quote >= 0 {
				quote = -1
			} else {
				quote = p.at
			}
			p.at++
		case c == '\\':
			pos := p.at
			s, ok := p.escaped()
			if !ok {
				return w, p.fail(pos, p.at, "this backslash wants %s behind it; a backslash itself is written twice", wanted(p.text[pos:]))
			}
			plain.WriteString(s)
			literal(&pattern, s)
		case quote < 0 && (isSpace(c) || c == '(' || c == ')'):
			w.end, w.plain, w.pattern = p.at, plain.String(), pattern.String()
			return w, nil
		default:
			p.at++
			plain.WriteByte(c)
			if quote < 0 && (c == '*' || c == '?') {
				w.wild = true
				pattern.WriteByte(c)
			} else {
				literal(&pattern, p.text[p.at-1:p.at])
			}
		}
	}
	if quote >= 0 {
		return w, p.fail(quote, quote+1, "this quote is never closed: add another, or write \\\" for a quote itself")
	}
	w.end, w.plain, w.pattern = p.at, plain.String(), pattern.String()
	return w, nil
}

// literal writes bytes into a pattern so that they mean themselves.
func literal(b *strings.Builder, s string) {
	for i := range len(s) {
		if s[i] == '*' || s[i] == '?' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
}

// escaped reads a backslash and what belongs to it.
func (p *parser) escaped() (string, bool) {
	p.at++
	if p.done() {
		return "", false
	}
	c := p.text[p.at]
	switch c {
	case 'n', 'r', 't':
		p.at++
		return string("\n\r\t"[strings.IndexByte("nrt", c)]), true
	case 'x', 'u', 'U':
		digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		p.at++
		from := p.at
		p.at = min(from+digits, len(p.text))
		n, err := strconv.ParseUint(p.text[from:p.at], 16, 32)
		if err != nil || p.at-from != digits || c != 'x' && !utf8.ValidRune(rune(n)) {
			return "", false
		}
		if c == 'x' {
			return string([]byte{byte(n)}), true
		}
		return string(rune(n)), true
	}
	_, size := utf8.DecodeRuneInString(p.text[p.at:])
	p.at += size
	return p.text[p.at-size : p.at], true
}

func wanted(rest string) string {
	switch {
	case strings.HasPrefix(rest, `\x`):
		return "two hexadecimal digits"
	case strings.HasPrefix(rest, `\u`):
		return "a character in four hexadecimal digits"
	case strings.HasPrefix(rest, `\U`):
		return "a character in eight hexadecimal digits"
	}
	return "a character"
}

// lower lower-cases A to Z and nothing else.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
