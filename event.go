package tallyman

import (
	"cmp"
	"strings"
)

// Marks that stand first in the text of an event and say what its evidence gave as a reason: an event has no field for that (doc/decisions.md).
const (
	markBounce     = string(Bounce) + ":"
	markDataPeer   = string(DataPeerMismatch) + ":"
	markToldBefore = "told before:"
)

// Says puts the event into words: who did what, and what was answered.
func (e *Event) Says() string {
	text := Escape(e.Text)
	before, rest := "", text
	for mark, means := range map[string]string{
		markBounce: "tried to have a third party connected: ", markDataPeer: "somebody else came to the data port: ", markToldBefore: "",
	} {
		if after, ok := strings.CutPrefix(text, mark); ok {
			before, rest = means, strings.TrimSpace(after)
		}
	}
	who := Escape(e.User)
	if e.Client.IsValid() {
		who = cmp.Or(who, "somebody") + " at " + e.Client.Addr().String()
	}
	behind := func(head string) string {
		if rest == "" {
			return head
		}
		return head + ": " + rest
	}
	switch {
	case before != "":
		return strings.TrimSpace(who + " " + before + rest)
	case e.Kind == KindLogin.String():
		return behind(cmp.Or(who, "somebody") + " logged in")
	case e.Kind == KindLoginFailed.String():
		said := behind(cmp.Or(who, "somebody") + " failed to log in")
		if strings.HasPrefix(text, markToldBefore) {
			said += " (an earlier line told it)"
		}
		return said
	case e.Kind == KindCommandRefused.String():
		return behind(cmp.Or(who, "somebody") + " was refused a command")
	case e.Kind == KindMounted.String(), e.Kind == KindUnmounted.String():
		on := strings.TrimSpace(e.ToClass + " " + Escape(e.Device))
		if e.User != "" {
			on = strings.TrimSpace(on + " of " + Escape(e.User))
		}
		if on != "" {
			on = " (" + on + ")"
		}
		return Escape(e.Path) + on + ": " + cmp.Or(text, e.Kind)
	case e.Kind == KindFlow.String() && e.Client.IsValid():
		return behind(e.Client.String() + " to " + e.Server.String())
	}
	said := cmp.Or(text, Escape(e.Path), e.Kind)
	if who != "" && e.Client.IsValid() {
		said = who + ": " + said
	}
	return said
}

// Says puts the gap into words: why it was, how long the witness could not see, and what it knows to have missed.
func (g *Gap) Says() string {
	text := Escape(g.Why)
	if blind := g.To.Sub(g.From); blind > 0 {
		text += ", blind for " + rounded(blind)
	}
	if g.Lost >= 0 {
		text += ", lost " + Count(g.Lost)
	}
	return text
}
