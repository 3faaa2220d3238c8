package engine

import (
	"time"

	"tallyman/source/tftp/packet"
)

// pause is how long a window may stand still before its received part is acknowledged: longer than the timer's
// floor, because a client that reads its file between two DATA is not a loss.
const pause = 100 * time.Millisecond

// Write serves one WRQ. The zero value is to be started.
type Write struct {
	timer    timer
	giveUp   time.Duration
	dally    time.Duration
	progress time.Duration // when the last DATA was taken in order
	due      time.Duration // when the timer expires

	taken uint64 // last block taken in order
	acked uint64 // last block acknowledged
	ackAt uint64 // block that ends the client's window and is acknowledged at once

	sentAt time.Duration // when the newest ACK left
	clean  bool          // it left once and as the answer to a whole window: DATA after it measures the path
	gap    bool          // this gap has been answered
	resent bool          // this repeated window has been answered

	bytes     int64
	announced int64
	blockSize int
	window    uint64
	oack      bool
	state     state
	repeats   int8

	out Outcome
}

// Start begins the transfer: the first reply is the OACK, or ACK 0.
func (w *Write) Start(now time.Duration, g Grant, cfg Config) Do {
	*w = Write{
		timer: newTimer(g, cfg), giveUp: cfg.GiveUp, dally: max(cfg.Dally, 2*g.Timeout), progress: now,
		announced: g.Announced, blockSize: g.BlockSize, window: uint64(g.Window),
		oack: g.OACK(), repeats: g.repetitions(),
	}
	return w.first(now, true)
}

// Packet takes a packet of the client. Do.Store is a view into p.
func (w *Write) Packet(now time.Duration, p []byte) Do {
	if w.state == ended {
		return Do{Done: true}
	}
	if block, payload, ok := packet.ParseData(p); ok {
		return w.data(now, block, payload)
	}
	if code, text, ok := packet.ParseError(p); ok {
		w.out.clientSaid(code, text)
		if w.state == storing {
			return Do{} // the whole is with the driver, what becomes of it decides
		}
		return w.end(ClientError)
	}
	w.out.Strays++
	return Do{}
}

// Tick is called when Deadline has passed; earlier it does nothing.
func (w *Write) Tick(now time.Duration) Do {
	switch {
	case w.state == ended:
		return Do{Done: true}
	case now < w.Deadline():
		return Do{}
	case w.state == dallying:
		return w.end("")
	case now-w.progress >= w.giveUp:
		return w.end(ClientSilent)
	case w.state == running:
		w.timer.expire()
		w.gap, w.resent = false, false
		return w.ack(now, Do{})
	case w.repeats == 0:
		w.due = Never
		return Do{}
	}
	w.repeats--
	w.timer.expire()
	return w.first(now, false)
}

// Repeat is called when the very request came again: same client address and port, operation and name. Until the
// client's first DATA each one received is answered with the first reply.
func (w *Write) Repeat(now time.Duration) Do {
	if w.state == ended {
		return Do{Done: true}
	}
	w.out.Requests++
	if w.state != opening {
		return Do{}
	}
	return w.first(now, false)
}

// Stored says that the upload is synced, renamed and recorded: the last ACK leaves now.
func (w *Write) Stored(now time.Duration) Do {
	if w.state != storing {
		return Do{Done: w.state == ended}
	}
	w.out.Reason = Stored
	if w.announced >= 0 && w.bytes > w.announced {
		w.out.Reason = AnnouncedSize
	}
	w.state = dallying
	do := w.ack(now, Do{})
	w.due = now + w.dally
	return do
}

// Deadline is when Tick has to be called. While the driver stores there is none.
func (w *Write) Deadline() time.Duration {
	switch w.state {
	case storing, ended:
		return Never
	case dallying:
		return w.due
	default:
		return min(w.due, w.progress+w.giveUp)
	}
}

// Stop ends the transfer because the server stops. An upload that is with its driver goes on until Stored or
// Refuse; one that is stored stays so.
func (w *Write) Stop(now time.Duration) Do {
	if w.state == storing {
		return Do{}
	}
	return w.Refuse(now, Shutdown, packet.Error{Text: textStopping})
}

// Refuse ends the transfer with an ERROR to the client, in place of any ACK that the same packet called for. What
// was already answered as stored is only ended, in silence.
func (w *Write) Refuse(_ time.Duration, reason Reason, e packet.Error) Do {
	if w.Settled() {
		return w.end("")
	}
	do := w.end(reason)
	do.SendError, do.Error = true, e
	return do
}

// Gone ends the transfer because the client's port is closed (ICMP port unreachable).
func (w *Write) Gone(time.Duration) Do {
	if w.state == storing {
		return Do{}
	}
	return w.end(ClientGone)
}

// Outcome is what is known by now. It is final after Stored, except for what the client may say or repeat.
func (w *Write) Outcome() Outcome {
	out := w.out
	out.RTT = w.timer.smooth
	out.LastBlock, out.LastAcked = w.taken, w.acked
	out.Bytes = w.bytes
	return out
}

