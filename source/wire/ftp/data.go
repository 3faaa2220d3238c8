package ftp

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/wire/digest"
	"tallyman/source/wire/frame"
	"tallyman/source/wire/stream"
)

// endpoint is where somebody said that he listens for data.
type endpoint struct {
	session *session
	said    netip.AddrPort   // as it was announced
	at      []netip.AddrPort // where a connection is looked for: as announced, and on the real address of who said it
	active  bool             // the client listens
	bounce  bool             // the client named the address of somebody else
	conns   []*conn          // those that no transfer has taken, oldest first
	used    bool             // a transfer has taken it
}

// attach keeps a connection for the next transfer.
func (e *endpoint) attach(c *conn) {
	if x := e.session.waitsFor(e); x != nil {
		x.conn, c.transfer = c, x
		return
	}
	if len(e.conns) == mostEndpoints {
		e.conns = e.conns[1:]
	}
	e.conns = append(e.conns, c)
}

// announce begins to look for connections to the endpoint.
func (t *Table) announce(e *endpoint) {
	s := e.session
	if len(s.endpoints) == mostEndpoints {
		t.withdraw(s.endpoints[0])
		s.endpoints = s.endpoints[1:]
	}
	s.endpoints = append(s.endpoints, e)
	for _, a := range e.at {
		t.endpoints[a] = e
	}
}

func (t *Table) withdraw(e *endpoint) {
	for _, a := range e.at {
		if t.endpoints[a] == e {
			delete(t.endpoints, a)
		}
	}
}

// side is what one end of a data connection sent.
type side struct {
	bytes int64
	sum   hash.Hash
	cut   bool // not all of it was captured
	tls   bool
}

// conn is a data connection.
type conn struct {
	opener, listener netip.AddrPort
	session          *session
	endpoint         *endpoint
	transfer         *transfer
	began, last      time.Time
	packets          int64          // of both sides
	half             [2]stream.Half // from the opener, from the listener
	side             [2]side
	heard            [2]time.Time // when each last sent a packet
	version          string       // of TLS
	hidden           bool         // the commands of the session are encrypted
	ended            bool
	resetBy          int // 1 the opener, 2 the listener
	finNumber        uint64
}

// stranger reports whether somebody else than the other end of the control connection came to the data port.
func (c *conn) stranger() bool {
	if c.endpoint == nil {
		return false
	}
	s := c.session
	if c.endpoint.active {
		return c.opener.Addr() != s.self.Addr()
	}
	return c.opener.Addr() != s.peer.Addr()
}

// sender returns which side sends in the direction of the operation.
func (c *conn) sender(op tallyman.Op) int {
	fromClient := op == tallyman.OpPut || op == tallyman.OpAppend
	clientOpened := c.endpoint != nil && !c.endpoint.active
	if s := c.session; c.endpoint == nil { // what was announced is not known: on one machine the client opens
		clientOpened = c.opener.Addr() != s.self.Addr() || s.peer.Addr() == s.self.Addr()
	}
	if fromClient == clientOpened {
		return 0
	}
	return 1
}

// packet takes a packet of the opener (0) or of the listener (1).
func (c *conn) packet(t *Table, p *frame.Packet, from int) {
	c.last, c.session.last, c.heard[from] = p.Time, p.Time, p.Time
	c.packets++
	c.half[1-from].Acknowledge(p, c.taker(t, 1-from))
	fin, bytes := c.half[from].Fin, c.side[from].bytes
	c.half[from].Segment(p, c.taker(t, from))
	if c.hidden && c.side[from].bytes > bytes {
		c.carries(t, from)
	}
	if c.half[from].Fin && !fin {
		c.finNumber = p.Number
	}
	if c.half[from].Reset && c.resetBy == 0 {
		c.resetBy = from + 1
	}
	c.settle(t, p.Time)
	if c.transfer != nil && from == c.sender(tallyman.OpPut) { // the client sends, or acknowledges
		c.transfer.tellProgress(t, p.Time)
	}
}

// taker hashes what a side sends.
func (c *conn) taker(t *Table, i int) stream.Taker {
	return func(data []byte, n int) {
		s := &c.side[i]
		if s.bytes == 0 && len(data) >= 3 && data[0] == 22 && data[1] == 3 && data[2] <= 4 {
			s.tls = true // a handshake record (RFC 8446, section 5.1)
			if v := serverVersion(data); v != "" {
				c.version = v
			}
		}
		s.bytes += int64(n)
		if len(data) < n {
			s.cut = true
			s.release()
		}
		if s.cut || s.tls {
			return
		}
		if s.sum == nil {
			s.sum = t.cfg.Hash()
		}
		s.sum.Write(data)
	}
}

// finished reports whether nothing more comes from a side.
func (c *conn) finished(i int) bool { return c.ended || c.half[i].Confirmed() || c.resetBy != 0 }

// settle tells whoever waits for the end of the connection.
func (c *conn) settle(t *Table, now time.Time) {
	if c.half[0].Fin && c.half[1].Fin || c.resetBy != 0 {
		if c.resetBy != 0 {
			for i := range c.half {
				c.half[i].Close(c.taker(t, i))
			}
		}
	}
	if x := c.transfer; x != nil {
		x.settle(t, now)
	}
	if c.half[0].Confirmed() && c.half[1].Confirmed() || c.resetBy != 0 {
		if c.transfer != nil && c.transfer.ended {
			c.over(t, now)
		}
	}
}

// over stops following the connection.
func (c *conn) over(t *Table, now time.Time) {
	if !c.ended {
		c.ended = true
		defer func() {
			c.side[0].release()
			c.side[1].release()
		}()
	}
	if k := (pair{c.opener, c.listener}); t.conns[k] == c {
		delete(t.conns, k)
		t.recent = nil
	}
	if x := c.transfer; x != nil && !x.ended {
		x.settle(t, now)
	}
}

// whole reports whether every byte of the side was seen, up to its end, and none in two versions.
func (c *conn) whole(i int) bool {
	h := &c.half[i]
	return h.Differ == 0 && h.Unsure == 0 && !h.TwoEnds && (c.side[i].sum != nil || c.side[i].bytes == 0) && h.Whole && h.Fin && h.Missing == 0 && !c.side[i].cut && !c.side[i].tls
}

// release gives back what is not summed.
func (s *side) release() {
	if s.sum != nil {
		digest.Release(s.sum)
		s.sum = nil
	}
}

func (s *side) digest() tallyman.Digest {
	sum := s.sum
	if sum == nil {
		sum = sha256.New()
	}
	return tallyman.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
}
