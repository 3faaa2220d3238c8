package witness

import (
	"cmp"
	"slices"
	"time"

	"tallyman"
	"tallyman/join"
)

// Post is how one witness stood towards the server of a transfer while it ran. Its texts are for people.
type Post struct {
	Witness string `json:"witness"`
	Sees    bool   `json:"sees,omitempty"`
	Why     string `json:"why,omitempty"`  // why it does not see, or what it cannot see
	More    string `json:"more,omitempty"` // what would help

	Nameless string `json:"nameless,omitempty"` // why the kernel does not name the process of a packet
	Named    string `json:"named,omitempty"`    // what would help against that
}

// Watch is who watched while a transfer ran. The zero Watch knows nothing of it: then those that spoke have lanes, and no others.
type Watch struct {
	Server string // as in tftpd-hpa
	Posts  []Post
	Gaps   []*tallyman.Gap // those that a witness had then
}

// order is that of the lanes: the nearer to the transfer first.
var order = []string{"server", "wire", "files", "log"}

// Lanes returns a lane for each witness that spoke, and for each that was posted.
func Lanes(t *tallyman.Transfer, w *Watch) []tallyman.Lane {
	var names []string
	for i := range t.Evidence {
		if n := t.Evidence[i].Witness; !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	posts := w.Posts
	if t.Proto == hostProto { // those who watch servers have no say in it
		posts = nil
	}
	for _, p := range posts {
		if !slices.Contains(names, p.Witness) {
			names = append(names, p.Witness)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(place(a), place(b)), cmp.Compare(a, b)) })
	out := make([]tallyman.Lane, 0, len(names))
	for _, n := range names {
		var p Post
		if i := slices.IndexFunc(w.Posts, func(p Post) bool { return p.Witness == n }); i >= 0 {
			p = w.Posts[i]
		}
		l := tallyman.Lane{Witness: n}
		if alone := join.Alone(t, n); alone != nil {
			spoke(&l, t, alone, &p)
		} else {
			silent(&l, t, &p)
		}
		for _, g := range w.Gaps {
			if g.Witness == n {
				l.Lacks = append(l.Lacks, tallyman.Lack{What: gapText(g)})
			}
		}
		out = append(out, l)
	}
	return out
}

func place(witness string) int {
	if i := slices.Index(order, witness); i >= 0 {
		return i
	}
	return len(order)
}

// spoke fills the lane of a witness who said something.
func spoke(l *tallyman.Lane, t, alone *tallyman.Transfer, p *Post) {
	l.Side = tallyman.SideFor
	if slices.Contains(t.Judgement.Against, l.Witness) {
		l.Side = tallyman.SideAgainst
	}
	l.Verdict, l.Reason = alone.Judgement.Verdict, alone.Judgement.Reason
	l.Alone = inWords(l, t, alone)
	switch l.Witness {
	case "wire":
		l.Facts = packets(alone)
		if named := slices.ContainsFunc(alone.Evidence, func(e tallyman.Evidence) bool { return e.Proc.PID != 0 }); !named && t.Proto == "tftp" && p.Nameless != "" {
			l.Lacks = append(l.Lacks, tallyman.Lack{What: "which process sent the packets: " + p.Nameless, More: p.Named})
		}
	case "files":
		if l.Facts = onDisk(alone); t.Proto == hostProto {
			l.Facts = onHost(alone)
		}
	case "log":
		l.Facts = lines(alone)
		if !closed(alone) && p.Why != "" {
			l.Lacks = append(l.Lacks, tallyman.Lack{What: "lines that say more: " + p.Why, More: p.More})
		} else if !closed(alone) {
			l.Lacks = append(l.Lacks, tallyman.Lack{What: "a line that says how it ended: " + cmp.Or(writer(alone), "this server") + " writes none"})
		}
	case "server":
		l.Facts = served(alone)
	}
}

// silent fills the lane of a witness who said nothing.
func silent(l *tallyman.Lane, t *tallyman.Transfer, p *Post) {
	what := map[string]string{"wire": "no packets", "files": "no file", "log": "no line of the log"}[l.Witness]
	if what == "" {
		what = "nothing of " + l.Witness
	}
	if !p.Sees {
		l.Side = tallyman.SideAbsent
		l.Lacks = append(l.Lacks, tallyman.Lack{What: what + ": " + cmp.Or(p.Why, "it did not watch"), More: p.More})
		return
	}
	l.Side = tallyman.SideSilent
	switch {
	case l.Witness == "files" && t.Judgement.Verdict == tallyman.Refused:
		l.Alone = "it saw no file opened, as it should be with a refusal"
	case l.Witness == "log" && p.Why != "":
		l.Lacks = append(l.Lacks, tallyman.Lack{What: what + ": " + p.Why, More: p.More})
	default:
		l.Alone = "it watched, and saw nothing of this transfer"
		l.Lacks = append(l.Lacks, tallyman.Lack{What: what + ", though it watched"})
	}
}

// inWords is the verdict of a witness alone, for people.
func inWords(l *tallyman.Lane, t, alone *tallyman.Transfer) string {
	because := alone.Because()
	switch {
	case l.Witness == "files" && t.Judgement.Reason == tallyman.StoredShort && alone.Evidence[len(alone.Evidence)-1].Size >= 0:
		return "on the disk it is " + tallyman.Count(alone.Evidence[len(alone.Evidence)-1].Size) + " bytes, and " + tallyman.Count(t.Bytes) + " came"
	case l.Witness == "log" && l.Side == tallyman.SideAgainst:
		return "the log claims that it went well: a claim, and here a wrong one"
	case l.Witness == "log" && !closed(alone):
		return "it was asked for; the log says no end"
	case l.Witness == "files" && l.Verdict == tallyman.Active:
		return "the file was opened, and is open"
	case l.Witness == "files" && l.Reason == tallyman.ClosedUnproven:
		return "the file was opened and closed; a close says nothing of how it ended"
	case l.Witness == "log" && alone.Judgement.Outcome() == "unknown":
		return "the log claims that it went well: a claim, and no proof"
	case because == "":
		return "it still runs"
	}
	return because
}

// closed reports whether the witness told an end.
func closed(t *tallyman.Transfer) bool {
	return slices.ContainsFunc(t.Evidence, func(e tallyman.Evidence) bool {
		return e.Kind == tallyman.KindClosed || e.Kind == tallyman.KindRefusal
	})
}

func gapText(g *tallyman.Gap) string {
	text := "it could not see"
	if d := g.To.Sub(g.From); d > 0 {
		text += " for " + d.Round(time.Millisecond).String()
	}
	if g.Why != "" {
		text += ": " + tallyman.Escape(g.Why)
	}
	if g.Lost > 0 {
		text += ", " + tallyman.Count(g.Lost) + " lost"
	}
	return text
}
