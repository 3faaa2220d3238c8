package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"tallyman"
)

// origin says where a value comes from: a place in a file, or a name such as "environment TALLYMAN_NAME".
type origin struct {
	name      string
	line, col int // from 1; 0 outside a file
}

func (o origin) String() string {
	if o.line == 0 {
		return tallyman.Escape(o.name)
	}
	return fmt.Sprintf("%s:%d:%d", tallyman.Escape(o.name), o.line, o.col)
}

// Problem is one thing that is wrong, and where.
type Problem struct {
	Where   string // tallyman.yaml:12:5, or "environment TALLYMAN_WEB_LISTEN", or "flag --web"
	Key     string // serve.tftp.listen; empty for the file as a whole
	Text    string // what is wrong and what to do
	Excerpt string // the line and a caret; empty outside a file

	at origin
}

// Error returns one line, and the excerpt below it.
func (p Problem) Error() string {
	s := p.Where + ": "
	if p.Key != "" {
		s += tallyman.Escape(p.Key) + ": "
	}
	s += p.Text
	if p.Excerpt != "" {
		s += "\n" + p.Excerpt
	}
	return s
}

// Problems is everything that is wrong, in the order of the files.
type Problems []Problem

// Error returns all of them, one below the other.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// complaints collects problems while files are read.
type complaints struct {
	files []text // in the order in which they are read
	found Problems
}

// text is the content of one file.
type text struct {
	name  string
	lines []string
}

func (c *complaints) add(at origin, key, format string, args ...any) {
	p := Problem{Where: at.String(), Key: key, Text: fmt.Sprintf(format, args...), at: at}
	if i := c.rank(at); i > 0 && at.line > 0 && at.line <= len(c.files[i-1].lines) {
		p.Excerpt = excerpt(c.files[i-1].lines[at.line-1], at.line, at.col)
	}
	c.found = append(c.found, p)
}

func (c *complaints) err() error {
	if len(c.found) == 0 {
		return nil
	}
	slices.SortStableFunc(c.found, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(c.rank(a.at), c.rank(b.at)), cmp.Compare(a.at.line, b.at.line), cmp.Compare(a.at.col, b.at.col))
	})
	return c.found
}

// rank is the place of the file in the order of reading, from 1; 0 for what stands in no file.
func (c *complaints) rank(at origin) int {
	return 1 + slices.IndexFunc(c.files, func(t text) bool { return t.name == at.name && at.line > 0 })
}

// excerpt draws the line with a caret below the column, which counts characters from 1. A long line is cut around the column.
func excerpt(line string, number, col int) string {
	const width = 100
	runes := []rune(strings.TrimSuffix(line, "\r"))
	at := min(max(col-1, 0), len(runes))
	from := 0
	if at > width*3/4 {
		from = at - width/2
	}
	before := shown(runes[from:at])
	after := shown(runes[at:min(len(runes), from+width)])
	return fmt.Sprintf("%5d | %s%s\n      | %s^", number, before, after, strings.Repeat(" ", utf8.RuneCountInString(before)))
}

// shown makes a piece of the file harmless for a terminal.
func shown(r []rune) string { return tallyman.Escape(strings.ReplaceAll(string(r), "\t", "    ")) }
