package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"tallyman"
)

// colours of the verdicts (ECMA-48). The word is always there too.
var colours = map[tallyman.Verdict]string{
	tallyman.Active: "36", tallyman.Complete: "32", tallyman.Probe: "90", tallyman.Unproven: "33",
	tallyman.Failed: "31", tallyman.Aborted: "31", tallyman.Refused: "35", tallyman.Contradicted: "1;31",
}

// painted returns the verdict as a word, coloured when a person reads it.
func (p *program) painted(v tallyman.Verdict, width int) string {
	word := fmt.Sprintf("%-*s", width, v)
	if !p.colour() {
		return word
	}
	return "\x1b[" + colours[v] + "m" + word + "\x1b[0m"
}

// local writes a time as the clock on this machine shows it.
func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// amount writes a number of bytes, or a dash where it is unknown.
func amount(n int64) string {
	if n < 0 {
		return "-"
	}
	return tallyman.Count(n)
}

func took(t *tallyman.Transfer) string {
	d, ok := t.Took()
	switch {
	case !ok:
		return "running"
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
}

// columns prints rows under a head; every column is as wide as its widest cell, the last one as wide as it likes. Cells that start with a
// digit and have only digits, commas and units are set to the right.
func columns(w io.Writer, head []string, rows [][]string, right ...int) {
	width := make([]int, len(head))
	for i, h := range head {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, r := range rows {
		for i, c := range r {
			width[i] = max(width[i], visibleWidth(c))
		}
	}
	line := func(r []string) {
		var b strings.Builder
		for i, c := range r {
			pad := strings.Repeat(" ", width[i]-visibleWidth(c))
			toRight := false
			for _, n := range right {
				toRight = toRight || n == i
			}
			switch {
			case toRight:
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
		fmt.Fprintln(w, b.String())
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

// clientOf writes who it was.
func clientOf(t *tallyman.Transfer) string {
	if !t.Client.IsValid() {
		return "-"
	}
	return t.Client.Addr().String()
}
