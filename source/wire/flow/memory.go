package flow

import (
	"encoding/binary"
	"math/bits"
	"net/netip"

	"tallyman/source/wire/frame"
)

// key4 and key6 are a flow in one direction. They hold no pointers, and neither does a state: the collector does not look at them.
type (
	key4 struct {
		src, dst uint32
		from, to uint16
		kind     uint32
	}
	key6 struct {
		src, dst [16]byte
		from, to uint16
		kind     uint32
	}
)

func newKey4(src, dst netip.AddrPort, kind frame.Kind) key4 {
	a, b := src.Addr().As4(), dst.Addr().As4()
	return key4{binary.BigEndian.Uint32(a[:]), binary.BigEndian.Uint32(b[:]), src.Port(), dst.Port(), uint32(kind)}
}

func newKey6(src, dst netip.AddrPort, kind frame.Kind) key6 {
	return key6{src.Addr().As16(), dst.Addr().As16(), src.Port(), dst.Port(), uint32(kind)}
}

// flow is a key, with a hash that nobody can foresee who does not know the seed.
type flow interface {
	comparable
	hash(seed uint64) uint64
}

func (k key4) hash(seed uint64) uint64 {
	return mix(uint64(k.src)<<32|uint64(k.dst), uint64(k.from)<<48|uint64(k.to)<<32|uint64(k.kind), seed)
}

func (k key6) hash(seed uint64) uint64 {
	u := binary.BigEndian.Uint64
	ends := mix(u(k.src[:8]), u(k.src[8:]), mix(u(k.dst[:8]), u(k.dst[8:]), seed))
	return mix(ends, uint64(k.from)<<48|uint64(k.to)<<32|uint64(k.kind), seed)
}

// mix is the step of wyhash (github.com/wangyi-fudan/wyhash): both halves of a product.
func mix(a, b, seed uint64) uint64 {
	high, low := bits.Mul64(a^seed^0xa0761d6478bd642f, b^bits.RotateLeft64(seed, 32)^0xe7037ed1a0b428db)
	return high ^ low
}

// state is what is known of a flow.
type state struct {
	place    uint32 // which interface speaks for it
	seq      uint32 // of the SYN
	last     uint32 // Unix seconds, which last until 2106; 0 = nothing is known
	told     bool
	answered bool
}

// ways is how many flows share a place. The one that was silent longest gives way to a new one: after as many other flows as half of the memory holds, one in twenty
// has been forgotten; after a quarter, one in a thousand.
const ways = 8

type entry[K flow] struct {
	key K
	state
}

// memory remembers flows in a fixed room, the last ones first in their places: a look at one flow is a look at one place.
type memory[K flow] struct {
	seed   uint64
	places [][ways]entry[K]
}

// newMemory returns a memory of that many flows, and up to twice as many.
func newMemory[K flow](flows int, seed uint64) memory[K] {
	n := max(flows, ways) / ways
	return memory[K]{seed: seed, places: make([][ways]entry[K], 1<<bits.Len(uint(n-1)))}
}

func (m *memory[K]) place(k K) *[ways]entry[K] {
	return &m.places[k.hash(m.seed)&uint64(len(m.places)-1)]
}

// take returns the state of a flow, that of nothing known if it is new. It may be changed until the next take.
func (m *memory[K]) take(k K) *state {
	p := m.place(k)
	if p[0].key == k {
		return &p[0].state
	}
	at := 1
	for at < ways-1 && p[at].key != k {
		at++
	}
	e := p[at]
	if e.key != k {
		e = entry[K]{key: k}
	}
	copy(p[1:at+1], p[:at])
	p[0] = e
	return &p[0].state
}

// see returns what is known of a flow, and leaves it in its place.
func (m *memory[K]) see(k K) state {
	for _, e := range m.place(k) {
		if e.key == k {
			return e.state
		}
	}
	return state{}
}
