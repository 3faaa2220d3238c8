package engine

import (
	"slices"
	"time"

	"tallyman"
	"tallyman/source/ftp/listing"
)

// proof is a transfer whose final reply was sent and is not known to have come.
type proof struct {
	x      *Transfer
	sent   time.Time
	acked  time.Time // first seen acknowledged
	lookAt time.Time
	pause  time.Duration
}

const firstLook = 10 * time.Millisecond

// await begins to wait for the proof.
func (m *Machine) await(x *Transfer) {
	m.unproven = append(m.unproven, &proof{x: x, sent: m.now, lookAt: m.now.Add(firstLook), pause: firstLook})
}

// Unproven reports whether something waits for its proof: then Line and Lost want a look at the connections.
func (m *Machine) Unproven() bool { return len(m.unproven) > 0 }

// State takes a look.
func (m *Machine) State(now time.Time, s State) {
	m.now = now
	m.prove(s, false)
	m.part()
}

// prove settles what the look proves. heard says that the client has sent a further command.
func (m *Machine) prove(s State, heard bool) {
	left := m.unproven[:0]
	for _, p := range m.unproven {
		if !m.settle(p, s, heard) {
			left = append(left, p)
		}
	}
	if len(left) == 0 && len(m.unproven) > 0 {
		m.do(Release{})
	}
	clear(m.unproven[len(left):])
	m.unproven = left
}

func (m *Machine) settle(p *proof, s State, heard bool) bool {
	switch {
	case s.DataReset && p.x.Op == tallyman.OpGet && (p.x.End.TLS == "" || s.DataLeft > 0):
		// Who closes with unread data sends a reset (RFC 1122, 4.2.2.13). Under TLS the unread data may be the close_notify.
		m.finish(p.x, tallyman.ClientGone, "the client closed the data connection before it had read all")
		return true
	case !s.Alive || m.reset:
		m.finish(p.x, tallyman.ControlLost, "the control connection was reset at the final reply")
		return true
	case s.Unacked == 0 && s.DataLeft == 0:
		if p.acked.IsZero() {
			p.acked = m.now
		}
		need := m.cfg.Settle
		if m.lost || m.leaving {
			need = m.cfg.Parting
		}
		if heard || m.now.Sub(p.acked) >= need {
			m.finish(p.x, proven(p.x), "")
			return true
		}
	case m.now.Sub(p.sent) >= m.cfg.AckWithin:
		m.finish(p.x, tallyman.ReplyUnacknowledged, "")
		return true
	}
	p.pause = min(2*p.pause, m.cfg.Settle)
	p.lookAt = m.now.Add(p.pause)
	if m.lost || m.leaving {
		p.lookAt = m.now.Add(m.cfg.Parting / 4)
	}
	return false
}

// proven is the reason of a transfer that is complete.
func proven(x *Transfer) tallyman.Reason {
	if x.Op != tallyman.OpGet && x.Op != tallyman.OpList && x.End.Notify {
		return tallyman.CloseNotify
	}
	return tallyman.ReplyAcknowledged
}

// finish is the last word on a transfer.
func (m *Machine) finish(x *Transfer, r tallyman.Reason, why string) {
	x.Reason = r
	if why != "" {
		x.Err = why
	}
	m.do(Finish{T: x})
}

// comparesWithin is how long behind its final reply a question is evidence of an upload: the record is open for late evidence no longer (Settle of join, with
// room for the way there).
const comparesWithin = 3 * time.Second

// compared notes that the client was told what is stored: who asks for size or hash behind an upload compares it with what it has. An answer that differs
// is about what somebody else has put there.
func (m *Machine) compared(verb string, name tallyman.Name, a *Answer) {
	x := m.stored
	if x == nil || x.at != name || m.now.Sub(m.storedAt) > comparesWithin || slices.Contains(x.Compared, verb) {
		return
	}
	switch verb {
	case "SIZE", "MLST":
		if a.Info.Size != x.Size || a.Info.ID != x.Handle || verb == "MLST" && !m.facts[listing.Size] {
			return
		}
	case "HASH", "XSHA256":
		if a.Info.Size != x.Size || x.Digest != "" && string(x.Digest) != "sha256:"+a.Sum {
			return
		}
	default:
		return
	}
	if x.Compared = append(x.Compared, verb); x.Reason.Verdict() == tallyman.Complete { // else its end is still to be told
		m.do(Finish{T: x})
	}
}
