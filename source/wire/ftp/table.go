package ftp

import (
	"crypto/sha256"
	"hash"
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/wire/frame"
)

// Config says how a Table follows sessions.
type Config struct {
	Host     string
	Ports    []uint16         // of control connections
	Sessions int              // how many are followed at once; when full, the one that is worth least is dropped and counted: see leastWorth
	Hash     func() hash.Hash // of contents
	Live     bool             // a data connection that was announced and not seen is a gap, not absent from a capture
}

// Defaults returns the configuration for servers on port 21.
func Defaults() Config { return Config{Ports: []uint16{21}, Sessions: 4096, Hash: sha256.New} }

// Bounds of what a session may hold.
const (
	mostCommands  = 64
	mostTransfers = 16 // that wait for their reply, its acknowledgement or the end of their data
	mostEndpoints = 4
	mostReplies   = 8
	mostConns     = 4 // times Sessions
)

// How long is waited, by packet time.
const (
	idle      = 2 * time.Hour    // a session without a packet, on control and data connection
	livesFor  = time.Second      // a control connection that is still there has lived on
	lostAfter = 2 * time.Second  // a control connection that was lost may still answer
	dataAfter = 65 * time.Second // the data of a transfer that was answered may still come
	quietFor  = 2 * time.Second  // a client that sent nothing for so long, and then does not even acknowledge, has vanished
	muteFor   = 20 * time.Second // a client that sends nothing for so long in a transfer that runs is told of
	aboutThen = time.Second      // servers that spoke within so long may both be meant
	nearby    = 10 * time.Second // how long after the server's words a data connection of a hidden dialogue may come

	dataPatience = 200 * time.Millisecond // a segment that was acknowledged already
)

// Counts says what a Table did.
type Counts struct {
	Sessions uint64
	Dropped  uint64 // sessions, and data connections, for want of room
}

type pair struct{ from, to netip.AddrPort }

// Table follows all sessions. It belongs to one goroutine.
type Table struct {
	Counts    Counts
	cfg       Config
	out       func(tallyman.Evidence)
	sessions  map[pair]*session
	conns     map[pair]*conn
	recent    *conn // of the packet before, if it is in conns and no session has its ends: most packets are of a data connection, one behind the other
	endpoints map[netip.AddrPort]*endpoint
	hidden    map[[2]netip.Addr][]*session // sessions behind TLS, by client and server
	fresh     []*session                   // those of which the client may have said nothing yet, oldest first; some are forgotten already
	ticked    time.Time
}

// New returns a Table that gives its evidence to out.
func New(cfg Config, out func(tallyman.Evidence)) *Table {
	return &Table{
		cfg: cfg, out: out, sessions: map[pair]*session{}, conns: map[pair]*conn{}, endpoints: map[netip.AddrPort]*endpoint{},
		hidden: map[[2]netip.Addr][]*session{},
	}
}

// Open returns how many sessions are followed.
func (t *Table) Open() int { return len(t.sessions) }

// Look has control connections to these ports followed from here on; what runs is followed on.
func (t *Table) Look(ports []uint16) { t.cfg.Ports = ports }

// Follows reports whether a TCP packet with these ends may belong to a session. While there is none, most do not.
func (t *Table) Follows(src, dst netip.AddrPort) bool {
	return len(t.sessions)+len(t.conns)+len(t.endpoints) > 0 || slices.Contains(t.cfg.Ports, src.Port()) || slices.Contains(t.cfg.Ports, dst.Port())
}

// Packet takes a TCP packet and reports whether it belongs to a session.
func (t *Table) Packet(p *frame.Packet) bool {
	there, back := pair{p.Src, p.Dst}, pair{p.Dst, p.Src}
	opens := p.Has(frame.SYN) && !p.Has(frame.ACK)
	if c := t.recent; c != nil && !opens {
		switch {
		case p.Src == c.opener && p.Dst == c.listener:
			c.packet(t, p, 0)
			return true
		case p.Src == c.listener && p.Dst == c.opener:
			c.packet(t, p, 1)
			return true
		}
	}
	if s := t.sessions[there]; s != nil && (!opens || !s.client.Other(p)) {
		s.packet(t, p, true)
		return true
	}
	if s := t.sessions[back]; s != nil {
		s.packet(t, p, false)
		return true
	}
	if c := t.conns[there]; c != nil && (!opens || !c.half[0].Other(p)) {
		t.recent = c
		c.packet(t, p, 0)
		return true
	}
	if c := t.conns[back]; c != nil {
		t.recent = c
		c.packet(t, p, 1)
		return true
	}
	if p.Length == 0 && !p.Has(frame.SYN) || p.Has(frame.RST) {
		return false
	}
	switch {
	case slices.Contains(t.cfg.Ports, p.Dst.Port()):
		t.session(there, p).packet(t, p, true)
	case slices.Contains(t.cfg.Ports, p.Src.Port()):
		t.session(back, p).packet(t, p, false)
	default:
		return t.data(p)
	}
	return true
}

