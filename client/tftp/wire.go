package tftp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"tallyman"
)

// wire is the socket of one attempt. It knows who the server is: the first who answers from the address that was asked.
type wire struct {
	conn      *net.UDPConn
	asked     netip.AddrPort
	peer      netip.AddrPort // zero until the server answered
	buffer    []byte
	strangers int

	mu        sync.Mutex
	cancelled bool
}

func dial(to netip.AddrPort, r Request) (*wire, error) {
	network := "udp6"
	if to.Addr().Is4() {
		network = "udp4"
	}
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	// The kernel counts about 700 bytes of its own for each datagram (udp(7), SO_RCVBUF). A smaller buffer than asked for costs
	// repetitions and no correctness.
	_ = conn.SetReadBuffer(2 * r.Window * (r.BlockSize + 700))
	if err := reportUnreachable(conn); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("prepare the socket: %w", err)
	}
	return &wire{conn: conn, asked: to, buffer: make([]byte, 1<<16)}, nil
}

func (w *wire) close() { _ = w.conn.Close() }

func (w *wire) self() netip.AddrPort {
	a, err := netip.ParseAddrPort(w.conn.LocalAddr().String())
	if err != nil {
		return netip.AddrPort{}
	}
	return a
}

// flush sends what the machine has put out. A packet that the kernel does not take is a lost packet, unless nobody has answered yet.
func (w *wire) flush(s *session) error {
	to := w.peer
	if to.Port() == 0 {
		to = w.asked
	}
	var lost error
	for _, p := range s.out {
		if _, err := w.conn.WriteToUDPAddrPort(p, to); err != nil && !temporary(err) {
			lost = fmt.Errorf("send to %s: %w", to, err)
		}
	}
	s.out = s.out[:0]
	if s.answered {
		return nil
	}
	return lost
}

// temporary reports errors that a repetition may heal: full queues, and EPERM, by which netfilter drops on the way out.
func temporary(err error) bool {
	for _, e := range []error{syscall.EPERM, syscall.ENOBUFS, syscall.EAGAIN, syscall.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// receive waits for a packet of the server until the deadline. An error means that the network says nobody is there.
func (w *wire) receive(until time.Time) (p packet, got bool, err error) {
	w.arm(until)
	n, from, err := w.conn.ReadFromUDPAddrPort(w.buffer)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return packet{}, false, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return packet{}, false, fmt.Errorf("nothing listens on %s", w.asked)
	case err != nil:
		return packet{}, false, fmt.Errorf("reach %s: %w", w.asked, err)
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	p, bad := parse(w.buffer[:n])
	switch {
	case from.Addr().WithZone("") != w.asked.Addr().WithZone("") || w.peer.Port() != 0 && from.Port() != w.peer.Port():
		w.strangers++
		// RFC 1350, section 4: an ERROR is never answered, the others get "unknown transfer ID".
		if bad != nil || p.op != opERROR {
			_, _ = w.conn.WriteToUDPAddrPort(failure(errUnknownTID, "unknown transfer ID"), from)
		}
		return packet{}, false, nil
	case bad != nil:
		return packet{}, false, nil
	}
	if w.peer.Port() == 0 {
		w.peer = from
	}
	return p, true, nil
}

// dally answers the last DATA of a download for a while, should the last ACK be lost (RFC 1350, section 6).
func (w *wire) dally(m machine) {
	s := m.common()
	if _, download := m.(*getter); !download || s.ended.verdict != tallyman.Complete {
		return
	}
	for until := time.Now().Add(min(2*s.timer.wait(), time.Second)); time.Now().Before(until) && !w.stopped(); {
		p, got, err := w.receive(until)
		if err != nil {
			return
		}
		if got {
			m.receive(time.Now(), p)
			_ = w.flush(s)
		}
	}
}

// arm sets the deadline of the next receive, unless the transfer was cancelled: then it stays in the past.
func (w *wire) arm(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.cancelled {
		_ = w.conn.SetReadDeadline(until)
	}
}

func (w *wire) cancel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cancelled = true
	_ = w.conn.SetReadDeadline(time.Unix(1, 0))
}

func (w *wire) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cancelled
}
