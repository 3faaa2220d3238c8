package engine

import (
	"time"

	"tallyman/source/tftp/packet"
)

// state of a machine. A read never stores and never dallies.
type state uint8

const (
	opening  state = iota // the first reply has left, the client has not answered
	running               // the client has shown that it receives
	storing               // write: the last block is with the driver
	dallying              // write: stored and acknowledged; repeats the last ACK
	ended
)

// Read serves one RRQ. The zero value is to be started.
type Read struct {
	timer    timer
	giveUp   time.Duration
	progress time.Duration // when the client last acknowledged something new
	due      time.Duration // when the timer expires

	acked uint64 // last block the client acknowledged
	sent  uint64 // last block of the flight
	last  uint64 // block that ends the content, 0 = not known yet
	tail  int64  // octets in it

	sentAt  time.Duration // when the flight (or the OACK) left
	fresh   uint64        // first block that left only once, then: its ACK measures the path
	partial bool          // the flight follows the ACK of a part of the flight before

	blockSize int64
	window    uint64
	oack      bool
	probe     bool // nothing but tsize was granted
	state     state
	repeats   int8 // how often the timer may still repeat the first reply

	out Outcome
}

// Start begins the transfer: the first reply is the OACK, or DATA 1.
func (r *Read) Start(now time.Duration, g Grant, cfg Config) Do {
	*r = Read{
		timer: newTimer(g, cfg), giveUp: cfg.GiveUp, progress: now,
		blockSize: int64(g.BlockSize), window: uint64(g.Window),
		oack: g.OACK(), probe: g.onlySize(), repeats: g.repetitions(),
	}
	return r.first(now)
}

// Final says which block ends the content and how many octets are in it (Grant.LastBlock). A driver that knows
// the size calls it right after Start; one that converts netascii calls it when it meets the end, sends no block
// behind the last one of the Do in its hand, and so stays in step. Only the first call counts. A content that
// shrank below what was acknowledged is not a case for Final but for Refuse.
func (r *Read) Final(last uint64, tail int) {
	if r.last != 0 || last <= r.acked {
		return
	}
	r.last, r.tail = last, int64(tail)
	r.sent = min(r.sent, last)
	r.out.LastBlock = min(r.out.LastBlock, last)
}

// Packet takes a packet of the client. p is not kept.
func (r *Read) Packet(now time.Duration, p []byte) Do {
	if r.state == ended {
		return Do{Done: true}
	}
	if block, ok := packet.ParseAck(p); ok {
		return r.ack(now, block)
	}
	if code, text, ok := packet.ParseError(p); ok {
		r.out.clientSaid(code, text)
		if r.state == opening && r.oack && (code == packet.OptionRefused || r.probe) {
			return r.end(SizeProbe)
		}
		return r.end(ClientError)
	}
	r.out.Strays++
	return Do{}
}

// Tick is called when Deadline has passed; earlier it does nothing.
func (r *Read) Tick(now time.Duration) Do {
	switch {
	case r.state == ended:
		return Do{Done: true}
	case now-r.progress >= r.giveUp:
		return r.vanished(ClientSilent)
	case now < r.due:
		return Do{}
	case r.state == running:
		r.timer.expire()
		return r.flight(now)
	case r.repeats == 0:
		r.due = Never
		return Do{}
	}
	r.repeats--
	r.timer.expire()
	return r.again(now)
}

// Repeat is called when the very request came again: same client address and port, operation and name. Until the
// client's first ACK each one received is answered with the first reply.
func (r *Read) Repeat(now time.Duration) Do {
	if r.state == ended {
		return Do{Done: true}
	}
	r.out.Requests++
	if r.state != opening {
		return Do{}
	}
	return r.again(now)
}

// Deadline is when Tick has to be called.
func (r *Read) Deadline() time.Duration {
	if r.state == ended {
		return Never
	}
	return min(r.due, r.progress+r.giveUp)
}

// Stop ends the transfer because the server stops.
func (r *Read) Stop(now time.Duration) Do {
	return r.Refuse(now, Shutdown, packet.Error{Text: textStopping})
}

