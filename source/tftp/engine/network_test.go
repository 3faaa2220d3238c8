package engine

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"

	"tallyman/source/tftp/packet"
)

// network carries packets between one client and one server in virtual time; it loses, doubles and delays them.
type network struct {
	random *rand.Rand
	lose   float64       // share of packets lost, each way
	double float64       // share of packets that arrive twice
	delay  time.Duration // one way
	jitter time.Duration // added at random to a share of the packets, which are overtaken
	late   float64       // that share

	now    time.Duration
	order  int
	flying flight
	sent   int // packets handed in by the server
}

// party is one end of the network.
type party interface {
	arrive(n *network, p []byte)
	tick(n *network)
	deadline() time.Duration
}

// letter is a packet on its way.
type letter struct {
	at       time.Duration
	order    int
	toClient bool
	p        []byte
}

type flight []letter

func (f flight) Len() int      { return len(f) }
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(letter)) }
func (f flight) Less(i, j int) bool {
	return f[i].at < f[j].at || (f[i].at == f[j].at && f[i].order < f[j].order)
}

func (f *flight) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// send takes p, which must not be changed any more.
func (n *network) send(toClient bool, p []byte) {
	if toClient {
		n.sent++
	}
	copies := 1
	if n.random.Float64() < n.double {
		copies = 2
	}
	for range copies {
		if n.random.Float64() < n.lose {
			continue
		}
		at := n.now + n.delay
		if n.jitter > 0 && n.random.Float64() < n.late {
			at += time.Duration(n.random.Int64N(int64(n.jitter)))
		}
		n.order++
		heap.Push(&n.flying, letter{at, n.order, toClient, p})
	}
}

// run plays until both ends wait for nothing. It fails when that does not come within an hour of virtual time.
func (n *network) run(t testing.TB, client, server party) {
	t.Helper()
	for {
		next := min(client.deadline(), server.deadline())
		if len(n.flying) > 0 && n.flying[0].at <= next {
			l := heap.Pop(&n.flying).(letter)
			n.now = max(n.now, l.at)
			if l.toClient {
				client.arrive(n, l.p)
			} else {
				server.arrive(n, l.p)
			}
			continue
		}
		if next == Never {
			return
		}
		n.now = max(n.now, next)
		if client.deadline() <= n.now {
			client.tick(n)
		}
		if server.deadline() <= n.now {
			server.tick(n)
		}
		if n.now > time.Hour {
			t.Fatal("the transfer does not end")
		}
	}
}

// server drives one machine as the real driver does: the requests of the client, its packets, and the ticks.
type server struct {
	t       testing.TB
	cfg     Config
	content []byte // served, or stored so far
	slow    time.Duration

	machine machine // nil before the request
	read    *Read
	write   *Write
	grant   Grant
	whole   bool          // an upload was stored
	storing time.Duration // when the upload will be stored
}

func (s *server) arrive(n *network, p []byte) {
	if req, err := packet.ParseRequest(p); err == nil {
		if s.machine != nil {
			s.act(n, s.machine.Repeat(n.now))
			return
		}
		size := int64(-1)
		if req.Op == packet.RRQ {
			size = int64(len(s.content))
		}
		s.grant, _ = Negotiate(req, s.cfg, size)
		s.storing = Never
		if req.Op == packet.RRQ {
			s.read = &Read{}
			s.machine = s.read
		} else {
			s.write = &Write{}
			s.machine = s.write
		}
		do := s.machine.Start(n.now, s.grant, s.cfg)
		if s.read != nil {
			s.read.Final(s.grant.LastBlock(size))
		}
		s.act(n, do)
		return
	}
	if s.machine != nil {
		s.act(n, s.machine.Packet(n.now, p))
	}
}

func (s *server) tick(n *network) {
	if s.write != nil && n.now >= s.storing {
		s.storing = Never
		s.whole = true
		s.act(n, s.write.Stored(n.now))
		return
	}
	s.act(n, s.machine.Tick(n.now))
}

func (s *server) deadline() time.Duration {
	if s.machine == nil {
		return Never
	}
	return min(s.machine.Deadline(), s.storing)
}

// act does what the machine says, and checks that it may be done.
func (s *server) act(n *network, do Do) {
	s.content = append(s.content, do.Store...)
	if do.Last {
		s.storing = n.now + s.slow
	}
	if do.OACK {
		n.send(true, s.grant.AppendOACK(nil))
	}
	for block := do.From; block < do.From+uint64(do.Count); block++ {
		size := uint64(s.grant.BlockSize)
		from := (block - 1) * size
		if block == 0 || from > uint64(len(s.content)) {
			s.t.Fatalf("DATA %d of %d octets does not exist", block, len(s.content))
		}
		payload := s.content[from:min(from+size, uint64(len(s.content)))]
		n.send(true, append(packet.AppendData(nil, uint16(block)), payload...))
	}
	if do.Count > s.grant.Window {
		s.t.Fatalf("%d blocks in a window of %d", do.Count, s.grant.Window)
	}
	if do.Ack {
		n.send(true, packet.AppendAck(nil, do.AckBlock))
	}
	if do.SendError {
		n.send(true, packet.AppendError(nil, do.Error))
	}
	if do.Done && s.machine.Outcome().Reason == "" {
		s.t.Fatal("ended without a reason")
	}
}

