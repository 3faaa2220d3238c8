package load

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// swarm is many readers on one thread: one epoll loop, level triggered, so that one
// packet costs one receive. Each transfer has a new socket, as each boot of a real
// client has.
type swarm struct {
	spec     Spec
	pattern  *Pattern
	result   Result
	epoll    int
	ports    *ports
	clients  []client
	requests [][]byte // by name
	server   unix.RawSockaddrInet4
	packet   []byte
	start    time.Time
	took     []uint32
	live     int // clients with a transfer
	holding  int // of Slow: clients that have their first block
	stop     atomic.Bool
}

// client is one of them. Times are since the start of the run.
type client struct {
	reader
	fd         int
	generation int32 // tells a packet for this socket from one for its predecessor
	peer       unix.RawSockaddrInet4
	known      bool // peer is the server's port for this transfer
	held       bool // the ACK waits for deadline
	began      time.Duration
	deadline   time.Duration
	turn       int // transfers begun
	silent     int // timeouts in a row
}

// sweepEvery is how exactly deadlines are met.
const sweepEvery = 10 * time.Millisecond

func runMany(s Spec, gate Gate) (Result, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return Result{}, fmt.Errorf("open epoll: %w", err)
	}
	defer func() { _ = unix.Close(epoll) }()
	w := &swarm{
		spec: s, pattern: NewPattern(), epoll: epoll, ports: newPorts(), clients: make([]client, s.Clients),
		server: rawAddress(s.Server), packet: make([]byte, room(s.Block)), took: make([]uint32, 0, 1<<20),
	}
	for _, name := range s.Names {
		w.requests = append(w.requests, request(opRead, name, s.Block, s.Window))
	}
	defer w.close()
	for i := range w.clients {
		w.clients[i].fd = -1
		if err := w.open(i); err != nil {
			return Result{}, err
		}
	}
	if s.Kind == Slow {
		gate("ready")
	}
	used := processorTime()
	w.start = time.Now()
	for i := range w.clients {
		w.begin(i)
	}
	if err := w.loop(gate); err != nil {
		return Result{}, err
	}
	w.result.Elapsed = time.Since(w.start)
	w.result.CPU = processorTime() - used
	w.result.rank(w.took)
	return w.result, nil
}

func (w *swarm) close() {
	for i := range w.clients {
		if c := &w.clients[i]; c.fd >= 0 {
			if c.known {
				sendTo(c.fd, giveUp(), &c.peer)
			}
			_ = unix.Close(c.fd) // a UDP socket: nothing waits to be written
		}
	}
}

// open gives client i a new socket.
func (w *swarm) open(i int) error {
	c := &w.clients[i]
	if c.fd >= 0 {
		_ = unix.Close(c.fd)
		c.fd = -1
	}
	fd, err := w.ports.open(unix.SOCK_NONBLOCK, w.spec.ReceiveBuffer)
	if err != nil {
		return err
	}
	c.fd = fd
	c.generation++
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i), Pad: c.generation}
	if err := unix.EpollCtl(w.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return fmt.Errorf("watch socket: %w", err)
	}
	return nil
}

// begin sends the first request of client i's next transfer.
func (w *swarm) begin(i int) {
	c := &w.clients[i]
	c.reader = newReader(&w.spec, w.pattern)
	c.known, c.held, c.silent = false, false, 0
	c.began = time.Since(w.start)
	c.deadline = c.began + w.spec.Timeout
	w.live++
	c.turn++
	sendTo(c.fd, w.request(i), &w.server)
}

// request is what client i asks for; it changes with each of its transfers.
func (w *swarm) request(i int) []byte {
	return w.requests[(i+(w.clients[i].turn-1)*len(w.clients))%len(w.requests)]
}

