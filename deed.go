package tallyman

import "strings"

// deeds are the operations without a verdict in words: what was wanted, and what was done.
var deeds = map[Op]struct{ wish, done string }{
	OpRename:  {"rename", "renamed"},
	OpDelete:  {"delete", "deleted"},
	OpMkdir:   {"make the folder", "made the folder"},
	OpRmdir:   {"remove the folder", "removed the folder"},
	OpCreate:  {"create", "created"},
	OpModify:  {"change", "changed"},
	OpLink:    {"link", "linked"},
	OpSymlink: {"make the symbolic link", "made the symbolic link"},
	OpAttrib:  {"change the attributes of", "changed the attributes of"},
	OpRead:    {"read", "read"},
}

// deed is the sentence about an operation that moves no content.
func (t *Transfer) deed() string {
	who := "Somebody"
	switch {
	case t.Client.IsValid():
		who = t.Client.Addr().String()
	case t.User != "" && t.Exe != "":
		who = Escape(t.User) + " with " + Escape(t.Exe)
	case t.User != "":
		who = Escape(t.User)
	}
	words := deeds[t.Op]
	object := " “" + t.File() + "”"
	if t.NewPath != "" {
		object += " to “" + Escape(t.NewPath) + "”"
	}
	var b strings.Builder
	b.WriteString(who)
	switch j := t.Judgement; {
	case j.Outcome() == "success":
		b.WriteString(" " + words.done + object)
	case j.Outcome() == "unknown":
		b.WriteString(" wanted to " + words.wish + object + ", but it is not proven that it was done")
	case j.Outcome() == "":
		b.WriteString(" wants to " + words.wish + object + ", and it still runs")
	case j.Reason.Verdict() == Refused:
		b.WriteString(" wanted to " + words.wish + object + " and was refused")
	default:
		b.WriteString(" wanted to " + words.wish + object + ", and it failed")
	}
	if why := t.Because(); why != "" && t.Judgement.Reason != ClosedWell {
		b.WriteString(": " + why)
	}
	if said := t.said(); said != "" {
		b.WriteString(" (" + said + ")")
	}
	b.WriteString(".")
	if remedy := t.Remedy(); remedy != "" {
		b.WriteString(" Remedy: " + remedy + ".")
	}
	return b.String()
}

// Because puts the reason into words, as Reason.Because does, and says what it means where no content moves.
func (t *Transfer) Because() string {
	if !t.Op.HasVerdict() && t.Judgement.Reason == ClosedWell {
		return "it was done"
	}
	return t.Judgement.Reason.Because()
}
