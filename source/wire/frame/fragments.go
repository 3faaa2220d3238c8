package frame

import (
	"bytes"
	"net/netip"
	"slices"
	"time"
)

// Limits bounds the fragments that wait for the rest of their datagram. When a bound is reached the oldest datagram is dropped and
// counted in Counts.Lost: what it carried is missing from the transfer, which therefore proves nothing whole.
type Limits struct {
	Datagrams int
	Bytes     int
	Age       time.Duration // by packet time; Linux waits 30 s (ip(7), ipfrag_time)
}

// DefaultLimits is enough for 60 datagrams of the largest size under way at once.
func DefaultLimits() Limits { return Limits{Datagrams: 256, Bytes: 4 << 20, Age: 30 * time.Second} }

// mostParts bounds the fragments of one datagram, mostDatagram its size.
const (
	mostParts    = 1024
	mostDatagram = 1 << 16
	partCost     = 64 // what the bookkeeping of a part takes, in bytes
)

type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	place    uint32
	proto    uint8
}

type part struct {
	at   int
	data []byte
}

// datagram is what has come of one. A bad one has contradicted itself; it stays until it is old, so that its other fragments are dropped too.
type datagram struct {
	key   fragmentKey
	parts []part // by place, without overlap
	have  int
	cost  int
	total int // -1 until the last fragment came
	first time.Time
	bad   bool
}

type fragments struct {
	limits Limits
	byKey  map[fragmentKey]*datagram
	queue  []*datagram // by age; those that were completed are nil in byKey
	bytes  int
	lost   uint64
	whole  []byte
}

func newFragments(l Limits) fragments {
	return fragments{limits: l, byKey: map[fragmentKey]*datagram{}}
}

// add takes one fragment and returns the datagram when it was the last one missing. What it returns is valid until the next call.
// Fragments that overlap are dropped with their datagram (RFC 5722; RFC 8200, section 4.5; Linux does so for IPv4 too); a fragment that
// came twice is not an overlap.
func (f *fragments) add(p *Packet, h *header, payload []byte, n int) ([]byte, bool) {
	f.expire(p.Time)
	key := fragmentKey{h.src, h.dst, h.id, p.Place, h.proto}
	g := f.byKey[key]
	if g == nil {
		g = &datagram{key: key, total: -1, first: p.Time}
		f.byKey[key] = g
		f.queue = append(f.queue, g)
		f.shrink(f.limits.Datagrams, f.limits.Bytes)
	}
	if g.bad {
		return nil, false
	}
	end := h.offset + n
	switch {
	case len(payload) < n, n == 0, end > mostDatagram, h.more && n%8 != 0, len(g.parts) == mostParts,
		!h.more && g.total >= 0 && g.total != end, g.total >= 0 && end > g.total:
		f.spoil(g)
		return nil, false
	}
	if !h.more {
		if len(g.parts) > 0 {
			if last := g.parts[len(g.parts)-1]; last.at+len(last.data) > end {
				f.spoil(g)
				return nil, false
			}
		}
		g.total = end
	}
	at, same := slices.BinarySearchFunc(g.parts, h.offset, func(q part, offset int) int { return q.at - offset })
	switch {
	case same && bytes.Equal(g.parts[at].data, payload):
		return nil, false
	case same, at > 0 && g.parts[at-1].at+len(g.parts[at-1].data) > h.offset, at < len(g.parts) && end > g.parts[at].at:
		f.spoil(g)
		return nil, false
	}
	g.parts = slices.Insert(g.parts, at, part{h.offset, bytes.Clone(payload)})
	g.have += n
	g.cost += n + partCost
	f.bytes += n + partCost
	if g.have == g.total {
		f.whole = f.whole[:0]
		for _, q := range g.parts {
			f.whole = append(f.whole, q.data...)
		}
		f.drop(g)
		return f.whole, true
	}
	f.shrink(f.limits.Datagrams, f.limits.Bytes)
	return nil, false
}

// spoil drops what a datagram holds and remembers it as bad.
func (f *fragments) spoil(g *datagram) {
	f.lost++
	f.bytes -= g.cost
	g.parts, g.have, g.cost, g.bad = nil, 0, 0, true
}

func (f *fragments) drop(g *datagram) {
	f.bytes -= g.cost
	g.parts, g.cost = nil, 0
	delete(f.byKey, g.key)
}

// expire forgets what is too old.
func (f *fragments) expire(now time.Time) {
	for len(f.queue) > 0 && (now.Sub(f.queue[0].first) > f.limits.Age || f.byKey[f.queue[0].key] != f.queue[0]) {
		f.oldest()
	}
}

func (f *fragments) shrink(datagrams, bytes int) {
	for len(f.queue) > 1 && (len(f.byKey) > datagrams || f.bytes > bytes || len(f.queue) > 4*datagrams) {
		f.oldest()
	}
}

func (f *fragments) oldest() {
	g := f.queue[0]
	f.queue[0] = nil
	f.queue = f.queue[1:]
	if f.byKey[g.key] == g {
		if !g.bad {
			f.lost++
		}
		f.drop(g)
	}
}