// Refuse ends the transfer with an ERROR to the client.
func (r *Read) Refuse(_ time.Duration, reason Reason, e packet.Error) Do {
	if r.state == ended {
		return Do{Done: true}
	}
	do := r.end(reason)
	do.SendError, do.Error = true, e
	return do
}

// Gone ends the transfer because the client's port is closed (ICMP port unreachable).
func (r *Read) Gone(time.Duration) Do {
	if r.state == ended {
		return Do{Done: true}
	}
	return r.vanished(ClientGone)
}

// Outcome is what is known by now.
func (r *Read) Outcome() Outcome {
	out := r.out
	out.RTT = r.timer.smooth
	out.LastAcked = r.acked
	out.Bytes = int64(r.acked) * r.blockSize
	if r.acked == r.last && r.acked > 0 {
		out.Bytes += r.tail - r.blockSize
	}
	return out
}

// Acked is the last block the client acknowledged: the driver needs none up to it again.
func (r *Read) Acked() uint64 { return r.acked }

// Progress is when the client last acknowledged something new, or the start.
func (r *Read) Progress() time.Duration { return r.progress }

// HalfOpen says that the client has answered nothing yet, so its address may be forged.
func (r *Read) HalfOpen() bool { return r.state == opening }

// ack takes the 16-bit number of an ACK. It is compared with the flight as a distance, which survives the wrap.
//
// The ACK of a part of the flight names a gap, and the flight begins anew behind it (RFC 7440 section 4). Clients
// also send such ACKs when a block comes twice, and would be answered with a window for each: the Sorcerer's
// Apprentice again. So the next one that cannot yet answer the new flight only moves the base.
func (r *Read) ack(now time.Duration, block uint16) Do {
	ahead := uint64(block - uint16(r.acked))
	if r.state == opening && r.oack && ahead == 0 {
		r.advance(now, 0)
		return r.flight(now)
	}
	if ahead == 0 || ahead > maxWindow {
		r.out.Duplicates++
		return Do{}
	}
	if ahead > r.sent-r.acked {
		r.out.Strays++
		return Do{}
	}
	early := r.partial && now-r.sentAt < r.timer.smooth/2
	r.advance(now, ahead)
	if r.acked == r.last {
		return r.end(FinalAck)
	}
	r.partial = r.acked < r.sent
	if r.partial && early {
		return Do{}
	}
	return r.flight(now)
}

// advance moves the base of the window.
func (r *Read) advance(now time.Duration, blocks uint64) {
	if r.state == opening {
		r.state = running
		r.timer.doublings = 0 // what came before was about reaching the client at all
	}
	r.acked += blocks
	r.progress = now
	if r.acked >= r.fresh {
		r.timer.sample(now - r.sentAt)
	}
}

// flight sends the window behind the last acknowledged block.
func (r *Read) flight(now time.Duration) Do {
	to := r.acked + r.window
	if r.last != 0 {
		to = min(to, r.last)
	}
	r.out.Retransmits += uint32(min(r.sent, to) - r.acked)
	r.fresh = r.sent + 1
	r.sent, r.sentAt = to, now
	r.due = now + r.timer.rto()
	r.out.LastBlock = to
	return Do{From: r.acked + 1, Count: int(to - r.acked)}
}

// first sends the first reply.
func (r *Read) first(now time.Duration) Do {
	if !r.oack {
		return r.flight(now)
	}
	r.sentAt = now
	r.due = now + r.timer.rto()
	return Do{OACK: true}
}

// again sends the first reply once more.
func (r *Read) again(now time.Duration) Do {
	if r.oack {
		r.out.Retransmits++
	}
	do := r.first(now)
	r.fresh = r.sent + 1
	return do
}

// vanished ends a transfer whose client says no more. If all was sent, the content may have arrived.
func (r *Read) vanished(reason Reason) Do {
	if r.last != 0 && r.sent == r.last {
		reason = Unconfirmed
	}
	return r.end(reason)
}

func (r *Read) end(reason Reason) Do {
	r.state = ended
	r.out.Reason = reason
	return Do{Done: true}
}
