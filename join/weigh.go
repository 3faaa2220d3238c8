package join

import (
	"encoding/json"
	"slices"

	"tallyman"
)

// What witnesses who are not at one end of the transfer add to a verdict (facts measured on the servers of Debian).

// watched reports whether a witness who could prove the end watches, and it has not come.
func (c *cluster) watched() bool {
	return c.proven() && !slices.ContainsFunc(c.evidence, func(e tallyman.Evidence) bool { return proves(&e) && ends(&e) })
}

// proven reports whether a witness who could prove the end watches.
func (c *cluster) proven() bool {
	return slices.ContainsFunc(c.evidence, func(e tallyman.Evidence) bool { return proves(&e) })
}

// unreadable reports whether packets say no more than that something encrypted has ended.
func unreadable(e *tallyman.Evidence) bool {
	return e.Witness == "wire" && e.Reason == tallyman.ClosedUnproven
}

// abandoned reports whether the packets of a client have stopped in the middle, and its server has let go of it: by its log, or because it closed the file.
// Each alone is no end. Who is silent may come back, and a server that ends well tells its client so.
func (c *cluster) abandoned() bool {
	if !c.watched() {
		return false
	}
	silent, let := false, false
	for i := range c.evidence {
		switch e := &c.evidence[i]; {
		case e.Witness == "wire":
			silent = e.Kind == tallyman.KindProgress && e.Reason == tallyman.ClientSilent
		case ends(e):
			let = true
		}
	}
	return silent && let
}

// claimed is the verdict on a transfer of which nobody says how it ended: it runs as long as a file is open. Of a log that writes down requests
// alone there is no more to come.
func (c *cluster) claimed() (tallyman.Verdict, tallyman.Reason) {
	if slices.ContainsFunc(c.evidence, func(e tallyman.Evidence) bool { return e.Witness != "log" }) {
		return tallyman.Active, ""
	}
	return tallyman.Unproven, tallyman.LogOnly
}

// believed is the verdict on a claim of success that nobody proves. Of SFTP the CLOSE of the client is in the log (OpenSSH, internal-sftp); with the
// file as long as the log says that is proof by two. What was appended (O_APPEND leaves no hole) makes the file longer by as much.
func (c *cluster) believed(t *tallyman.Transfer, claim *tallyman.Evidence) (tallyman.Verdict, tallyman.Reason) {
	size := c.sizeAtClose()
	switch {
	case size < 0 && !c.proven():
		return tallyman.Unproven, tallyman.LogOnly
	case t.Proto != "sftp" || claim.Reason != tallyman.ClosedWell || assumed(claim) || claim.Moved < 0:
		return tallyman.Unproven, tallyman.ClosedUnproven
	case claim.Moved == size, claim.Op == tallyman.OpAppend && c.sizeAtOpen()+claim.Moved == size && claim.Moved < size:
		return tallyman.Complete, tallyman.ClosedWell
	case claim.Op == tallyman.OpGet && claim.Moved < size:
		return tallyman.Unproven, tallyman.PartialRead
	default:
		return tallyman.Unproven, tallyman.ClosedUnproven
	}
}

// assumed reports whether the server writes the same in other cases too.
func assumed(e *tallyman.Evidence) bool {
	var d struct{ Assumed bool }
	return json.Unmarshal([]byte(e.Details), &d) == nil && d.Assumed
}

// mistakable reports whether a log may have taken the answer to another request of the session for the refusal of this one.
func mistakable(e *tallyman.Evidence) bool {
	return e.Kind == tallyman.KindRefusal && e.Witness == "log" && e.Proto == "sftp" && assumed(e)
}

// mistaken reports whether it has: the file was opened.
func (c *cluster) mistaken(e *tallyman.Evidence) bool {
	return mistakable(e) && (c.said(tallyman.KindOpened, "files") != nil || c.said(tallyman.KindClosed, "files") != nil)
}

// refine makes a reason of what was proven more exact by what claims add to it.
func (c *cluster) refine(t *tallyman.Transfer, chief *tallyman.Evidence) {
	j := &t.Judgement
	switch {
	case chief.Witness != "wire":
	case j.Verdict == tallyman.Refused:
		if r := c.said(tallyman.KindRefusal, "log"); r != nil && tallyman.Legal(tallyman.Refused, r.Reason) {
			j.Reason = r.Reason // the server knows why
		}
	case j.Reason == tallyman.Timeout && t.Bytes <= 0 && c.idle():
		j.Reason = tallyman.DroppedLocked
	case j.Reason == tallyman.FinalAck && t.Op == tallyman.OpPut && c.sizeAtClose() == t.Bytes && t.Bytes >= 0:
		j.Reason = tallyman.Stored
	}
}

// said is the last evidence of its kind by a witness.
func (c *cluster) said(kind tallyman.Kind, witness string) *tallyman.Evidence {
	for i := range slices.Backward(c.evidence) {
		if e := &c.evidence[i]; e.Kind == kind && e.Witness == witness {
			return e
		}
	}
	return nil
}

// sizeAtClose is how long the file was when it was last closed, -1 if nobody saw that.
func (c *cluster) sizeAtClose() int64 {
	if e := c.said(tallyman.KindClosed, "files"); e != nil {
		return e.Size
	}
	return -1
}

// sizeAtOpen is how long the file was when it was opened, -1 if nobody saw that. Seen late, it is longer.
func (c *cluster) sizeAtOpen() int64 {
	if e := c.said(tallyman.KindOpened, "files"); e != nil {
		return e.Size
	}
	return -1
}

// idle reports whether the server opened the file and closed it without a look: another transfer had it locked.
func (c *cluster) idle() bool {
	e := c.said(tallyman.KindClosed, "files")
	if e == nil {
		return false
	}
	var d struct{ Modified, Accessed bool }
	return json.Unmarshal([]byte(e.Details), &d) == nil && !d.Modified && !d.Accessed
}

// another reports whether the evidence may be of another child of the server: one that got the same request again, and nobody answered.
func (c *cluster) another(e *tallyman.Evidence) bool {
	if e.Witness != "log" {
		return false
	}
	w := c.said(tallyman.KindClosed, "wire")
	if w == nil {
		return false
	}
	var d struct{ Requests int }
	return json.Unmarshal([]byte(w.Details), &d) == nil && d.Requests > 1
}
