package terminal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tallyman"
)

// Show prints all fields of a record, then the evidence.
func (s Screen) Show(t *tallyman.Transfer, sentence string, missing []string) {
	fmt.Fprintln(s, sentence)
	fmt.Fprintln(s)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(s, "%-10s %s\n", name, value)
		}
	}
	field("verdict", s.Verdict(t.Judgement.Verdict, 0)+"  "+string(t.Judgement.Reason))
	field("id", fmt.Sprintf("%s, revision %d", t.ID, t.Rev))
	field("host", t.Host)
	field("transfer", t.Proto+" "+t.Op.String())
	if t.Client.IsValid() {
		field("client", t.Client.String())
	}
	if t.Server.IsValid() {
		field("server", t.Server.String())
	}
	field("file", t.File())
	field("path", tallyman.Escape(t.Path))
	field("start", Local(t.Start))
	field("took", Took(t))
	if t.Expected >= 0 {
		field("announced", tallyman.Count(t.Expected)+" bytes")
	}
	if t.Bytes >= 0 {
		field("moved", tallyman.Count(t.Bytes)+" bytes")
	}
	field("content", t.Content.String())
	field("digest", string(t.Digest))
	field("witnesses", strings.Join(t.Judgement.For, ", "))
	field("against", strings.Join(t.Judgement.Against, ", "))
	s.details(t.Details)
	s.Timeline(t, missing)
}

// details prints the protocol facts, one per line.
func (s Screen) details(details string) {
	var facts map[string]json.RawMessage
	if json.Unmarshal([]byte(details), &facts) != nil {
		return
	}
	names := make([]string, 0, len(facts))
	for n := range facts {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(s, "  %-16s %s\n", tallyman.Escape(n), tallyman.Escape(string(facts[n])))
	}
}

// Why prints the sentence, the timeline, and what is missing.
func (s Screen) Why(t *tallyman.Transfer, sentence string, missing []string) {
	fmt.Fprintln(s, sentence)
	fmt.Fprintf(s, "%s  %s  record %s\n", s.Verdict(t.Judgement.Verdict, 0), t.Judgement.Reason, t.ID)
	s.Timeline(t, missing)
}

// Timeline prints one lane per witness, and what evidence is missing.
func (s Screen) Timeline(t *tallyman.Transfer, missing []string) {
	var lanes []string
	for i := range t.Evidence {
		if n := t.Evidence[i].Witness; !slices.Contains(lanes, n) {
			lanes = append(lanes, n)
		}
	}
	fmt.Fprintln(s)
	if len(lanes) > 0 {
		fmt.Fprintf(s, "%-15s", "AT")
		for _, lane := range lanes {
			fmt.Fprintf(s, "  %-*s", laneWidth(len(lanes)), strings.ToUpper(lane))
		}
		fmt.Fprintln(s)
	}
	var before time.Time
	for i := range t.Evidence {
		e := &t.Evidence[i]
		fmt.Fprintf(s, "%-15s", sinceBefore(before, e.Time))
		before = e.Time
		at := slices.Index(lanes, e.Witness)
		fmt.Fprint(s, strings.Repeat(" ", at*(laneWidth(len(lanes))+2)))
		fmt.Fprintln(s, "  "+e.Says())
		if e.Raw != "" {
			fmt.Fprintln(s, strings.Repeat(" ", 15+at*(laneWidth(len(lanes))+2))+"    | "+tallyman.Escape(e.Raw))
		}
	}
	for _, m := range missing {
		fmt.Fprintln(s, "missing: "+m)
	}
	for _, against := range t.Judgement.Against {
		fmt.Fprintln(s, "against: "+against)
	}
}

// laneWidth shares the line among the witnesses.
func laneWidth(lanes int) int { return max(24, 100/max(lanes, 1)) }

// sinceBefore writes the first time in full and the others as the distance from the one before.
func sinceBefore(before, t time.Time) string {
	if before.IsZero() {
		return t.Local().Format("15:04:05.000000")
	}
	d := t.Sub(before)
	if d < time.Minute {
		return fmt.Sprintf("%+14.3f s", d.Seconds())[1:]
	}
	return "+" + d.Round(time.Second).String()
}
