package terminal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tallyman"
)

const (
	atWidth  = 15 // of the time
	laneStep = 8  // from one lane to the next: SERVER is the longest
)

// Timeline prints the evidence in the order in which it happened, with a mark in the lane of its witness, and what is missing.
func (s Screen) Timeline(t *tallyman.Transfer, missing []string) {
	lanes := speakers(t)
	fmt.Fprintln(s)
	if len(lanes) > 0 {
		var head strings.Builder
		fmt.Fprintf(&head, "%-*s", atWidth, "AT")
		for _, l := range lanes {
			fmt.Fprintf(&head, "  %-*s", laneStep-2, strings.ToUpper(tallyman.Escape(l)))
		}
		fmt.Fprintln(s, strings.TrimRight(head.String(), " "))
	}
	for i := range t.Evidence {
		e := &t.Evidence[i]
		lane := slices.Index(lanes, e.Witness)
		said := Wrap(e.Says(), s.room(strings.Repeat(" ", atWidth+2+laneStep*len(lanes))))
		for n, line := range said {
			at, mark := "", "│"
			if n == 0 {
				at, mark = since(t.Evidence[0].Time, e.Time), s.mark(e)
			}
			fmt.Fprintln(s, fmt.Sprintf("%*s  ", atWidth, at)+s.gutter(t, i, lane, lanes, mark)+line)
		}
		if e.Raw == "" {
			continue
		}
		for _, line := range Wrap(strings.TrimSuffix(tallyman.Escape(e.Raw), `\n`), s.room(strings.Repeat(" ", atWidth+4+laneStep*len(lanes)))) {
			fmt.Fprintln(s, strings.Repeat(" ", atWidth+2)+s.gutter(t, i, lane, lanes, "│")+s.paint("90", "| "+line))
		}
	}
	for _, m := range missing {
		s.Paragraph("missing: ", m)
	}
	for _, against := range t.Judgement.Against {
		s.Paragraph("against: ", against)
	}
}

// speakers are the witnesses of the evidence, the nearest to the transfer first.
func speakers(t *tallyman.Transfer) (lanes []string) {
	for i := range t.Evidence {
		if n := t.Evidence[i].Witness; !slices.Contains(lanes, n) {
			lanes = append(lanes, n)
		}
	}
	order := []string{"server", "wire", "files", "log"}
	place := func(n string) int {
		if i := slices.Index(order, n); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(lanes, func(a, b string) int { return place(a) - place(b) })
	return lanes
}

// mark is the sign of a piece of evidence: an end is a filled square, with the colour of what it says of it.
func (s Screen) mark(e *tallyman.Evidence) string {
	switch e.Kind {
	case tallyman.KindClosed, tallyman.KindRefusal:
		v := e.Reason.Verdict()
		if e.Kind == tallyman.KindRefusal {
			v = tallyman.Refused
		}
		return s.paint(colours[v], "■")
	case tallyman.KindGap:
		return s.paint(colours[tallyman.Unproven], "?")
	default:
		return "●"
	}
}

// gutter draws the lanes of one line: the mark in its own, a stroke in each other that has begun and goes on.
func (s Screen) gutter(t *tallyman.Transfer, i, own int, lanes []string, mark string) string {
	var b strings.Builder
	for n, l := range lanes {
		begun := slices.ContainsFunc(t.Evidence[:i+1], func(e tallyman.Evidence) bool { return e.Witness == l })
		goesOn := slices.ContainsFunc(t.Evidence[i+1:], func(e tallyman.Evidence) bool { return e.Witness == l })
		sign := " "
		switch {
		case n == own && (mark != "│" || goesOn):
			sign = mark
		case n != own && begun && goesOn:
			sign = s.paint("90", "│")
		}
		b.WriteString(sign + strings.Repeat(" ", laneStep-1))
	}
	return b.String()
}

// since writes the first time in full and the others as the distance from it, as exact as the witnesses are.
func since(first, t time.Time) string {
	d := t.Sub(first)
	switch {
	case d == 0:
		return t.Local().Format("15:04:05.000000")
	case d < time.Second:
		return fmt.Sprintf("+%.3f ms", float64(d.Microseconds())/1000)
	case d < time.Minute:
		return fmt.Sprintf("+%.3f s", d.Seconds())
	default:
		return "+" + d.Round(time.Millisecond).String()
	}
}
