package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tallyman"
	"tallyman/cmd/tallyman/replay"
)

// jsonTo writes one line.
func jsonTo(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// sum prints what all files held, below the records, or beside them where the records are JSON.
func (s *show) sum(past *replay.Past) error {
	w := io.Writer(s.out)
	if s.p.json {
		if err := s.out.Flush(); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		w = s.p.stderr
	}
	say := func(what string, n int, parts []string) {
		line := many(n, what)
		if len(parts) > 0 {
			line += ": " + strings.Join(parts, ", ")
		}
		fmt.Fprintln(w, line)
	}
	if s.headed {
		fmt.Fprintln(w)
	}
	transfers := 0
	var verdicts []string
	for _, v := range tallyman.Verdicts() {
		if n := s.verdict[v]; n > 0 {
			transfers += n
			verdicts = append(verdicts, v.String()+" "+tallyman.Count(int64(n)))
		}
	}
	say("transfer", transfers, verdicts)
	if n := s.verdict[tallyman.NoVerdict]; n > 0 { // one that was revised after it was told counts again
		say("operation", n, []string{"no content moved"})
	}
	n, parts := ranked(s.event)
	say("event", n, parts)
	if s.gaps > 0 {
		say("gap", s.gaps, nil)
	}
	if n, parts := ranked(s.found); n > 0 {
		say("finding", n, parts)
	}
	s.sources(w, past)
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// sources says what was read.
func (s *show) sources(w io.Writer, past *replay.Past) {
	sum := past.Summary()
	if sum.Captures > 0 {
		fmt.Fprintf(w, "read %s of %s, %s malformed\n", many(int(sum.Packets), "packet"), many(sum.Captures, "capture"), tallyman.Count(int64(sum.Malformed)))
	}
	for _, l := range sum.Logs {
		fmt.Fprintf(w, "read %s of %s as %s: %s told something, %s did not, %s refused\n",
			many(int(l.Lines), "line"), tallyman.Escape(l.Name), l.Format, tallyman.Count(l.Told), tallyman.Count(l.Noted), tallyman.Count(l.Refused))
		for _, r := range l.First {
			fmt.Fprintf(w, "  line %s, %s\n    | %s\n", tallyman.Count(r.Line), r.Why, tallyman.Escape(r.Raw))
		}
		if more := l.Refused - int64(len(l.First)); more > 0 && len(l.First) > 0 {
			fmt.Fprintf(w, "  and %s more\n", tallyman.Count(more))
		}
	}
	if hosts := past.Strangers(); len(hosts) > 0 {
		fmt.Fprintf(w, "The logs name several hosts (%s): packets are joined with none of them. Say with --host which one the captures saw.\n",
			tallyman.Escape(strings.Join(hosts, ", ")))
	}
}

// ranked sums up, the most frequent first.
func ranked(by map[string]int) (sum int, parts []string) {
	names := slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		if by[a] != by[b] {
			return by[b] - by[a]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		sum += by[name]
		parts = append(parts, name+" "+tallyman.Count(int64(by[name])))
	}
	return sum, parts
}

// many is a number with its noun.
func many(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return tallyman.Count(int64(n)) + " " + noun
}
