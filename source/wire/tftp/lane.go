package tftp

import (
	"encoding/binary"
	"hash"
	"hash/maphash"
	"net/netip"
	"slices"
	"time"

	"tallyman/details"
)

// lane is what went between the client and one port of the server. A server that forks for each copy of a request opens several.
type lane struct {
	server  netip.AddrPort
	text    bool // netascii
	hash    func() hash.Hash
	granted []details.Pair
	oack    bool
	block   int // bytes
	window  int

	client bool // the client answered to this port
	blind  bool // packets were lost
	dead   bool // an ERROR or an unreachable ended it

	// Blocks are counted from 1 and do not wrap.
	next   int64 // the first that has not been seen
	sent   int64 // the furthest that was seen
	acked  int64 // the furthest that was acknowledged; -1: not even the OACK
	last   int64 // the final one, 0 while it is not known
	short  int   // bytes of the final one
	wrapTo uint8 // what follows block 65535: undecided, 0 or 1
	early  []early
	held   int // bytes in early

	sum      *content
	cut      bool // a block was not captured in full, or was missed
	odd      bool // blocks came larger than was negotiated: the negotiation was missed
	missing  int64
	repeated int64 // DATA that came again
	answers  int64 // ACK that came again
	strays   int64

	versions versions // of the blocks that were not acknowledged yet
	differ   int64    // blocks that came again with another content before they were acknowledged
	twofold  bool     // a block came again with another length, or the options: where the content ends is not known

	moved             time.Time // the last progress
	unreachable       time.Time // when a port was said to be closed
	lastData, lastAck uint64    // the packets that prove it
}

// early is a block that came before its turn.
type early struct {
	ord    int64
	length int
	data   []byte
}

// What follows block 65535 (tftp.md: RFCs do not say).
const (
	wrapUnknown = iota
	wrapZero
	wrapOne
)

// mostEarly bounds the blocks that a lane keeps until their turn, earlyBytes their bytes. What does not fit is missing until it comes again.
const (
	mostEarly  = 64
	earlyBytes = 256 << 10
)

func newLane(server netip.AddrPort, text bool, sum func() hash.Hash, at time.Time) *lane {
	return &lane{server: server, text: text, hash: sum, block: 512, window: 1, next: 1, acked: -1, moved: at, versions: versions{seed: maphash.MakeSeed()}}
}

// grant takes the options of the first OACK.
func (l *lane) grant(pairs []details.Pair) {
	if l.oack || l.sent > 0 {
		l.twofold = l.twofold || l.oack && l.sent == 0 && l.acked < 0 && !slices.Equal(l.granted, pairs)
		return
	}
	l.oack, l.granted = true, pairs
	if n := number(pairs, "blksize"); n > 0 && n <= 65535 {
		l.block = int(n)
	}
	if n := number(pairs, "windowsize"); n > 0 && n <= 65535 {
		l.window = int(n)
	}
}

// pieces calls f for each DATA of a datagram. A burst that the kernel has not yet cut (UDP_SEGMENT) is captured as one: each piece but the
// last is as long as a full DATA.
func (l *lane) pieces(payload []byte, length int, f func(p packet)) {
	full := 4 + l.block
	if length > full && l.burst(payload, length) {
		for length > 0 {
			n := min(full, length)
			p, ok := parse(payload[:min(n, len(payload))], n)
			if !ok || p.op != opDATA {
				l.miss()
				return
			}
			f(p)
			payload, length = payload[min(n, len(payload)):], length-n
		}
		return
	}
	if p, ok := parse(payload, length); ok {
		f(p)
	}
}

// burst reports whether each piece, as far as it was captured, begins with DATA and the next number.
func (l *lane) burst(payload []byte, length int) bool {
	full := 4 + l.block
	if len(payload) < length || length%full > 0 && length%full < 4 {
		return false
	}
	for at := full; at < length; at += full {
		a, b := payload[at-full:], payload[at:]
		if binary.BigEndian.Uint16(b) != opDATA {
			return false
		}
		before, now := binary.BigEndian.Uint16(a[2:]), binary.BigEndian.Uint16(b[2:])
		if now != before+1 && (before != 65535 || now != 1) {
			return false
		}
	}
	return true
}

// ordinal returns which block a 16-bit number means, the nearest to near; ok is false for a number that cannot be.
func (l *lane) ordinal(n uint16, near int64) (int64, bool) {
	period, first := int64(1<<16), int64(n)
	if l.wrapTo == wrapOne {
		period = 1<<16 - 1
		if n == 0 {
			return 0, false
		}
	}
	laps := (near - first + period/2) / period
	if near-first+period/2 < 0 {
		laps = 0
	}
	return first + laps*period, true
}