func (w *swarm) loop(gate Gate) error {
	events := make([]unix.EpollEvent, 256)
	sweep := sweepEvery
	for w.live > 0 && !w.stop.Load() {
		n, err := unix.EpollWait(w.epoll, events, int(sweepEvery/time.Millisecond))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for packets: %w", err)
		}
		for i := range max(n, 0) {
			if c := &w.clients[events[i].Fd]; c.generation == events[i].Pad && c.fd >= 0 {
				if err := w.receive(int(events[i].Fd)); err != nil {
					return err
				}
			}
		}
		if now := time.Since(w.start); now >= sweep {
			sweep = now + sweepEvery
			if err := w.sweep(now); err != nil {
				return err
			}
		}
		if w.spec.Kind == Slow && w.holding == len(w.clients) {
			w.holding = -1
			go func() {
				gate("holding")
				w.stop.Store(true)
			}()
		}
	}
	return nil
}

func (w *swarm) receive(i int) error {
	c := &w.clients[i]
	var from unix.RawSockaddrInet4
	n, errno := receiveFrom(c.fd, w.packet, &from)
	if errno != 0 {
		return nil
	}
	if c.known && (from.Port != c.peer.Port || from.Addr != c.peer.Addr) {
		return nil
	}
	if !c.known && !opens(w.packet[:n]) {
		return nil // late, for an earlier socket that had this port
	}
	c.peer, c.known, c.silent = from, true, 0
	first := c.got == 0
	step := c.take(w.packet[:n])
	if w.spec.Kind == Slow && first && c.got > 0 && w.holding >= 0 {
		w.holding++
	}
	now := time.Since(w.start)
	switch step {
	case wait:
	case answer:
		if w.spec.Kind == Slow && c.got > 0 {
			c.held, c.deadline = true, now+w.spec.Pace
			return nil
		}
		sendTo(c.fd, c.ack[:], &c.peer)
		c.deadline = now + w.spec.Timeout
	case done:
		sendTo(c.fd, c.ack[:], &c.peer)
		w.took = append(w.took, uint32((now - c.began).Microseconds()))
		w.result.Transfers++
		return w.next(i, now)
	case broken:
		w.result.fail(c.err)
		return w.next(i, now)
	}
	return nil
}

// next ends client i's transfer and begins the one after it, if the run goes on.
func (w *swarm) next(i int, now time.Duration) error {
	c := &w.clients[i]
	w.result.Bytes += c.got
	w.result.Gaps += c.gaps
	w.live--
	over := w.spec.Transfers > 0 && c.turn >= w.spec.Transfers ||
		w.spec.Duration > 0 && now >= w.spec.Duration
	if over {
		_ = unix.Close(c.fd)
		c.fd = -1
		return nil
	}
	if err := w.open(i); err != nil {
		return err
	}
	w.begin(i)
	return nil
}

// sweep repeats what had no answer in time and sends the ACKs that were held back.
func (w *swarm) sweep(now time.Duration) error {
	late := w.spec.Limit > 0 && now > w.spec.Limit
	for i := range w.clients {
		c := &w.clients[i]
		if c.fd < 0 || now < c.deadline && !late {
			continue
		}
		var err error
		switch {
		case late:
			err = w.drop(i, now, errLimit)
		case c.held:
			c.held, c.deadline = false, now+w.spec.Timeout
			sendTo(c.fd, c.ack[:], &c.peer)
		case c.silent >= tries:
			err = w.drop(i, now, errSilent)
		default:
			w.repeat(i, now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *swarm) drop(i int, now time.Duration, why error) error {
	c := &w.clients[i]
	if c.known {
		sendTo(c.fd, giveUp(), &c.peer)
	}
	w.result.fail(why)
	return w.next(i, now)
}

func (w *swarm) repeat(i int, now time.Duration) {
	c := &w.clients[i]
	c.silent++
	c.deadline = now + w.spec.Timeout
	if !c.known {
		w.result.LostRequests++
		sendTo(c.fd, w.request(i), &w.server)
		return
	}
	w.result.Timeouts++
	putAck(&c.ack, c.next-1)
	c.asked, c.run = false, 0
	sendTo(c.fd, c.ack[:], &c.peer)
}

// rank fills in the percentiles of times in microseconds.
func (r *Result) rank(took []uint32) {
	if len(took) == 0 {
		return
	}
	slices.Sort(took)
	at := func(percent int) time.Duration {
		i := min(len(took)*percent/100, len(took)-1)
		return time.Duration(took[i]) * time.Microsecond
	}
	r.P50, r.P90, r.P99, r.Max = at(50), at(90), at(99), at(100)
}
