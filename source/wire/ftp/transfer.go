package ftp

import (
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// transfer is one command that moves content, and all that came of it.
type transfer struct {
	session  *session
	verb     string
	op       tallyman.Op
	name     string
	began    time.Time
	number   uint64 // the packet of the command
	kind     byte   // of TYPE
	offset   int64  // of REST
	expected int64

	endpoint *endpoint
	conn     *conn
	progress time.Time

	running   bool // a 1xx was seen
	final     int
	finalText string
	finalAt   time.Time
	finalNo   uint64
	ackNo     uint64
	replyEnd  int64 // the offset behind the final reply
	codes     []int
	acked     bool // the client acknowledged the final reply
	ackedAt   time.Time
	lives     bool // the control connection lived on after that
	finAcked  bool // the client's FIN was its acknowledgement
	lostBy    string
	lostAt    time.Time
	aborted   bool // ABOR was sent
	cut       bool // before the end of what the client had to send
	blurred   bool // a part of the dialogue was missed
	twofold   bool // a part of the dialogue came in two versions
	blind     bool // packets were lost
	hidden    bool // its dialogue is encrypted: whether it was asked for, and what was answered, is not known
	apart     bool // and to which of several sessions it belongs is not known either
	mute      bool // it was told that the client says nothing
	told      bool
	ended     bool
}

// takeEndpoint takes what was announced for the transfer; a client that announces nothing new uses the last endpoint again.
func (x *transfer) takeEndpoint() {
	s := x.session
	if x.endpoint != nil {
		return
	}
	e := s.current
	if e == nil && len(s.endpoints) > 0 && s.endpoints[len(s.endpoints)-1].active && x.running {
		e = s.endpoints[len(s.endpoints)-1]
	}
	if e == nil {
		return
	}
	s.current = nil
	x.endpoint, e.used = e, true
	if len(e.conns) > 0 && x.conn == nil {
		x.conn, e.conns = e.conns[0], e.conns[1:]
		x.conn.transfer = x
	}
}

// started takes a preliminary reply.
func (x *transfer) started(t *Table, r reply) {
	x.note(r.code)
	x.running = true
	x.takeEndpoint()
	if n := announced(r.text); n >= 0 && x.op == tallyman.OpGet && x.offset == 0 {
		x.expected = n
	}
	x.uniqueName(r.text)
	x.open(t)
}

func (x *transfer) note(code int) {
	if len(x.codes) < mostReplies {
		x.codes = append(x.codes, code)
	}
}

// uniqueName finds the name that the server chose for a STOU (RFC 1123, section 4.1.2.9: "150 FILE: pppp").
func (x *transfer) uniqueName(text string) {
	if x.verb != "STOU" || x.name != "" {
		return
	}
	lower := strings.ToLower(text)
	for _, mark := range []string{"unique file name:", "file:"} {
		if at := strings.Index(lower, mark); at >= 0 && len(lower) == len(text) {
			name, _, _ := strings.Cut(strings.TrimSpace(text[at+len(mark):]), "\n")
			x.name = strings.TrimRight(name, ").")
			return
		}
	}
}

// finalReply takes the reply that ends the transfer.
func (x *transfer) finalReply(r reply, end int64) {
	s := x.session
	x.takeEndpoint()
	x.note(r.code)
	x.uniqueName(r.text)
	x.final, x.finalText, x.replyEnd = r.code, r.text, end
	if s.now != nil {
		x.finalAt, x.finalNo = s.now.Time, s.now.Number
	}
	// A capture may show the acknowledgement before what it acknowledges.
	if s.server.Acked >= end && x.lostBy == "" {
		x.acked, x.ackedAt = true, x.finalAt
	}
}

// acknowledged takes a packet of the client: how far it has acknowledged the server's words, before and now, and whether it says more itself. A kernel
// acknowledges for a client that was just killed; then it resets the connection, for words that nobody has read (RFC 1122, section 4.2.2.13). Whoever closes
// with a FIN has read them.
func (x *transfer) acknowledged(before, now int64, said bool, p *frame.Packet) {
	if said && x.final == 0 && x.hiddenAndRead() {
		x.final, x.finalAt, x.finalNo, x.acked, x.ackedAt, x.ackNo, x.lives = hiddenReply, p.Time, p.Number, true, p.Time, p.Number, true
		return
	}
	if x.acked && !x.lives && !p.Has(frame.RST) {
		x.lives = said || p.Has(frame.FIN)
	}
	if x.final == 0 || x.acked || x.finAcked || before >= x.replyEnd || now < x.replyEnd || x.lostBy != "" {
		return
	}
	x.ackNo = p.Number
	if p.Has(frame.FIN) {
		x.finAcked = true
		return
	}
	x.acked, x.ackedAt, x.lives = true, p.Time, said
}

// controlLost: an end of the control connection closed or reset it before the final reply was acknowledged.
func (x *transfer) controlLost(by string, p *frame.Packet) {
	if x.lostBy == "" && !x.lives && !x.finAcked && (!x.acked || by != "server") {
		x.lostBy, x.lostAt = by, p.Time
	}
}

// settle ends the transfer as soon as its end is known.
func (x *transfer) settle(t *Table, now time.Time) {
	s := x.session
	switch {
	case x.ended:
	case x.apart:
		x.settleApart(t, now)
	case x.final >= 400 && x.unheard(x.finalAt) && now.Sub(x.finalAt) < lostAfter: // it may still acknowledge
	case x.final >= 400 && !x.doubtful():
		x.failed(t, now)
	case x.lostBy != "" && (x.final != 0 || s.over()):
		x.lost(t, "the "+x.lostBy+" closed the control connection before the reply was acknowledged")
	case x.final == 0:
	case x.twofold:
		x.close(t, now, tallyman.InGap, "ambiguous: a part of the dialogue came in two versions")
	case x.blurred:
		x.close(t, now, tallyman.InGap, "a part of the dialogue was not seen")
	case x.finAcked:
		x.close(t, now, tallyman.ReplyUnacknowledged, "the client closed the control connection in answer to the reply")
	case !x.acked, !x.lives && now.Sub(x.ackedAt) < livesFor:
	case x.conn == nil:
		x.withoutData(t, now)
	case x.conn.stranger():
		x.close(t, now, tallyman.DataPeerMismatch, "the data connection came from "+x.conn.opener.String())
	case x.conn.finished(x.conn.sender(x.op)):
		x.withData(t, now)
	}
}

// failed takes a negative final reply.
func (x *transfer) failed(t *Table, now time.Time) {
	switch {
	case x.unheard(x.finalAt):
		x.close(t, x.finalAt, tallyman.ClientSilent, "")
	case x.lostBy != "":
		x.close(t, x.lostAt, tallyman.ControlLost, x.finalText)
	case x.running || x.moved() > 0 || x.final == 421 || x.final == 425 || x.final == 426:
		x.close(t, now, brokenOff(x.final, x.finalText, x.aborted), x.finalText)
	default:
		x.refuse(t, now)
	}
}

// withoutData ends a transfer of which no data connection was seen.
func (x *transfer) withoutData(t *Table, now time.Time) {
	switch {
	case x.saidAborted():
		x.close(t, now, tallyman.ClientAbort, x.finalText)
	case x.endpoint != nil && x.endpoint.bounce:
		x.close(t, now, tallyman.Bounce, "the client named "+x.endpoint.said.String())
	case t.cfg.Live || x.blind:
		x.close(t, now, tallyman.InGap, "the data connection was not seen")
	default:
		x.close(t, now, tallyman.ReplyAcknowledged, "")
	}
}

// abort notes that the client said ABOR. Of an upload that it has not sent to its end, what came is cut, whatever the server calls it.
func (x *transfer) abort() {
	if x.final != 0 {
		return
	}
	x.aborted = true
	x.cut = x.upload() && x.conn != nil && !x.conn.half[x.conn.sender(x.op)].FinSeen
}

func (x *transfer) saidAborted() bool {
	return x.aborted && (x.conn == nil || x.cut || !x.conn.half[x.conn.sender(x.op)].Confirmed() || strings.Contains(strings.ToLower(x.finalText), "abort"))
}

// withData ends a transfer of which the data connection has ended too.
func (x *transfer) withData(t *Table, now time.Time) {
	c, i := x.conn, x.conn.sender(x.op)
	h := &c.half[i]
	switch {
	case x.saidAborted():
		x.close(t, now, tallyman.ClientAbort, x.finalText)
	case x.endpoint != nil && x.endpoint.bounce && c.listener.Addr() != x.session.peer.Addr():
		x.close(t, now, tallyman.Bounce, "the data connection went to "+c.listener.String())
	case x.hidden:
		x.close(t, x.finalAt, tallyman.ClosedUnproven, "the dialogue is encrypted")
	case c.side[0].tls || c.side[1].tls:
		x.close(t, now, tallyman.ClosedUnproven, "the data connection is encrypted")
	case h.TwoEnds:
		x.close(t, now, tallyman.InGap, "ambiguous: the data connection came with two ends")
	case !h.Confirmed():
		x.close(t, now, tallyman.PartialRead, "the data connection was reset before its end was acknowledged")
	case x.sizesDiffer():
		x.close(t, now, tallyman.AnnouncedSize, "")
	default:
		x.close(t, now, tallyman.ReplyAcknowledged, "")
	}
}

// sizesDiffer compares what was announced with what came, where both mean the same bytes.
func (x *transfer) sizesDiffer() bool {
	return x.op == tallyman.OpGet && x.expected >= 0 && x.kind == 'I' && x.offset == 0 && x.conn.half[x.conn.sender(x.op)].Whole && x.moved() != x.expected
}

// moved returns the payload bytes that the receiver confirmed; -1 when no data connection was seen, or not its beginning.
func (x *transfer) moved() int64 {
	if x.conn == nil {
		return -1
	}
	i := x.conn.sender(x.op)
	h := &x.conn.half[i]
	if !h.Whole || x.conn.side[i].tls {
		return -1
	}
	return max(0, min(h.Acked, h.Next))
}

// tick ends what waits in vain.
func (x *transfer) tick(t *Table, now time.Time) {
	switch {
	case x.ended:
	case x.mutes(now):
		x.tellMute(t, now)
	case x.apart:
	case x.acked && !x.lives && now.Sub(x.ackedAt) >= livesFor:
		x.lives = true
		x.settle(t, now)
	case x.final >= 400:
		x.settle(t, now)
	case x.lostBy != "" && x.final == 0 && now.Sub(x.lostAt) >= lostAfter:
		x.lost(t, "the "+x.lostBy+" closed the control connection before a final reply")
	case x.final != 0 && now.Sub(x.finalAt) >= dataAfter && (x.conn == nil || now.Sub(x.conn.last) >= dataAfter):
		x.giveUp(t, now, "nothing more was seen")
	}
}

// giveUp ends a transfer when the witness stops looking.
func (x *transfer) giveUp(t *Table, now time.Time, why string) {
	switch {
	case x.ended:
	case x.apart && !x.mute:
		x.close(t, now, tallyman.InGap, why)
	case x.lostBy != "" && !x.apart:
		x.lost(t, "the "+x.lostBy+" closed the control connection")
	case x.mute && !x.heard().After(x.progress):
		x.close(t, x.heard(), tallyman.ClientSilent, why)
	case x.acked && !x.lives && !x.upload() && !x.doubtful() && (x.conn == nil || x.conn.finished(x.conn.sender(x.op))):
		// A client that dies cuts an upload short, and its kernel may still acknowledge the reply. What it receives was sent whole.
		x.lives = true
		x.settle(t, now)
	case x.blind || x.doubtful() || x.final == 0:
		x.close(t, now, tallyman.InGap, why)
	case !x.acked, !x.lives:
		x.close(t, now, tallyman.ReplyUnacknowledged, why)
	default:
		x.close(t, now, tallyman.InGap, why+"; the end of the data connection was not seen")
	}
}

// doubtful reports whether what was said of the transfer is not sure.
func (x *transfer) doubtful() bool { return x.blurred || x.twofold }

// heard is when the client last sent a packet, on either connection.
func (x *transfer) heard() time.Time {
	at := x.session.heard
	if x.apart {
		at = time.Time{}
	}
	if c := x.conn; c != nil {
		if of := c.heard[c.sender(tallyman.OpPut)]; of.After(at) {
			at = of
		}
	}
	return at
}

// unheard reports whether the client had been silent at a time, and has not sent a packet since: whoever lives acknowledges what the server sends.
func (x *transfer) unheard(at time.Time) bool { return at.Sub(x.heard()) >= quietFor }

// mutes reports whether it is time to tell that the client says nothing.
func (x *transfer) mutes(now time.Time) bool {
	return x.running && (x.final == 0 || x.hidden) && (x.lostBy == "" || x.apart) && !x.mute && now.Sub(x.heard()) >= muteFor
}

// lost ends a transfer whose control connection was lost. A client that said ABOR before has said why. A server that closed it because it heard nothing of
// its client is not to blame.
func (x *transfer) lost(t *Table, why string) {
	if x.saidAborted() {
		x.close(t, x.lostAt, tallyman.ClientAbort, "")
		return
	}
	if x.lostBy == "server" && x.unheard(x.lostAt) {
		x.close(t, x.lostAt, tallyman.ClientSilent, "the server gave it up")
		return
	}
	x.close(t, x.lostAt, tallyman.ControlLost, why)
}

func (x *transfer) upload() bool { return x.op == tallyman.OpPut || x.op == tallyman.OpAppend }

func (x *transfer) remove() {
	x.ended = true
	s := x.session
	s.transfers = slices.DeleteFunc(s.transfers, func(y *transfer) bool { return y == x })
	for i := range s.queue {
		if s.queue[i].x == x {
			s.queue[i].x = nil
		}
	}
}
