package flow

import (
	"encoding/binary"
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

// state is what is known of a flow.
type state struct {
	place    uint32 // which interface speaks for it
	seq      uint32 // of the SYN
	last     uint32 // Unix seconds, which last until 2106; 0 = it is not known
	told     bool
	answered bool
}

// generations holds the flows of the last packets: at least as many as each generation may have, at most twice as many. What was not looked at while a generation
// filled is forgotten with the one before it.
type generations[K comparable] struct {
	most       int
	young, old map[K]state
}

func newGenerations[K comparable](most int) generations[K] {
	return generations[K]{most: most, young: map[K]state{}, old: map[K]state{}}
}

// find returns what is known, and whether it is of the young generation.
func (g *generations[K]) find(k K) (s state, young bool) {
	if s, young = g.young[k]; !young {
		s = g.old[k]
	}
	return s, young
}

// keep puts a flow into the young generation.
func (g *generations[K]) keep(k K, s state) {
	if len(g.young) >= g.most {
		if _, there := g.young[k]; !there {
			clear(g.old)
			g.young, g.old = g.old, g.young
		}
	}
	g.young[k] = s
}
