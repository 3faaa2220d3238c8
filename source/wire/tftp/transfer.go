package tftp

import (
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// transfer is one request and all that came of it.
type transfer struct {
	client, asked netip.AddrPort
	req           request
	text          bool
	began         time.Time
	last          time.Time // the last request
	requests      int64
	packets       int64     // of both sides, requests too
	seen          time.Time // the newest of them
	place         uint64    // the packet of the request

	lanes     []*lane
	chosen    *lane // the one to which the client answered
	strangers int64
	strays    int64
	blind     bool
	told      bool // Request and Opened are out
	held      bool // it may be an echo of the transfer before: nothing is told until the client answers
	progress  time.Time

	ended   bool
	endedAt time.Time
	reason  tallyman.Reason
	final   *tallyman.Evidence // of an upload that went well, until it is told again
	retry   bool               // its last block came again behind the acknowledgement
}

// count notes a packet of the transfer. What the kernel joined to one packet (UDP GSO) is one.
func (x *transfer) count(p *frame.Packet) {
	if !x.ended {
		x.packets, x.seen = x.packets+1, p.Time
	}
}

func (x *transfer) lane(server netip.AddrPort) *lane {
	for _, l := range x.lanes {
		if l.server == server {
			return l
		}
	}
	return nil
}

// repeated reports whether a request repeats the one of this transfer. A client that got no answer may leave out its options.
func (x *transfer) repeated(r *request) bool {
	if !x.req.same(r) {
		return false
	}
	if len(x.lanes) == 0 {
		return true
	}
	if len(x.req.asked) != len(r.asked) {
		return false
	}
	for i := range r.asked {
		if r.asked[i] != x.req.asked[i] {
			return false
		}
	}
	return true
}

// superseded ends the transfer because its client asked for something else from the same port.
func (x *transfer) superseded(t *Table, p *frame.Packet, r *request) {
	l := x.best()
	switch {
	case l == nil:
		x.close(t, p.Time, tallyman.Timeout, "no answer")
	case l.delivered():
		x.close(t, p.Time, tallyman.DeliveredUnconfirmed, "")
	case l.oack && l.sent == 0 && l.acked < 0 && !x.req.write && x.req.name == r.name:
		x.close(t, p.Time, tallyman.SizeProbe, "")
	default:
		x.close(t, p.Time, tallyman.ClientAbort, "the client sent another request")
	}
}

// answer opens a lane for a packet of the server, or of another address when the client is waiting for nobody else.
func (x *transfer) answer(t *Table, p *frame.Packet) *lane {
	foreign := p.Src.Addr() != x.asked.Addr()
	if x.chosen != nil && foreign || len(x.lanes) == mostLanes || !firstAnswer(p.Payload, x.req.write) || foreign && len(x.lanes) > 0 {
		return nil
	}
	l := newLane(p.Src, x.text, t.cfg.Hash, p.Time)
	x.lanes = append(x.lanes, l)
	return l
}

// best is the lane that speaks for the transfer: the one that the client chose, else the first alive, else the first.
func (x *transfer) best() *lane {
	if x.chosen != nil {
		return x.chosen
	}
	for _, l := range x.lanes {
		if !l.dead {
			return l
		}
	}
	if len(x.lanes) > 0 {
		return x.lanes[0]
	}
	return nil
}

func (x *transfer) alive() int {
	n := 0
	for _, l := range x.lanes {
		if !l.dead {
			n++
		}
	}
	return n
}

// fromClient takes a packet of the client. Without a lane it went to the request port.
func (x *transfer) fromClient(t *Table, l *lane, p *frame.Packet) {
	x.count(p)
	k, ok := parse(p.Payload, p.Length)
	switch {
	case x.ended:
		if ok && k.op == opDATA && x.final != nil && l == x.chosen {
			x.mayRetry(t, k, p)
		}
	case !ok:
		x.strays++
	case k.op == opERROR:
		x.clientError(t, l, k, p)
	case l == nil, l.dead:
		x.strays++
	case k.op == opACK && !x.req.write:
		x.choose(l)
		x.settle(t, l, l.ack(k.number, p.Time, p.Number), p)
	case k.op == opDATA && x.req.write:
		x.choose(l)
		if l.acked < 0 {
			l.acked = 0 // DATA 1 answers the OACK
		}
		news := false
		l.pieces(p.Payload, p.Length, func(k packet) { news = l.data(k, p.Time, p.Number) || news })
		x.settle(t, l, news, p)
	default:
		l.strays++
	}
}

// choose follows the lane to which the client answers; a client that turns to another lane has begun again.
func (x *transfer) choose(l *lane) {
	l.client, l.unreachable = true, time.Time{}
	if x.chosen == nil || x.chosen.dead || !x.chosen.done() && l.acked >= x.chosen.acked {
		x.chosen = l
	}
}

// fromServer takes a packet of the server's port.
func (x *transfer) fromServer(t *Table, l *lane, p *frame.Packet) {
	x.count(p)
	k, ok := parse(p.Payload, p.Length)
	switch {
	case x.ended:
		return
	case !ok:
		l.strays++
		return
	case k.op == opERROR:
		x.serverError(t, l, k, p)
		return
	case k.op == opOACK:
		if l.oack {
			l.answers++
		}
		l.grant(k.pairs)
	case k.op == opACK && x.req.write:
		x.open(t, l, p)
		x.settle(t, l, l.ack(k.number, p.Time, p.Number), p)
		return
	case k.op == opDATA && !x.req.write:
		news := false
		l.pieces(p.Payload, p.Length, func(k packet) { news = l.data(k, p.Time, p.Number) || news })
		x.open(t, l, p)
		x.settle(t, l, news, p)
		return
	default:
		l.strays++
		return
	}
	x.open(t, l, p)
}

// settle ends the transfer when the last block of the lane was acknowledged, and tells progress otherwise.
func (x *transfer) settle(t *Table, l *lane, news bool, p *frame.Packet) {
	switch {
	case l.done():
		x.chosen = l
		switch {
		case l.odd:
			x.close(t, p.Time, tallyman.InGap, "the negotiation of the options was not seen")
			return
		case l.twofold:
			x.close(t, p.Time, tallyman.InGap, "ambiguous: a block or the options came in two versions")
			return
		}
		x.close(t, p.Time, tallyman.FinalAck, "")
	case news && p.Time.Sub(x.progress) >= time.Second && l == x.best():
		x.tellProgress(t, l, p.Time)
	}
}

// clientError: the client said stop. To a lane that it has not chosen it only says that it wants no second one.
func (x *transfer) clientError(t *Table, l *lane, k packet, p *frame.Packet) {
	if l != nil {
		l.dead = true
		if l != x.chosen && x.alive() > 0 {
			return
		}
		if x.chosen == nil {
			x.chosen = l
		}
		l.lastAck = p.Number
		probed := l.oack && l.sent == 0 && l.acked < 0 && !x.req.write
		if probed && (k.number == 0 || k.number == 8) {
			x.closeError(t, p.Time, tallyman.SizeProbe, k, "client")
			return
		}
	}
	x.closeError(t, p.Time, tallyman.ClientError, k, "client")
}

// serverError: the server said no, or stopped.
func (x *transfer) serverError(t *Table, l *lane, k packet, p *frame.Packet) {
	begun := l.oack || l.sent > 0 || l.acked >= 0
	l.dead = true
	if x.chosen != nil && x.chosen != l || x.alive() > 0 {
		return
	}
	l.lastAck = p.Number
	if !begun {
		x.refuse(t, l, p.Time, k)
		return
	}
	x.chosen = l
	x.closeError(t, p.Time, brokenOff(x, l, k), k, "server")
}

// gone: a port was closed. It ends the transfer when nothing follows.
func (x *transfer) gone(t *Table, l *lane, p *frame.Packet, client bool) {
	if l == nil {
		if len(x.lanes) == 0 && x.requests > 0 {
			x.close(t, p.Time, tallyman.ServerGone, "port unreachable")
		}
		return
	}
	if client && x.chosen != nil && x.chosen != l {
		l.dead = true
		return
	}
	l.unreachable = p.Time
}

// tick ends what has stalled.
func (x *transfer) tick(t *Table, now time.Time) {
	l := x.best()
	if l == nil {
		if now.Sub(x.last) >= t.cfg.Stall {
			x.absent(t, x.last, tallyman.Timeout, "no answer")
		}
		return
	}
	if !l.unreachable.IsZero() && now.Sub(l.unreachable) >= goneAfter {
		x.vanished(t, l)
		return
	}
	stall := t.cfg.Stall
	if n := number(l.granted, "timeout"); n > 0 && n <= 255 {
		stall = max(stall, 3*time.Duration(n)*time.Second)
	}
	if now.Sub(l.moved) >= stall {
		x.silent(t, l, now)
	}
}

// vanished: a port was closed and nothing followed.
func (x *transfer) vanished(t *Table, l *lane) {
	if l.delivered() {
		x.absent(t, l.unreachable, tallyman.DeliveredUnconfirmed, "port unreachable")
		return
	}
	x.close(t, l.unreachable, tallyman.ClientGone, "port unreachable")
}

// silent: nobody went on.
func (x *transfer) silent(t *Table, l *lane, now time.Time) {
	switch {
	case l.delivered():
		x.absent(t, now, tallyman.DeliveredUnconfirmed, "")
	case x.owesServer(l):
		x.absent(t, now, tallyman.Timeout, "the server fell silent")
	default:
		x.absent(t, now, tallyman.ClientSilent, "")
	}
}

// owesServer reports whether it was the server's turn: a read of which all blocks are acknowledged, or an upload with a block that is not.
func (x *transfer) owesServer(l *lane) bool {
	if x.req.write {
		return l.sent > max(l.acked, 0)
	}
	return l.acked >= l.sent && l.acked >= 0
}

// giveUp ends a transfer that was still running when the witness stopped looking.
func (x *transfer) giveUp(t *Table, now time.Time, why string) {
	l := x.best()
	switch {
	case l != nil && !l.unreachable.IsZero():
		x.vanished(t, l)
	case l != nil && l.delivered():
		x.close(t, now, tallyman.DeliveredUnconfirmed, why)
	default:
		x.close(t, now, tallyman.InGap, why)
	}
}

// absent ends a transfer because of what was not seen: while packets were lost that proves nothing.
func (x *transfer) absent(t *Table, at time.Time, r tallyman.Reason, why string) {
	if x.blind {
		r, why = tallyman.InGap, "packets were lost"
	}
	x.close(t, at, r, why)
}
