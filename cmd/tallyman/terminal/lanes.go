package terminal

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tallyman"
)

// Told is one transfer with all that is told of it.
type Told struct {
	Transfer *tallyman.Transfer `json:"transfer"`
	Sentence string             `json:"sentence"`
	Missing  []string           `json:"missing"`
	Lanes    []tallyman.Lane    `json:"lanes"`
}

// Show prints all fields of a record, then the evidence.
func (s Screen) Show(told *Told) {
	t := told.Transfer
	s.Paragraph("", told.Sentence)
	fmt.Fprintln(s)
	field := func(name, value string) {
		if value != "" {
			s.Paragraph(fmt.Sprintf("%-10s ", name), value)
		}
	}
	judged := "verdict"
	if t.Judgement.Verdict == tallyman.NoVerdict {
		judged = "outcome"
	}
	field(judged, s.Judged(t.Judgement, 0)+"  "+string(t.Judgement.Reason)+probably(t))
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
	field("new path", tallyman.Escape(t.NewPath))
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
	s.lanes(told.Lanes)
	s.Timeline(t, told.Missing)
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
		s.Paragraph(fmt.Sprintf("  %-16s ", tallyman.Escape(n)), tallyman.Escape(string(facts[n])))
	}
}

// Why prints the sentence, what each witness says alone, the timeline, and what is missing.
func (s Screen) Why(told *Told) {
	t := told.Transfer
	s.Paragraph("", told.Sentence)
	fmt.Fprintf(s, "%s  %s%s  record %s\n", s.Judged(t.Judgement, 0), t.Judgement.Reason, probably(t), t.ID)
	s.lanes(told.Lanes)
	s.Timeline(t, told.Missing)
}

func probably(t *tallyman.Transfer) string {
	if p := t.Probably(); p != "" {
		return ", probably " + p
	}
	return ""
}

// factWidth is the column of the names of facts.
const factWidth = 13

// lanes prints what each witness says alone, on which side it stands, and what it lacks.
func (s Screen) lanes(all []tallyman.Lane) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(s)
	for i := range all {
		l := &all[i]
		name := fmt.Sprintf("%-7s ", strings.ToUpper(tallyman.Escape(l.Witness)))
		indent := strings.Repeat(" ", len(name))
		alone := l.Alone
		switch {
		case l.Side == tallyman.SideAgainst:
			alone = s.Verdict(l.Verdict, 0) + ", " + s.paint("1;31", "against") + ": " + l.Alone
		case l.Verdict != tallyman.NoVerdict:
			alone = s.Verdict(l.Verdict, 0) + ": " + l.Alone
		case alone == "":
			alone = s.paint("90", side(l.Side))
		}
		s.Paragraph(s.bold(name), alone)
		for _, f := range l.Facts {
			s.Paragraph(indent+s.paint("90", fmt.Sprintf("%-*s ", factWidth, f.Name)), f.Text)
		}
		for _, k := range l.Lacks {
			s.Paragraph(indent+s.paint("33", fmt.Sprintf("%-*s ", factWidth, "missing")), k.What)
			if k.More != "" {
				s.Paragraph(indent+fmt.Sprintf("%-*s -> ", factWidth, ""), k.More)
			}
		}
	}
}

// side is where a witness stands that said nothing.
func side(s tallyman.Side) string {
	if s == tallyman.SideAbsent {
		return "did not see"
	}
	return "says nothing"
}

func (s Screen) bold(text string) string { return s.paint("1", text) }
