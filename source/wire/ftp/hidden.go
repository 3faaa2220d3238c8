package ftp

import (
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// A dialogue behind TLS cannot be read. What can be seen is who speaks when: a data connection comes soon after the server's words (its answer to EPSV), its
// bytes go one way, and behind its last byte the server says something that a client who lives acknowledges before it goes on. So of a hidden transfer
// nothing is ever known to be complete; that its client was lost is known as well as of any other.

// plain is how many bytes a handshake and its certificates may have, in either direction: fewer tell no direction.
const plain = 16 << 10

// hiddenData follows a connection between the ends of a session whose dialogue is hidden.
func (t *Table) hiddenData(p *frame.Packet) bool {
	if !p.Has(frame.SYN) || p.Has(frame.ACK) || p.Dst.Port() < 1024 {
		return false
	}
	s, sure := t.lately(p, p.Src.Addr(), p.Dst.Addr())
	if s == nil {
		s, sure = t.lately(p, p.Dst.Addr(), p.Src.Addr())
	}
	if s == nil {
		return false
	}
	c := t.connect(pair{p.Src, p.Dst}, s, p)
	c.hidden = true
	s.room(t)
	x := &transfer{session: s, began: s.moment(p.Time), number: p.Number, expected: -1, hidden: true, apart: !sure, conn: c}
	c.transfer = x
	s.transfers = append(s.transfers, x)
	c.packet(t, p, 0)
	return true
}

// lately is the session between two hosts whose server spoke last. It is not sure when the server of another one that has no data connection spoke about
// then.
func (t *Table) lately(p *frame.Packet, client, server netip.Addr) (last *session, sure bool) {
	var before time.Time
	for _, s := range t.hidden[[2]netip.Addr{client, server}] {
		switch {
		case !s.tls || p.Time.Sub(s.spoke) >= nearby || s.carrying():
		case last == nil:
			last = s
		case s.spoke.After(last.spoke):
			before, last = last.spoke, s
		case s.spoke.After(before):
			before = s.spoke
		}
	}
	return last, last != nil && last.spoke.Sub(before) >= aboutThen
}

// settleApart ends a transfer of which the dialogue is not known.
func (x *transfer) settleApart(t *Table, now time.Time) {
	if x.conn.finished(x.conn.sender(x.op)) {
		x.close(t, now, tallyman.ClosedUnproven, "several sessions of this client were open: to which the data belongs is not known")
	}
}

// carrying reports whether a data connection of the session is not over: there is one at a time.
func (s *session) carrying() bool {
	return slices.ContainsFunc(s.transfers, func(x *transfer) bool { return x.hidden && !x.apart && !x.conn.finished(0) && !x.conn.finished(1) })
}

// loads are the bytes that client and server sent, with all that TLS adds.
func (c *conn) loads() (up, down int64) {
	client := c.sender(tallyman.OpPut)
	return c.side[client].bytes, c.side[1-client].bytes
}

// way is the direction in which a hidden content went; NoOp as long as a handshake may be all there is.
func (c *conn) way() tallyman.Op {
	up, down := c.loads()
	switch {
	case up > plain && up > 2*down:
		return tallyman.OpPut
	case down > plain && down > 2*up:
		return tallyman.OpGet
	default:
		return tallyman.NoOp
	}
}

// carries notes that one end sent more of a hidden content: what the server said before was no answer to the transfer.
func (c *conn) carries(t *Table, from int) {
	x := c.transfer
	if x == nil || x.ended {
		return
	}
	up, down := c.loads()
	client := c.sender(tallyman.OpPut)
	if (from == client) == (up > down) {
		x.final, x.acked, x.lives, x.finAcked = 0, false, false, false
	}
	if x.op = c.way(); x.op != tallyman.NoOp && !x.running {
		x.running = true
		x.open(t)
	}
}

// words notes that the server said something: of a hidden transfer that is its reply, if no more data comes.
func (x *transfer) words(p *frame.Packet) {
	if s := x.session; x.hidden && x.final == 0 && s.tls && x.conn.side[0].bytes+x.conn.side[1].bytes > 0 {
		x.final, x.finalAt, x.finalNo, x.replyEnd = hiddenReply, p.Time, p.Number, s.server.Next
	}
}

// hiddenAndRead reports whether all of a hidden download was acknowledged. Its reply may have left before its last bytes, which waited in the server's kernel: a
// client that goes on to speak then has heard it.
func (x *transfer) hiddenAndRead() bool {
	return x.hidden && !x.apart && x.op == tallyman.OpGet && x.conn.finished(x.conn.sender(x.op))
}

// hiddenReply stands for the code of a reply that cannot be read.
const hiddenReply = 1

// clear reports whether a connection between the ends of a hidden session is none of its data connections: those are encrypted too, as far as we follow them.
func (x *transfer) clear() bool { return x.hidden && !x.conn.side[0].tls && !x.conn.side[1].tls }
