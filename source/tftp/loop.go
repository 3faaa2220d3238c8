package tftp

import (
	"runtime"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/source/tftp/content"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/halfopen"
	"tallyman/source/tftp/lane"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/record"
	"tallyman/source/tftp/udp"
	"tallyman/source/tftp/wheel"
)

const (
	requestBatch = 64
	packetBatch  = 64
	// smallPacket holds an ACK or an ERROR with its text; what is longer loses its end.
	smallPacket = 576
	// uploadArena is where DATA arrives, of all uploads in turn.
	uploadArena = 1 << 20
	// scratchSize is the longest piece of a file read at once: a window, or one block of the largest size.
	scratchSize = 128 << 10
	mostLate    = 64 // packets taken off a lane before a fault counts
	// descriptorsSpare are left to the rest of the program.
	descriptorsSpare = 256
	requestToken     = 1 << 63 // marks request ports among the events; lanes count from 0 in the lower half
	// mostTransfers bounds the memory of what runs at one time, wherever the limit of descriptors lies.
	mostTransfers = 1 << 16
)

// loop serves all transfers on one goroutine: packets, deadlines and the
// answers of workers come in, packets and evidence go out.
type loop struct {
	*Server
	engine engine.Config
	scribe *record.Scribe

	poll    *udp.Poll
	mailbox *udp.Mailbox[mail]
	workers *content.Workers
	opener  *content.Opener
	lanes   *lane.Lanes[transfer]
	table   table
	wheel   wheel.Wheel[transfer]
	half    *halfopen.Table[transfer]

	requests, acks, uploads *udp.Inbox
	outbox                  *udp.Outbox
	scratch                 []byte
	packet                  [smallPacket]byte
	from                    udp.Addr

	limited, illegible, outside, refused record.Flood
	outsiders, refusals                  record.Quota
	gone                                 []*transfer // in this turn

	origin    time.Time
	now       time.Duration // since origin, of this turn
	active    int           // transfers in the table
	settled   int           // of them: stored uploads that only dally
	most      int           // transfers that the descriptors suffice for
	long      int           // long lockstep reads
	threads   map[*thread]struct{}
	uploading int  // uploads that are not stored or removed yet
	windowed  int  // of them: those that are worth gathering for
	quick     int  // above 0: packets came within vigil lately
	gathering bool // one of them is midway in a window
	stopping  atomic.Bool
	until     time.Duration // end of the drain, once it has begun
	draining  bool
	overdue   bool // the time is up, or only dallies are left
}

func newLoop(s *Server, to tallyman.Recorder) (*loop, error) {
	poll, err := udp.NewPoll()
	if err != nil {
		return nil, err
	}
	l := &loop{
		Server: s, engine: s.cfg.engine(), scribe: record.New(to, s.host, s.proc), poll: poll, mailbox: udp.NewMailbox[mail](poll), opener: content.NewOpener(s.files),
		lanes: lane.New[transfer](poll), table: table{}, half: halfopen.New[transfer](), threads: map[*thread]struct{}{},
		requests: udp.NewInbox(requestBatch, requestBatch*(packet.MaxRequest+1)),
		acks:     udp.NewInbox(packetBatch, packetBatch*smallPacket),
		uploads:  udp.NewInbox(packetBatch, uploadArena),
		outbox:   udp.NewOutbox(), scratch: make([]byte, scratchSize),
		limited:   record.Flood{Reason: tallyman.RateLimited, What: "requests beyond the bound of unanswered transfers"},
		illegible: record.Flood{Reason: tallyman.BadRequest, What: "requests that cannot be read"},
		outside:   record.Flood{Reason: tallyman.NotAllowed, What: "requests of addresses that are not allowed"},
		refused:   record.Flood{Reason: tallyman.RateLimited, What: "refused requests beyond what is recorded singly"},
		outsiders: record.Quota{Most: 512}, refusals: record.Quota{Most: 50_000},
		origin: time.Now(),
		most:   min(max(1, (udp.Descriptors()-descriptorsSpare)/2), mostTransfers),
	}
	for i := range s.ports {
		if err := poll.Add(s.ports[i].Socket, requestToken+uint64(i)); err != nil {
			poll.Close()
			return nil, err
		}
	}
	l.workers = content.Start(mostUploads, to, func(j content.Job) { l.mailbox.Put(mail{job: j}) })
	return l, nil
}

