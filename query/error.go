package query

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// Error says what is wrong with a query and where.
type Error struct {
	Text     string // the query
	Pos, End int    // byte offsets of what is wrong; End is behind it
	Says     string // what is wrong and what to do
}

// Error returns one line, as in `query, column 9: "faled" is no verdict: did you mean failed?`. Columns count characters from 1.
func (e *Error) Error() string {
	return fmt.Sprintf("query, column %d: %s", utf8.RuneCountInString(e.Text[:e.Pos])+1, e.Says)
}

// Caret returns two lines: the query, escaped, and carets below what is wrong.
func (e *Error) Caret() string {
	before, wrong, after := tallyman.Escape(e.Text[:e.Pos]), tallyman.Escape(e.Text[e.Pos:e.End]), tallyman.Escape(e.Text[e.End:])
	return before + wrong + after + "\n" + strings.Repeat(" ", utf8.RuneCountInString(before)) + strings.Repeat("^", max(1, utf8.RuneCountInString(wrong)))
}

func (p *parser) fail(pos, end int, format string, args ...any) error {
	return &Error{Text: p.text, Pos: min(pos, len(p.text)), End: min(end, len(p.text)), Says: fmt.Sprintf(format, args...)}
}

// nearest returns the word that was most likely meant, as " did you mean WORD?", or "".
func nearest(word string, known []string) string {
	best, least := "", max(1, len(word)/3)+1
	for _, k := range known {
		d := distance(strings.ToLower(word), k)
		if strings.HasPrefix(k, strings.ToLower(word)) && len(word) > 1 {
			d = min(d, 1)
		}
		if d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return " did you mean " + best + "?"
}

// distance counts the bytes to insert, remove, replace or swap with their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
