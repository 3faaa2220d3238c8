package tftp

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tallyman/source/tftp/content"
	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/record"
	"tallyman/source/tftp/udp"
)

const (
	// longRead is how many blocks make a lockstep read a long one.
	longRead = 128
	// mostThreads is how many long lockstep reads have a thread each. Lockstep is
	// all waiting: a thread that sleeps in its own socket is woken for less than a
	// loop that watches many. With more of them the loop does more for one waking.
	mostThreads = 2
	// quietLoad is how many transfers may run beside them when they get it.
	quietLoad = 16
	// A thread wakes at least so often, so that it hears when it is called back.
	longestNap  = 500 * time.Millisecond
	shortestNap = time.Millisecond
	// vigil is how long a thread looks out for the answer of a quick client before it sleeps. To sleep and to be
	// woken by another processor takes as long.
	vigil = 60 * time.Microsecond
	// quickRounds is after how many answers that were late in a row a client is not taken for a quick one any more.
	quickRounds = 4
)

// thread serves one lockstep read. The transfer and its lane are the thread's
// until they come back through the mailbox; the loop keeps them in the table
// and touches nothing else of them.
type thread struct {
	l      *loop
	t      *transfer
	scribe *record.Scribe
	recall atomic.Bool // the loop wants the transfer back
	ahead  *content.Ahead
	nap    time.Duration // how long the lane waits for a packet
	quick  int           // above 0: the client answered within vigil lately
}

// promote gives a long lockstep read a thread while there are few of them; it
// calls the threads back when there are more.
func (l *loop) promote(t *transfer) {
	if !t.long {
		t.long = true
		l.long++
	}
	if l.long > mostThreads {
		l.recallThreads()
		return
	}
	if l.active > quietLoad || t.lane.Users > 1 || t.lane.Port || l.draining {
		return
	}
	h := &thread{l: l, t: t, scribe: l.scribe.Another()}
	l.threads[h] = struct{}{}
	t.thread, t.lane.Held = h, true
	l.wheel.Remove(&t.timer)
	l.poll.Remove(t.lane.Socket)
	go h.run()
}

func (l *loop) recallThreads() {
	for h := range l.threads {
		h.recall.Store(true)
	}
}

// returned takes a transfer back and does what its thread left to do.
func (l *loop) returned(t *transfer, do engine.Do) {
	delete(l.threads, t.thread)
	t.thread, t.lane.Held = nil, false
	if err := l.poll.Add(t.lane.Socket, t.lane.Token()); err != nil {
		do = t.refuse(l.now, content.RefusalOf(err))
	}
	l.perform(t, do)
}

func (h *thread) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	h.l.mailbox.Put(mail{back: h.t, do: h.serve()})
}

// serve answers the client until the machine ends, something unusual happens
// or the loop calls, and returns what is left to do.
func (h *thread) serve() engine.Do {
	t := h.t
	h.ahead = content.NewAhead(&t.source, t.grant.BlockSize)
	var in [smallPacket]byte
	var from udp.Addr
	now := time.Since(h.l.origin)
	for !h.recall.Load() {
		n, err := h.receive(now, in[:], &from)
		now = time.Since(h.l.origin)
		if now >= t.tellAt {
			t.tell(h.scribe, now)
		}
		var do engine.Do
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR): // EINTR despite SA_RESTART: man 7 signal, of SO_RCVTIMEO
			do = t.read.Tick(now)
		case err != nil:
			return engine.Do{} // an earlier packet met a fault, which the loop finds in the queue
		case !t.peer.Same(&from):
			h.l.stranger(t.lane, &from, in[:min(n, len(in))])
		default:
			do = t.read.Packet(now, in[:min(n, len(in))])
		}
		if do.Done || do.Count > 0 && !h.send(do.From) {
			return do
		}
	}
	return engine.Do{}
}

// receive waits for a packet. Who answers within the time that it takes to put a thread to sleep and to wake it is
// awaited awake: on a fast network that is most of a round.
func (h *thread) receive(now time.Duration, buf []byte, from *udp.Addr) (int, error) {
	if h.quick > 0 {
		n, err := h.t.lane.Socket.ReceiveSoon(buf, from, vigil)
		if !errors.Is(err, unix.EAGAIN) {
			h.quick = quickRounds
			return n, err
		}
		h.quick--
	}
	h.setNap(now)
	n, err := h.t.lane.Socket.ReceiveWait(buf, from)
	if time.Since(h.l.origin)-now < vigil {
		h.quick = quickRounds
	}
	return n, err
}

// send sends one block, false when the loop has to try.
func (h *thread) send(block uint64) bool {
	var head [packet.HeaderLen]byte
	packet.AppendData(head[:0], uint16(block))
	p, err := h.ahead.Packet(head, block)
	if err != nil || h.t.lane.Socket.Send(p, &h.t.peer) != nil {
		return false
	}
	h.ahead.Sum()
	return true
}

// setNap makes the lane wait about as long as the machine does. It is a system
// call, so that small changes are let be: then Tick is a little early and does nothing, or late.
func (h *thread) setNap(now time.Duration) {
	left := min(max(h.t.read.Deadline()-now, shortestNap), longestNap)
	if left > 2*h.nap || left < h.nap/2 {
		if h.t.lane.Socket.Timeout(left) == nil {
			h.nap = left
		}
	}
}