// client is what the two client models share: they repeat their newest packet, or their request, by a timer of
// their own, and give up after so many repetitions without progress.
type client struct {
	request   packet.Request
	interval  time.Duration
	tries     int // repetitions without progress
	blockSize int
	window    uint64
	content   []byte // received, or to be sent

	due      time.Duration
	left     int
	answered bool // the server has answered
	whole    bool // the client takes the transfer for whole
	failed   bool // it gave up or was told so
}

func (c *client) deadline() time.Duration { return c.due }

// start sends the request.
func (c *client) start(n *network) {
	c.left = c.tries
	c.say(n, packet.AppendRequest(nil, c.request))
}

func (c *client) say(n *network, p []byte) {
	n.send(false, p)
	c.due = n.now + c.interval
}

// agree takes the options of an OACK.
func (c *client) agree(options packet.Options) {
	if n, ok := number(options, "blksize", 8, 65464); ok {
		c.blockSize = int(n)
	}
	if n, ok := number(options, "windowsize", 1, 65535); ok {
		c.window = uint64(n)
	}
}

// expire counts a repetition; false: the client gives up.
func (c *client) expire() bool {
	c.left--
	if c.left >= 0 {
		return true
	}
	c.failed = c.failed || !c.whole
	c.due = Never
	return false
}

// reader is a correct client of RFC 1350 and RFC 7440 that reads.
type reader struct {
	client
	got, acked uint64
	gap        bool
	last       bool // the short block has come
}

func (r *reader) arrive(n *network, p []byte) {
	if r.failed {
		return
	}
	if options, ok := packet.ParseOACK(p); ok && r.got == 0 {
		r.answered = true
		r.agree(options)
		r.ack(n)
		return
	}
	block, payload, ok := packet.ParseData(p)
	if !ok {
		return
	}
	r.answered = true
	switch {
	case block == uint16(r.got+1) && !r.last:
		r.got++
		r.gap = false
		r.left = r.tries
		r.content = append(r.content, payload...)
		r.last = len(payload) < r.blockSize
		r.whole = r.last
		if r.last || r.got-r.acked >= r.window {
			r.ack(n)
		} else {
			r.due = n.now + r.interval
		}
	case r.last || r.window == 1:
		r.ack(n) // RFC 1350: a repeated DATA asks for its ACK
	case !r.gap:
		r.gap = true
		r.ack(n) // RFC 7440: the last good block at once
	}
}

func (r *reader) ack(n *network) {
	r.acked = r.got
	r.say(n, packet.AppendAck(nil, uint16(r.got)))
}

func (r *reader) tick(n *network) {
	switch {
	case !r.expire():
	case !r.answered:
		r.say(n, packet.AppendRequest(nil, r.request))
	case r.last:
		r.due = n.now + r.interval // dallies: answers repetitions, repeats nothing
	default:
		r.gap = false
		r.ack(n)
	}
}

// writer is a correct client that writes. An eager one answers a duplicate ACK with DATA, as tftp-hpa does.
type writer struct {
	client
	eager bool
	base  uint64 // last block acknowledged
	sent  uint64
}

func (w *writer) arrive(n *network, p []byte) {
	if _, _, ok := packet.ParseError(p); ok {
		w.failed, w.due = !w.whole, Never
	}
	if w.failed || w.whole {
		return
	}
	if options, ok := packet.ParseOACK(p); ok && !w.answered {
		w.agree(options)
		w.answered = true
		w.flight(n)
		return
	}
	block, ok := packet.ParseAck(p)
	ahead := uint64(block - uint16(w.base))
	switch {
	case !ok:
	case !w.answered && block == 0 && len(w.request.Options) == 0:
		w.answered = true
		w.flight(n)
	case !w.answered || ahead > w.sent-w.base:
	case ahead == 0:
		if w.eager {
			w.flight(n)
		}
	default:
		w.base += ahead
		w.left = w.tries
		if w.base == w.last() {
			w.whole, w.due = true, Never
			return
		}
		w.flight(n)
	}
}

func (w *writer) last() uint64 { return uint64(len(w.content)/w.blockSize) + 1 }

func (w *writer) flight(n *network) {
	for block := w.base + 1; block <= min(w.base+w.window, w.last()); block++ {
		from := int(block-1) * w.blockSize
		payload := w.content[from:min(from+w.blockSize, len(w.content))]
		w.say(n, append(packet.AppendData(nil, uint16(block)), payload...))
		w.sent = max(w.sent, block)
	}
}

func (w *writer) tick(n *network) {
	switch {
	case !w.expire():
	case !w.answered:
		w.say(n, packet.AppendRequest(nil, w.request))
	default:
		w.flight(n)
	}
}

// content is bytes that differ from block to block, and with the seed.
func content(seed uint64, size int) []byte {
	p := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8)}).Read(p) // never fails (its documentation)
	return p
}