// run turns until the server is stopped and everything has ended.
func (l *loop) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	udp.PreciseNaps()
	for !l.drained() {
		n := l.wait()
		l.now = time.Since(l.origin)
		woken := false
		for i := range n {
			e, ok := l.poll.Event(i)
			switch {
			case !ok:
				woken = true
			case e.Token >= requestToken:
				l.receiveRequests(&l.ports[e.Token-requestToken])
			default:
				if a := l.lanes.At(e.Token); a != nil {
					l.receive(a, e.Fault)
				}
			}
		}
		if woken {
			l.readMail()
		}
		for t := l.wheel.Next(l.now); t != nil; t = l.wheel.Next(l.now) {
			l.tick(t)
		}
		l.endGone()
		l.tellFloods(false)
		if l.stopping.Load() {
			l.drain()
		}
		if l.gathering {
			udp.Nap(gatherFor)
		}
		l.gathering = false
	}
	l.tellFloods(true)
}

// wait waits for packets, and returns how many events there are. As a thread does, it looks out for those of one upload
// alone as long as they come quickly.
func (l *loop) wait() int {
	if !l.alone() {
		return l.poll.Wait(l.patience())
	}
	if l.quick > 0 {
		if n := l.poll.Soon(vigil); n > 0 {
			l.quick = quickRounds
			return n
		}
		l.quick--
	}
	began := time.Now()
	n := l.poll.Wait(l.patience())
	if n > 0 && time.Since(began) < vigil {
		l.quick = quickRounds
	}
	return n
}

// patience is how long the loop may wait for packets.
func (l *loop) patience() time.Duration {
	d := l.wheel.Wait(l.now)
	if l.draining && !l.overdue && (d < 0 || l.until-l.now < d) {
		d = max(0, l.until-l.now)
	}
	return d
}

// drain stops taking requests and, when the time is up, ends what still runs.
// An upload that a worker is storing is waited for: it ends by itself.
func (l *loop) drain() {
	if !l.draining {
		l.draining, l.until = true, l.now+l.cfg.Drain
		l.Close()
	}
	if !l.overdue && l.now < l.until && l.active > l.settled {
		return
	}
	l.overdue = true
	l.recallThreads()
	for _, t := range l.table.all() {
		if t.thread == nil {
			l.perform(t, t.machine().Stop(l.now))
		}
	}
}

func (l *loop) drained() bool { return l.draining && l.active == 0 && l.uploading == 0 }

// close gives back what the loop holds, after run.
func (l *loop) close() {
	l.workers.Stop()
	l.lanes.Close()
	l.poll.Close()
}

// receive takes packets off a lane, one in lockstep or a batch, and reports
// whether there were any.
func (l *loop) receive(a *lane.Lane[transfer], fault bool) bool {
	if fault {
		l.noteFaults(a)
	}
	t := a.Solo
	if t == nil || t.op == tallyman.OpPut && t.grant.Window > 1 {
		return l.receiveMany(a)
	}
	buf := l.packet[:]
	if t.op == tallyman.OpPut {
		buf = l.scratch
	}
	n, err := a.Socket.Receive(buf, &l.from)
	if err != nil {
		return false
	}
	p := buf[:min(n, len(buf))]
	if t.peer.Same(&l.from) {
		l.heard(t, p)
	} else {
		l.stranger(a, &l.from, p)
	}
	return true
}

