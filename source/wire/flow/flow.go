// Package flow says where network sessions start: the SYN and the SYN/ACK of TCP, the first packet of a UDP flow. It also decides which of
// several interfaces speaks for a flow, since a packet that crosses a bridge, a veth pair or the loopback is captured more than once.
//
// It promises that each session is told once, as long as it is among the Flows most recent ones, and that memory is bounded. What a session
// is good for it leaves to others. It is pure.
package flow

import (
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// Config says which flows are told.
type Config struct {
	Host  string
	Flows int           // how many are remembered in each of two generations; when full, the older generation is forgotten
	Skip  []uint16      // ports of which no flow is told
	Quiet bool          // tell none at all
	Idle  time.Duration // a UDP flow that was silent for so long starts anew
}

// Defaults returns the configuration that leaves out DNS.
func Defaults() Config { return Config{Flows: 65536, Skip: []uint16{53}, Idle: time.Hour} }

// key is a flow in one direction.
type key struct {
	src, dst netip.AddrPort
	kind     frame.Kind
}

type state struct {
	place    uint32 // which interface speaks for it
	told     bool
	answered bool
	seq      uint32 // of the SYN
	last     int64  // Unix seconds
}

// Counts says what a Table saw.
type Counts struct {
	Copies  uint64 // packets that were seen on another interface already
	Started uint64
}

// Table knows the flows. It belongs to one goroutine.
type Table struct {
	Counts     Counts
	cfg        Config
	out        func(tallyman.Evidence)
	young, old map[key]*state
}

// New returns a Table that gives its evidence to out.
func New(cfg Config, out func(tallyman.Evidence)) *Table {
	return &Table{cfg: cfg, out: out, young: map[key]*state{}}
}

// Packet takes a UDP or TCP packet and reports whether it is the one to be looked at: false for a copy from another interface.
func (t *Table) Packet(p *frame.Packet) bool {
	k := key{p.Src, p.Dst, p.Kind}
	s := t.young[k]
	if s == nil {
		if s = t.old[k]; s == nil {
			s = &state{place: p.Place}
		}
		t.remember(k, s)
	}
	now := p.Time.Unix()
	opens := p.Kind == frame.TCP && p.Has(frame.SYN)
	if s.place != p.Place {
		// A new connection, or one whose interface has gone, may come another way.
		if gone := now-s.last > int64(movedAfter/time.Second) || now < s.last-1; !gone || s.last == 0 {
			t.Counts.Copies++
			return false
		}
		s.place = p.Place
	}
	fresh := s.last == 0 || now-s.last > int64(t.cfg.Idle/time.Second)
	s.last = now
	switch {
	case p.Kind == frame.UDP && fresh:
		if back := t.find(key{p.Dst, p.Src, p.Kind}); back == nil || now-back.last > int64(t.cfg.Idle/time.Second) {
			t.start(p, "udp", p.Src, p.Dst)
		}
	case opens && !p.Has(frame.ACK) && !p.Has(frame.RST) && (!s.told || s.seq != p.Seq):
		s.told, s.seq = true, p.Seq
		t.start(p, "tcp", p.Src, p.Dst)
	case opens && p.Has(frame.ACK) && (!s.answered || s.seq != p.Seq):
		s.answered, s.seq = true, p.Seq
		t.start(p, "tcp-answered", p.Dst, p.Src)
	}
	return true
}

// movedAfter is how long an interface must be silent before another may speak for a flow.
const movedAfter = 2 * time.Second

func (t *Table) find(k key) *state {
	if s := t.young[k]; s != nil {
		return s
	}
	return t.old[k]
}

func (t *Table) remember(k key, s *state) {
	if len(t.young) >= t.cfg.Flows {
		t.old, t.young = t.young, make(map[key]*state, t.cfg.Flows/4)
	}
	t.young[k] = s
}

// start tells of one; both ends are those of the one who began.
func (t *Table) start(p *frame.Packet, what string, client, server netip.AddrPort) {
	if slices.Contains(t.cfg.Skip, client.Port()) || slices.Contains(t.cfg.Skip, server.Port()) {
		return
	}
	t.Counts.Started++
	if t.cfg.Quiet {
		return
	}
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Proto = tallyman.KindFlow, "wire", t.cfg.Host, what
	e.Time = tallyman.Clean(p.Time)
	e.Began, e.Peer, e.Self, e.Err = e.Time, client, server, what
	t.out(e)
}
