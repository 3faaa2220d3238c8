// Package flow says where network sessions start: the SYN and the SYN/ACK of TCP, the first packet of a UDP flow. It also decides which of
// several interfaces speaks for a flow, since a packet that crosses a bridge, a veth pair or the loopback is captured more than once.
//
// It promises that memory is bounded, and that a session is told once as long as it is among the most recent ones: a packet of it came after at least three
// quarters of the Flows that came last (but for one in a thousand). What a session is good for it leaves to others. It is pure.
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
	Flows int           // how many are remembered, of IPv4 and of IPv6 apart; when full, those that were silent long are forgotten
	Skip  []uint16      // ports of which no flow is told
	Quiet bool          // tell none at all
	Seed  uint64        // whoever does not know it cannot choose which flows are forgotten
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
	four   memory[key4]
	six    memory[key6]
}

// New returns a Table that gives its evidence to out.
func New(cfg Config, out func(tallyman.Evidence)) *Table {
	return &Table{cfg: cfg, out: out, four: newMemory[key4](cfg.Flows, cfg.Seed), six: newMemory[key6](cfg.Flows, cfg.Seed)}
}

// Packet takes a UDP or TCP packet and reports whether it is the one to be looked at: false for a copy from another interface.
func (t *Table) Packet(p *frame.Packet) bool {
	if p.Src.Addr().Is4() {
		return look(t, &t.four, newKey4, p)
	}
	return look(t, &t.six, newKey6, p)
}

// look is Packet, for one version of IP.
func look[K flow](t *Table, flows *memory[K], key func(src, dst netip.AddrPort, kind frame.Kind) K, p *frame.Packet) bool {
	s := flows.take(key(p.Src, p.Dst, p.Kind))
	now, idle := uint32(p.Time.Unix()), uint32(t.cfg.Idle/time.Second)
	if s.last == 0 {
		s.place = p.Place
	}
	if s.place != p.Place {
		// A new connection, or one whose interface has gone, may come another way.
		if gone := now > s.last && now-s.last > movedAfter || now+1 < s.last; !gone {
			t.Counts.Copies++
			return false
		}
		s.place = p.Place
	}
	fresh := silent(s.last, now, idle)
	s.last = now
	opens := p.Kind == frame.TCP && p.Has(frame.SYN)
	switch {
	case p.Kind == frame.UDP && fresh:
		if silent(flows.see(key(p.Dst, p.Src, p.Kind)).last, now, idle) {
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

// silent reports whether nothing came for so many seconds, or ever.
func silent(last, now, seconds uint32) bool {
	return last == 0 || now > last && now-last > seconds
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
