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
	Flows int           // how many are remembered in each of two generations, of IPv4 and of IPv6 apart; when full, the older generation is forgotten
	Skip  []uint16      // ports of which no flow is told
	Quiet bool          // tell none at all
	Idle  time.Duration // a UDP flow that was silent for so long starts anew
}

// Defaults returns the configuration that leaves out DNS.
func Defaults() Config { return Config{Flows: 65536, Skip: []uint16{53}, Idle: time.Hour} }

// Counts says what a Table saw.
type Counts struct {
	Copies  uint64 // packets that were seen on another interface already
	Started uint64
}

// Table knows the flows. It belongs to one goroutine.
type Table struct {
	Counts Counts
	cfg    Config
	out    func(tallyman.Evidence)
	four   generations[key4]
	six    generations[key6]
}

// New returns a Table that gives its evidence to out.
func New(cfg Config, out func(tallyman.Evidence)) *Table {
	return &Table{cfg: cfg, out: out, four: newGenerations[key4](cfg.Flows), six: newGenerations[key6](cfg.Flows)}
}

// Packet takes a UDP or TCP packet and reports whether it is the one to be looked at: false for a copy from another interface.
func (t *Table) Packet(p *frame.Packet) bool {
	if p.Src.Addr().Is4() {
		return look(t, &t.four, newKey4(p.Src, p.Dst, p.Kind), newKey4(p.Dst, p.Src, p.Kind), p)
	}
	return look(t, &t.six, newKey6(p.Src, p.Dst, p.Kind), newKey6(p.Dst, p.Src, p.Kind), p)
}

// look is Packet, for the flow there and the one back.
func look[K comparable](t *Table, flows *generations[K], there, back K, p *frame.Packet) bool {
	s, young := flows.find(there)
	was := s
	now := uint32(p.Time.Unix())
	idle := uint32(t.cfg.Idle / time.Second)
	fresh := s.last == 0 || now > s.last && now-s.last > idle
	if s.last == 0 {
		s.place = p.Place
	}
	if s.place != p.Place {
		// A new connection, or one whose interface has gone, may come another way.
		if moved := now > s.last && now-s.last > movedAfter || now+1 < s.last; !moved {
			t.Counts.Copies++
			if !young {
				flows.keep(there, s)
			}
			return false
		}
		s.place = p.Place
	}
	s.last = now
	opens := p.Kind == frame.TCP && p.Has(frame.SYN)
	switch {
	case p.Kind == frame.UDP && fresh:
		if b, _ := flows.find(back); b.last == 0 || now > b.last && now-b.last > idle {
			t.start(p, "udp", p.Src, p.Dst)
		}
	case opens && !p.Has(frame.ACK) && !p.Has(frame.RST) && (!s.told || s.seq != p.Seq):
		s.told, s.seq = true, p.Seq
		t.start(p, "tcp", p.Src, p.Dst)
	case opens && p.Has(frame.ACK) && (!s.answered || s.seq != p.Seq):
		s.answered, s.seq = true, p.Seq
		t.start(p, "tcp-answered", p.Dst, p.Src)
	}
	if !young || s != was { // most packets of a flow change nothing within a second
		flows.keep(there, s)
	}
	return true
}

// movedAfter is how many seconds an interface must be silent before another may speak for a flow.
const movedAfter = 2

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