// data takes one DATA from the sender and reports whether it told anything new.
func (l *lane) data(p packet, at time.Time, frame uint64) bool {
	if l.wrapTo == wrapUnknown && l.next+mostEarly >= 1<<16 {
		l.learnWrap(p.number)
	}
	ord, ok := l.ordinal(p.number, l.next)
	if !ok || ord < 1 || l.last > 0 && ord > l.last || ord > max(l.next, l.sent+1)+l.slack() {
		l.strays++
		return false
	}
	if p.length > l.block {
		if l.oack || ord > 1 && !l.odd {
			l.strays++ // larger than agreed: a server must not store it
			return false
		}
		l.block, l.odd = p.length, true
	}
	if ord <= l.sent && (ord < l.next || l.isEarly(ord)) {
		l.repeated++
		l.compare(ord, &p, true)
		return false
	}
	if ord <= l.sent {
		l.compare(ord, &p, false)
	}
	if p.length < l.block {
		if l.sent > ord {
			l.strays++ // a short block in the middle
			return false
		}
		l.last, l.short = ord, p.length
	}
	l.lastData, l.moved = frame, at
	l.sent = max(l.sent, ord)
	l.versions.keep(ord, &p, l.acked)
	if ord == l.next {
		l.take(p.data, p.length)
		l.drain()
		return true
	}
	if len(l.early) < mostEarly && l.held+p.length <= earlyBytes {
		l.early = append(l.early, early{ord, p.length, append([]byte(nil), p.data...)})
		l.held += p.length
	}
	return true
}

// compare looks whether a block that is not acknowledged holds what it held when it came before.
func (l *lane) compare(ord int64, p *packet, again bool) {
	if ord <= l.acked {
		return
	}
	known, content, length := l.versions.before(ord, p)
	l.twofold = l.twofold || known && !length
	if known && !content || again && !known {
		l.differ++
		l.miss()
	}
}

// miss: the content will not be whole any more.
func (l *lane) miss() {
	l.cut = true
	l.sum.release()
	l.sum = nil
}

func (l *lane) isEarly(ord int64) bool {
	for i := range l.early {
		if l.early[i].ord == ord {
			return true
		}
	}
	return false
}

// slack is how far ahead of what was seen a block may be: a window, or what a drop of the ring may have held.
func (l *lane) slack() int64 {
	if l.blind {
		return 1 << 14
	}
	return int64(l.window) + 4
}

// take hashes the block that was due.
func (l *lane) take(data []byte, length int) {
	if len(data) < length {
		l.miss()
	}
	if !l.cut {
		if l.sum == nil {
			l.sum = newContent(l.text, l.hash)
		}
		l.sum.write(data)
	}
	l.next++
}

// drain takes the early blocks whose turn has come.
func (l *lane) drain() {
	for i := 0; i < len(l.early); {
		e := l.early[i]
		if e.ord > l.next {
			i++
			continue
		}
		l.held -= e.length
		l.early[i] = l.early[len(l.early)-1]
		l.early = l.early[:len(l.early)-1]
		if e.ord == l.next {
			l.take(e.data, e.length)
		}
		i = 0
	}
}

// learnWrap decides what follows block 65535 when the first block beyond it shows. In lockstep a 1 is the answer. In a window a 1 may
// also be the second block after a lost 0: then the answer waits for a 0, or for the acknowledgement of a 1.
func (l *lane) learnWrap(n uint16) {
	switch {
	case l.next != 1<<16 && l.sent < 1<<16-1:
	case n == 0:
		l.wrapTo = wrapZero
	case n == 1 && l.next == 1<<16 && l.window == 1:
		l.wrapTo = wrapOne
	}
}

// ack takes an acknowledgement of the receiver. It reports whether it told anything new.
func (l *lane) ack(n uint16, at time.Time, frame uint64) bool {
	if l.acked < 0 && n == 0 && l.next == 1 {
		l.acked, l.moved, l.lastAck = 0, at, frame
		return true
	}
	if l.wrapTo == wrapUnknown && l.next == 1<<16 && l.sent > l.next && n >= 1 && n < 1<<15 {
		l.wrapOneAfterAll()
	}
	ord, ok := l.ordinal(n, max(l.acked, l.sent))
	switch {
	case !ok || ord > l.sent+l.slack():
		l.strays++
		return false
	case ord <= l.acked:
		l.answers++
		return false
	}
	if ord > l.sent {
		// What was acknowledged must have been sent: it was missed. Only one block of slack is believable without having seen any.
		if l.sent == 0 && ord > int64(l.window) && !l.blind {
			l.strays++
			return false
		}
		l.sent = ord
	}
	for l.next <= ord {
		if l.isEarly(l.next) {
			l.drain()
			continue
		}
		l.missing++
		l.miss()
		l.next++
		l.drain()
	}
	l.acked, l.moved, l.lastAck = ord, at, frame
	return true
}

// wrapOneAfterAll: a 1 was acknowledged that stands behind 65535, and no 0 came between. The blocks that came early were one less early.
func (l *lane) wrapOneAfterAll() {
	l.wrapTo = wrapOne
	for i := range l.early {
		l.early[i].ord--
	}
	l.versions.renumber(l.next)
	l.sent--
	if l.last > 0 {
		l.last--
	}
	l.drain()
}

// delivered reports whether all blocks were sent; done, whether the last one was acknowledged too.
func (l *lane) delivered() bool { return l.last > 0 && l.sent == l.last }
func (l *lane) done() bool      { return l.last > 0 && l.acked == l.last }

// whole reports whether all of the content was seen, and in one version.
func (l *lane) whole() bool { return l.last > 0 && l.next == l.last+1 && !l.cut }

// confirmed returns the bytes of the blocks that were acknowledged.
func (l *lane) confirmed() int64 {
	switch {
	case l.acked <= 0:
		return 0
	case l.done():
		return (l.last-1)*int64(l.block) + int64(l.short)
	default:
		return l.acked * int64(l.block)
	}
}
