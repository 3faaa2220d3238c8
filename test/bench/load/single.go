package load

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// tries is how often in a row a packet is repeated before a transfer has failed.
const tries = 20

var (
	errSilent = errors.New("no answer")
	errLimit  = errors.New("given up at the limit of the run")
)

// single is one client on a thread of its own, with one transfer at a time.
type single struct {
	spec    Spec
	pattern *Pattern
	result  Result
	start   time.Time
	took    []uint32
	ports   *ports
	fd      int
	in, out *batch
	silent  int       // timeouts in a row
	waiting time.Time // since when, once a signal has interrupted the wait; else zero
}

func runSingle(s Spec) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	count := min(max(s.Window, 1), 64)
	c := &single{spec: s, pattern: NewPattern(), ports: newPorts(), took: make([]uint32, 0, 1<<16)}
	c.in = newBatch(count, room(s.Block))
	c.out = newBatch(max(s.Window, 1), 0)
	used := processorTime()
	c.start = time.Now()
	for n := 0; c.goesOn(n); n++ {
		if err := c.one(n); err != nil {
			c.result.fail(err)
			if c.result.Failed > 10 {
				break
			}
		}
	}
	c.result.Elapsed = time.Since(c.start)
	c.result.CPU = processorTime() - used
	c.result.rank(c.took)
	return c.result, nil
}

func (c *single) goesOn(n int) bool {
	if c.spec.Transfers > 0 && n >= c.spec.Transfers {
		return false
	}
	return c.spec.Duration <= 0 || time.Since(c.start) < c.spec.Duration
}

// one makes the n-th transfer. An error is why it was not whole.
func (c *single) one(n int) error {
	fd, err := c.ports.open(0, c.spec.ReceiveBuffer)
	if err != nil {
		return err
	}
	c.fd = fd
	defer func() { _ = unix.Close(fd) }() // a UDP socket: nothing waits to be written
	if err := setReceiveTimeout(fd, c.spec.Timeout); err != nil {
		return err
	}
	if c.spec.Touch != "" {
		now := time.Now()
		if err := os.Chtimes(c.spec.Touch, now, now); err != nil {
			return fmt.Errorf("touch the file: %w", err)
		}
	}
	began := time.Now()
	if c.spec.Kind == Write {
		err = c.write(fmt.Sprintf("%s-%d", c.spec.Names[0], n))
	} else {
		err = c.read(c.spec.Names[n%len(c.spec.Names)])
	}
	if err != nil {
		return err
	}
	c.took = append(c.took, uint32(time.Since(began).Microseconds()))
	c.result.Transfers++
	return nil
}

// ask sends a request until something comes back, and connects to where it came from.
func (c *single) ask(request []byte) ([]byte, error) {
	server := rawAddress(c.spec.Server)
	sendTo(c.fd, request, &server)
	packet := make([]byte, room(c.spec.Block))
	for c.silent = 0; ; {
		n, errno := receiveFrom(c.fd, packet, &server)
		if errno == 0 {
			c.waiting = time.Time{}
			return packet[:n], connect(c.fd, &server)
		}
		server = rawAddress(c.spec.Server)
		again, err := c.silence(errno, &c.result.LostRequests)
		if err != nil {
			return nil, err
		}
		if again {
			sendTo(c.fd, request, &server)
		}
	}
}

// silence judges why no packet came: again says that the timer ran out, so that the
// last packet is to be repeated.
func (c *single) silence(errno unix.Errno, count *int) (again bool, err error) {
	switch {
	case errno == unix.EINTR && c.waiting.IsZero():
		c.waiting = time.Now()
		return false, nil
	case errno == unix.EINTR && time.Since(c.waiting) < c.spec.Timeout:
		return false, nil // the kernel starts SO_RCVTIMEO anew
	case errno == unix.ECONNREFUSED:
		return false, nil // an ICMP error overtakes packets that are there, man 7 ip
	case errno != unix.EINTR && errno != unix.EAGAIN:
		return false, fmt.Errorf("receive: %w", errno)
	}
	c.waiting = time.Time{}
	*count++
	c.silent++
	if c.silent > tries {
		return false, errSilent
	}
	if c.late() {
		return false, errLimit
	}
	return true, nil
}

func (c *single) late() bool {
	return c.spec.Limit > 0 && time.Since(c.start) > c.spec.Limit
}

func (c *single) read(name string) error {
	r := newReader(&c.spec, c.pattern)
	defer func() { c.result.Bytes += r.got; c.result.Gaps += r.gaps }()
	first, err := c.ask(request(opRead, name, c.spec.Block, c.spec.Window))
	if err != nil {
		return err
	}
	if end, err := c.step(&r, first); end {
		return err
	}
	for {
		n, errno := c.in.receive(c.fd)
		if errno != 0 {
			again, err := c.silence(errno, &c.result.Timeouts)
			if err != nil {
				sendTo(c.fd, giveUp(), nil)
				return err
			}
			if again {
				r.asked, r.run = false, 0
				putAck(&r.ack, r.next-1)
				sendTo(c.fd, r.ack[:], nil)
			}
			continue
		}
		c.silent, c.waiting = 0, time.Time{}
		for i := range n {
			if end, err := c.step(&r, c.in.packet(i)); end {
				return err
			}
		}
		if c.late() {
			sendTo(c.fd, giveUp(), nil)
			return errLimit
		}
	}
}

// step hands the reader a packet and sends what it answers; end says that it is over.
func (c *single) step(r *reader, packet []byte) (end bool, err error) {
	switch r.take(packet) {
	case wait:
	case answer:
		sendTo(c.fd, r.ack[:], nil)
	case done:
		sendTo(c.fd, r.ack[:], nil)
		return true, nil
	case broken:
		sendTo(c.fd, giveUp(), nil)
		return true, r.err
	}
	return false, nil
}

func (c *single) write(name string) error {
	w := newWriter(&c.spec)
	defer func() {
		c.result.Bytes += min(w.acked*int64(w.block), w.size)
		c.result.Gaps += w.gaps
	}()
	packet, err := c.ask(request(opWrite, name, c.spec.Block, c.spec.Window))
	if err != nil {
		return err
	}
	buffer := make([]byte, room(512))
	for {
		switch w.take(packet) {
		case wait:
		case answer:
			c.send(&w)
		case done:
			return nil
		case broken:
			sendTo(c.fd, giveUp(), nil)
			return w.err
		}
		packet, err = c.acknowledgement(&w, buffer)
		if err != nil {
			sendTo(c.fd, giveUp(), nil)
			return err
		}
	}
}

// acknowledgement waits for the next packet and repeats the window each time none comes.
func (c *single) acknowledgement(w *writer, buffer []byte) ([]byte, error) {
	var from unix.RawSockaddrInet4
	for {
		n, errno := receiveFrom(c.fd, buffer, &from)
		if errno == 0 {
			c.silent, c.waiting = 0, time.Time{}
			if c.late() {
				return nil, errLimit
			}
			return buffer[:n], nil
		}
		again, err := c.silence(errno, &c.result.Timeouts)
		if err != nil {
			return nil, err
		}
		if again {
			c.send(w)
		}
	}
}

// send sends the window that is due.
func (c *single) send(w *writer) {
	from, to := w.due()
	for block := from; block <= to; block++ {
		offset := (block - 1) * int64(w.block)
		n := min(int64(w.block), w.size-offset)
		c.out.put(int(block-from), uint16(block), c.pattern.At(offset, int(n)))
	}
	c.out.send(c.fd, int(to-from+1))
	w.sent = max(w.sent, to)
}