// session begins a session, and ends one of the same ends that went before.
func (t *Table) session(k pair, p *frame.Packet) *session {
	if old := t.sessions[k]; old != nil {
		t.drop(old, "the same ports were used again")
	}
	if len(t.sessions) >= t.cfg.Sessions {
		t.Counts.Dropped++
		t.drop(t.leastWorth(), "too many sessions at once")
	}
	t.Counts.Sessions++
	s := newSession(k.from, k.to, p)
	t.sessions[k] = s
	t.recent = nil
	if len(t.fresh) >= 2*t.cfg.Sessions {
		t.fresh = slices.DeleteFunc(t.fresh, func(s *session) bool { return !t.speechless(s) })
	}
	t.fresh = append(t.fresh, s)
	return s
}

// speechless reports whether the client of a session that is followed has said nothing: a half-open connection, or one that was opened for nothing.
func (t *Table) speechless(s *session) bool {
	return s.client.Next == 0 && t.sessions[pair{s.peer, s.self}] == s
}

// leastWorth is the session that goes first: the oldest whose client has said nothing, so that a flood of connections drives none out on which somebody
// works; else the one that was silent longest, of those without a transfer if there are any.
func (t *Table) leastWorth() *session {
	for len(t.fresh) > 0 {
		s := t.fresh[0]
		t.fresh = t.fresh[1:]
		if t.speechless(s) {
			return s
		}
	}
	var out *session
	for _, s := range t.sessions {
		if out == nil || s.worthLess(out) {
			out = s
		}
	}
	return out
}

func (s *session) worthLess(o *session) bool {
	switch {
	case (len(s.transfers) == 0) != (len(o.transfers) == 0):
		return len(s.transfers) == 0
	case !s.last.Equal(o.last):
		return s.last.Before(o.last)
	default:
		return s.id < o.id
	}
}

// drop ends what runs in a session that is no longer followed.
func (t *Table) drop(s *session, why string) {
	for _, x := range slices.Clone(s.transfers) {
		x.giveUp(t, s.last, why)
	}
	t.forget(s)
}

func (t *Table) forget(s *session) {
	delete(t.sessions, pair{s.peer, s.self})
	k := [2]netip.Addr{s.peer.Addr(), s.self.Addr()}
	if t.hidden[k] = slices.DeleteFunc(t.hidden[k], func(o *session) bool { return o == s }); len(t.hidden[k]) == 0 {
		delete(t.hidden, k)
	}
	for _, e := range s.endpoints {
		t.withdraw(e)
	}
	s.endpoints = nil
	for _, c := range s.queue {
		if c.endpoint != nil && c.endpoint.bounce {
			s.tellBounce(t, c, reply{}) // one of them says it
			return
		}
	}
}

// data takes a packet of a connection that is not yet followed.
func (t *Table) data(p *frame.Packet) bool {
	from, e := 0, t.endpoints[p.Dst]
	k := pair{p.Src, p.Dst}
	if e == nil {
		if e = t.endpoints[p.Src]; e == nil {
			return t.hiddenData(p)
		}
		from, k = 1, pair{p.Dst, p.Src}
	}
	c := t.connect(k, e.session, p)
	c.endpoint = e
	e.attach(c)
	c.packet(t, p, from)
	return true
}

func (t *Table) connect(k pair, s *session, p *frame.Packet) *conn {
	if old := t.conns[k]; old != nil {
		old.over(t, p.Time)
	}
	if len(t.conns) >= mostConns*t.cfg.Sessions {
		t.Counts.Dropped++
		var oldest *conn
		for _, c := range t.conns {
			if oldest == nil || c.last.Before(oldest.last) {
				oldest = c
			}
		}
		oldest.over(t, oldest.last)
	}
	c := &conn{opener: k.from, listener: k.to, session: s, began: p.Time, last: p.Time}
	c.half[0].Patience, c.half[1].Patience = dataPatience, dataPatience
	t.conns[k] = c
	t.recent = nil
	return c
}

// Blind tells that packets were lost: what is absent from now on proves nothing for what runs.
func (t *Table) Blind() {
	for _, s := range t.sessions {
		for _, x := range s.transfers {
			x.blind = true
		}
	}
}

// Tick ends what has stalled. It looks once a second.
func (t *Table) Tick(now time.Time) {
	if d := now.Sub(t.ticked); d >= 0 && d < time.Second {
		return
	}
	t.ticked = now
	for _, c := range t.ordered() {
		if now.Sub(c.last) > idle {
			c.over(t, now)
		}
	}
	for _, s := range t.sorted() {
		s.tick(t, now)
	}
}

// End closes what still runs: the capture is over.
func (t *Table) End(now time.Time) {
	for _, c := range t.ordered() {
		for i := range c.half {
			c.half[i].Close(c.taker(t, i))
		}
		c.settle(t, now)
	}
	for _, s := range t.sorted() {
		s.tick(t, now)
		t.drop(s, "the capture ended")
	}
	for _, c := range t.ordered() {
		c.over(t, now)
	}
}

// sorted lists the sessions in the order in which they began, so that the same packets give the same evidence.
func (t *Table) sorted() []*session {
	out := make([]*session, 0, len(t.sessions))
	for _, s := range t.sessions {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *session) int {
		if c := a.began.Compare(b.began); c != 0 {
			return c
		}
		return compare(a.id, b.id)
	})
	return out
}

func (t *Table) ordered() []*conn {
	out := make([]*conn, 0, len(t.conns))
	for _, c := range t.conns {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *conn) int {
		if c := a.began.Compare(b.began); c != 0 {
			return c
		}
		return compare(a.opener.String()+a.listener.String(), b.opener.String()+b.listener.String())
	})
	return out
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
