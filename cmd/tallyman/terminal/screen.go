// Package terminal writes records for a person at a terminal: tables, verdicts in colour, the timeline of a transfer, a progress bar.
//
// It promises: a colour never says what no word says; a column is as wide as what is seen of it; what is unknown is a dash, never a 0. It leaves to
// cmd/tallyman what is shown, and the JSON for programs. Names come escaped from the records.
package terminal

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Screen is where a person reads.
type Screen struct {
	io.Writer
	Colour bool
	Width  int // in columns; 0: unknown, and no line is broken
}

// On returns the screen for what is written to w: with colours when that is a terminal and nobody asked for none (no-color.org).
func On(w io.Writer) Screen {
	return Screen{w, IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", widthOf(w)}
}

// IsTerminal reports whether a person reads along.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// colours of the verdicts (ECMA-48). The word is always there too.
var colours = map[tallyman.Verdict]string{
	tallyman.Active: "36", tallyman.Complete: "32", tallyman.Probe: "90", tallyman.Unproven: "33",
	tallyman.Failed: "31", tallyman.Aborted: "31", tallyman.Refused: "35", tallyman.Contradicted: "1;31",
}

// Verdict returns the word, coloured and at least so many characters wide.
func (s Screen) Verdict(v tallyman.Verdict, width int) string {
	return s.paint(colours[v], fmt.Sprintf("%-*s", width, v))
}

// Judged returns the verdict, or the outcome where there is none, coloured and at least so many characters wide.
func (s Screen) Judged(j tallyman.Judgement, width int) string {
	like := j.Verdict
	if like == tallyman.NoVerdict {
		like = j.Reason.Verdict()
	}
	return s.paint(colours[like], fmt.Sprintf("%-*s", width, j.Word()))
}

func (s Screen) paint(colour, text string) string {
	if !s.Colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Changed prints a line of a comparison: what came is green, what went is red.
func (s Screen) Changed(line string) {
	switch {
	case strings.HasPrefix(line, "+"):
		line = s.paint("32", line)
	case strings.HasPrefix(line, "-"):
		line = s.paint("31", line)
	}
	fmt.Fprintln(s, line)
}

// leastColumn is the room that the last column of a table must have before its cells are broken into lines.
const leastColumn = 24

// Fold prints a table whose last column has the rest of the screen, where that is enough, and is broken into lines: of sentences, not of names that
// people copy.
func (s Screen) Fold(head []string, rows [][]string) { s.table(head, rows, s.Width) }

// Table prints rows under a head; every column is as wide as its widest cell, the last one as wide as it likes. The columns with the given numbers
// are set to the right.
func (s Screen) Table(head []string, rows [][]string, right ...int) { s.table(head, rows, 0, right...) }

func (s Screen) table(head []string, rows [][]string, columns int, right ...int) {
	width := make([]int, len(head))
	for i, h := range head {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], visibleWidth(c))
		}
	}
	last, before := len(head)-1, 0
	for _, w := range width[:last] {
		before += w + 2
	}
	rest := columns - before
	if rest < leastColumn {
		rest = 0
	}
	line := func(r []string) {
		var b strings.Builder
		cell := Wrap(r[last], rest)
		r = append(slices.Clone(r[:last]), cell[0])
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-visibleWidth(c))
			switch {
			case slices.Contains(right, i):
				b.WriteString(pad + c)
			case i < len(r)-1:
				b.WriteString(c + pad)
			default:
				b.WriteString(c)
			}
			if i < len(r)-1 {
				b.WriteString("  ")
			}
		}
		fmt.Fprintln(s, b.String())
		for _, more := range cell[1:] {
			fmt.Fprintln(s, strings.Repeat(" ", before)+more)
		}
	}
	line(head)
	for _, r := range rows {
		line(r)
	}
}

// visibleWidth counts the characters of a cell without its colour.
func visibleWidth(s string) int {
	n, skip := 0, false
	for _, r := range s {
		switch {
		case r == 0x1b:
			skip = true
		case skip:
			skip = r != 'm'
		default:
			n++
		}
	}
	return n
}