// receiveMany takes a batch: the DATA of an upload, ACKs on a shared lane, or
// all sorts of packets on a single port.
func (l *loop) receiveMany(a *lane.Lane[transfer]) bool {
	inbox := l.acks
	switch t := a.Solo; {
	case a.Port:
		inbox = l.uploads
		inbox.Shape(packet.HeaderLen + max(l.cfg.MaxBlock, packet.MaxRequest) + 1)
	case t != nil:
		inbox = l.uploads
		inbox.Shape(packet.HeaderLen + t.grant.BlockSize + 1) // one more tells a block that is too large
	}
	if _, err := inbox.Receive(a.Socket); err != nil {
		return false
	}
	var in udp.Packet
	for inbox.Next(&in) {
		t := a.Solo
		if t == nil || !t.peer.Same(in.From) {
			t = l.table.on(in.From.AddrPort(), a)
		}
		switch op := packet.Opcode(in.Payload); {
		case a.Port && (t == nil || op == packet.RRQ || op == packet.WRQ):
			if !l.draining {
				l.datagram(&udp.Port{At: a.Self}, &in)
			}
		case t == nil:
			l.stranger(a, in.From, in.Payload)
		default:
			l.heard(t, in.Payload)
		}
	}
	l.opener.Forget()
	if t := a.Solo; t != nil && t.op == tallyman.OpPut {
		l.gather(t)
	}
	return true
}

// heard hands a packet of the client to its transfer. One that came in the same
// batch as the one that gave the transfer to a thread is lost.
func (l *loop) heard(t *transfer, p []byte) {
	if t.thread != nil {
		return
	}
	if !t.heard {
		t.heard = true
		l.half.Give(&t.token, true)
		if t.op == tallyman.OpPut {
			t.tell(l.scribe, l.now)
		}
	}
	l.perform(t, t.machine().Packet(l.now, p))
}

// stranger answers a packet from a foreign port with ERROR 5 (RFC 1350 section
// 4), unless it is an ERROR itself, or nobody uses the lane, or it comes from
// who used it last: that one is late.
func (l *loop) stranger(a *lane.Lane[transfer], from *udp.Addr, p []byte) {
	if a.Users == 0 || a.Last.Same(from) {
		return
	}
	l.counts.Strangers.Add(1)
	if a.Solo != nil {
		a.Solo.strangers++
	}
	if op := packet.Opcode(p); op != packet.ERROR && op != 0 {
		l.sendError(a, from, packet.Error{Code: packet.UnknownTID, Text: "unknown transfer"})
	}
}

// noteFaults remembers the transfers whose clients' ports are closed.
func (l *loop) noteFaults(a *lane.Lane[transfer]) {
	var f udp.Fault
	for a.Socket.Fault(&f) {
		if !f.Gone() {
			continue
		}
		if t := l.table.on(f.About.AddrPort(), a); t != nil {
			l.gone = append(l.gone, t)
		}
	}
}

// endGone ends the transfers that noteFaults remembered, when nothing else is
// under way. What a client said before it closed its port comes first: one that
// sends an ERROR and goes has broken off, and a last ACK makes a read complete.
func (l *loop) endGone() {
	for i := 0; i < len(l.gone); i++ { // more may come
		t := l.gone[i]
		// The first Receive after a fault may fail with its errno (man 7 ip, IP_RECVERR).
		for tries, empty := 0, 0; !t.ended && t.thread == nil && tries < mostLate && empty < 2; tries++ {
			if !l.receive(t.lane, false) {
				empty++
			}
		}
		if !t.ended && t.thread == nil {
			l.perform(t, t.machine().Gone(l.now))
		}
		l.gone[i] = nil
	}
	l.gone = l.gone[:0]
}

// tick does what is due for t by now.
func (l *loop) tick(t *transfer) {
	if t.timer.Due <= l.now {
		if t.tellAt <= l.now {
			t.tell(l.scribe, l.now)
		}
		if m := t.machine(); m.Deadline() <= l.now {
			l.perform(t, m.Tick(l.now))
			return
		}
	}
	l.schedule(t)
}

func (l *loop) schedule(t *transfer) {
	t.timer.Due = min(t.machine().Deadline(), t.tellAt)
	l.wheel.Set(&t.timer)
}

// mail is what others tell the loop: a job that a worker has done, or a
// transfer that a thread gives back and what is left to do for it.
type mail struct {
	job  content.Job
	back *transfer
	do   engine.Do
}

// readMail takes what came.
func (l *loop) readMail() {
	for _, m := range l.mailbox.Take() {
		if m.back != nil {
			l.returned(m.back, m.do)
		} else {
			l.worked(&m.job)
		}
	}
}
