package witness

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

// some is the text if it holds, else nothing.
func some(holds bool, text string) string {
	if holds {
		return text
	}
	return ""
}

func prefixed(prefix, text string) string { return some(text != "", prefix+text) }

func counted(n int64, what string) string { return some(n > 0, tallyman.Count(n)+" "+what) }

func many(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return tallyman.Count(n) + " " + noun
}

// pairs are options as they are written on the wire: name=value, sorted.
func pairs(of map[string]json.RawMessage) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		var text string
		if json.Unmarshal(of[name], &text) != nil {
			text = string(of[name])
		}
		out = append(out, tallyman.Escape(name+"="+text))
	}
	return strings.Join(out, " ")
}

func replies(codes []int) string {
	var out []string
	for _, c := range codes {
		out = append(out, strconv.Itoa(c))
	}
	return strings.Join(out, " ")
}

// within says how long it was from the first packet to the last, and how long nothing came until the end.
func within(first, last, end time.Time) string {
	if first.IsZero() || last.IsZero() {
		return ""
	}
	text := "the last " + span(last.Sub(first)) + " after the first"
	if quiet := end.Sub(last); !end.IsZero() && quiet >= time.Second {
		text += ", then silence for " + span(quiet)
	}
	return text
}

func open(e *tallyman.Evidence) string {
	if e.Began.IsZero() {
		return ""
	}
	return span(e.Time.Sub(e.Began))
}

// span writes a length of time as people read it: three digits and a unit.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + span(-d)
	case d < time.Second:
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	default:
		return d.Round(time.Second).String()
	}
}