// Progress is when the last DATA was taken in order, or the start.
func (w *Write) Progress() time.Duration { return w.progress }

// HalfOpen says that the client has answered nothing yet, so its address may be forged.
func (w *Write) HalfOpen() bool { return w.state == opening }

// Settled says that the reason is final. A settled machine that has not ended only dallies: a driver short of
// sockets may drop it, at the price that a client whose last ACK was lost takes a stored upload for a failed one.
func (w *Write) Settled() bool { return w.out.Reason != "" }

// data takes a DATA packet. Its number is compared with the last one taken as a distance, which survives the wrap.
func (w *Write) data(now time.Duration, block uint16, payload []byte) Do {
	ahead, behind := uint64(block-uint16(w.taken)), uint64(uint16(w.taken)-block)
	switch {
	case w.state == storing || w.state == dallying:
		w.out.Duplicates++
		if w.state == dallying && behind == 0 {
			return w.repeatAck(now)
		}
		return Do{}
	case len(payload) > w.blockSize:
		return w.Refuse(now, ServerError, packet.Error{Code: packet.IllegalOperation, Text: textTooLarge})
	case ahead == 1:
		return w.next(now, payload)
	case ahead > 1 && ahead <= w.window:
		return w.ahead(now)
	case behind < maxWindow && behind < w.taken:
		return w.repeated(now, w.taken-behind)
	}
	w.out.Strays++
	return Do{}
}

// next takes the block that is due.
func (w *Write) next(now time.Duration, payload []byte) Do {
	if w.clean {
		w.timer.sample(now - w.sentAt)
	}
	w.clean, w.gap, w.resent = false, false, false
	w.heard()
	w.progress = now
	w.taken++
	w.bytes += int64(len(payload))
	do := Do{Store: payload}
	switch {
	case len(payload) < w.blockSize && w.bytes < w.announced:
		return w.Refuse(now, Truncated, packet.Error{Text: textTruncated})
	case len(payload) < w.blockSize:
		w.state = storing
		do.Last = true
	case w.taken >= w.ackAt:
		do = w.ack(now, do)
		w.clean = true
	default:
		w.due = now + max(w.timer.rto(), pause)
	}
	return do
}

// heard notes that the client receives and sends.
func (w *Write) heard() {
	if w.state == opening {
		w.state = running
		w.timer.doublings = 0
	}
}

// ahead meets a block of the window behind a lost one. RFC 7440 section 4 wants the last good block acknowledged at
// once; the rest of the window comes behind the same gap and is not answered, else one loss would make many ACKs.
func (w *Write) ahead(now time.Duration) Do {
	w.heard()
	w.out.Gaps++
	if w.gap {
		return Do{}
	}
	w.gap = true
	return w.ack(now, Do{})
}

// repeated meets a block that was taken before. In lockstep that asks for its ACK again, unless that one has just
// left: the block was then doubled on its way, or by a client that answers each of our ACKs, and a second ACK would
// keep the doubling alive. In a window the client has not seen our newest ACK and sends its window once more from
// this block on, so the ACK is due where that one ends.
func (w *Write) repeated(now time.Duration, block uint64) Do {
	w.out.Duplicates++
	if block+w.window <= w.taken {
		return Do{} // the client sent a later one since, so it has the ACK: a copy that was long on its way
	}
	if w.window == 1 {
		if now-w.sentAt < min(w.timer.rto()/2, pause) {
			return Do{}
		}
		return w.ack(now, Do{})
	}
	if w.resent || block >= w.acked {
		return Do{}
	}
	w.resent = true
	w.ackAt = min(w.ackAt, block+w.window-1)
	if w.ackAt > w.taken {
		return Do{}
	}
	return w.ack(now, Do{})
}

// ack acknowledges what was taken in order; the client's next window begins behind it.
func (w *Write) ack(now time.Duration, do Do) Do {
	w.clean = false
	if w.taken == w.acked {
		w.out.Retransmits++
	}
	w.acked, w.ackAt = w.taken, w.taken+w.window
	w.sentAt = now
	w.due = now + w.timer.rto()
	do.Ack, do.AckBlock = true, uint16(w.acked)
	return do
}

// repeatAck answers a repeated last DATA without prolonging the dally.
func (w *Write) repeatAck(now time.Duration) Do {
	due := w.due
	do := w.ack(now, Do{})
	w.due = due
	return do
}

// first sends the first reply, for the first time or again.
func (w *Write) first(now time.Duration, once bool) Do {
	w.clean = once
	if !once {
		w.out.Retransmits++
	}
	w.ackAt = w.window
	w.sentAt = now
	w.due = now + w.timer.rto()
	return Do{OACK: w.oack, Ack: !w.oack}
}

// end leaves a reason that was found before untouched.
func (w *Write) end(reason Reason) Do {
	w.state = ended
	if w.out.Reason == "" {
		w.out.Reason = reason
	}
	return Do{Done: true}
}
