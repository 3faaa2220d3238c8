package sftp

import (
	"context"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/user"
)

// connection is one TCP connection of a client.
type connection struct {
	srv        *Server
	to         tallyman.Recorder
	raw        *wire
	peer, self netip.AddrPort
	ctx        context.Context //nolint:containedctx // ends with the connection; the callbacks of the library hand none over
	cancel     context.CancelFunc
	in         bool // logged in, or gone; under Server.mu

	login   *user.Login
	root    *Root
	session string // name of the login in records
	client  string // software of the client, escaped
	cipher  string

	busy atomic.Int64                    // open transfers
	why  atomic.Pointer[tallyman.Reason] // why we ended it; nil: the client did

	mu   sync.Mutex
	last time.Time // when the youngest transfer began: no two begin in one microsecond
	said int       // refused commands that were recorded
}

func (s *Server) newConnection(nc net.Conn, to tallyman.Recorder) *connection {
	c := &connection{srv: s, to: to}
	if nc != nil {
		c.peer, c.self = addrOf(nc.RemoteAddr()), addrOf(nc.LocalAddr())
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.raw = &wire{Conn: nc, of: c}
	return c
}

func addrOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	p := t.AddrPort()
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// end closes the connection for a reason of ours.
func (c *connection) end(why tallyman.Reason) {
	c.because(why)
	_ = c.raw.Close() // whoever reads or writes finds out
}

// because notes why we end it; the first reason counts.
func (c *connection) because(why tallyman.Reason) { c.why.CompareAndSwap(nil, &why) }

// endIdle closes a connection on which no file is open.
func (c *connection) endIdle() {
	if c.busy.Load() == 0 {
		c.end(tallyman.Shutdown)
	}
}

// ended is why the connection ended: a client that vanishes says nothing.
func (c *connection) ended() tallyman.Reason {
	if why := c.why.Load(); why != nil {
		return *why
	}
	return tallyman.ClientGone
}

// begin is when a transfer begins: with the client's address it names the transfer.
func (c *connection) begin() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := tallyman.Clean(time.Now())
	if !now.After(c.last) {
		now = c.last.Add(time.Microsecond)
	}
	c.last = now
	return now
}

// wire is the TCP connection with deadlines. It knows how much it has handed to the kernel.
type wire struct {
	net.Conn
	of      *connection
	written atomic.Int64
	free    atomic.Bool // logged in: from here on each call has its own deadline
	once    sync.Once
	closed  atomic.Bool
	left    atomic.Int64 // how much had not been acknowledged when it was closed
	ahead   *[]byte      // holds in; one goroutine reads
	in      []byte       // what came and was not asked for yet
	filled  bool         // the last read of the socket brought all that there was room for
}

// Close looks at what has arrived before that can no longer be known.
func (w *wire) Close() error {
	w.once.Do(func() {
		w.left.Store(w.unacked())
		w.closed.Store(true)
	})
	return w.Conn.Close()
}

// missing is how many bytes of what was written have not arrived, as far as is known.
func (w *wire) missing() int64 {
	n := w.unacked()
	if w.closed.Load() {
		return w.left.Load()
	}
	return n
}

// readAhead is how many bytes are read at once where much has come.
const readAhead = 128 << 10

// Read reads ahead what has come: the library asks for 4 KiB, for the rest of a packet, and so on (crypto/ssh, transport.go, cipher.go). No memory is held
// while nothing is there.
func (w *wire) Read(p []byte) (int, error) {
	if len(w.in) == 0 {
		if !w.filled || !w.free.Load() || w.waiting() <= len(p) {
			return w.take(p)
		}
		w.ahead = w.of.srv.bufs.Get().(*[]byte)
		n, err := w.take((*w.ahead)[:readAhead])
		if w.in = (*w.ahead)[:n]; n == 0 {
			w.of.srv.bufs.Put(w.ahead)
			return 0, err
		}
	}
	n := copy(p, w.in)
	if w.in = w.in[n:]; len(w.in) == 0 {
		w.of.srv.bufs.Put(w.ahead)
	}
	return n, nil
}

// waiting is how many bytes have come and were not read (tcp(7), SIOCINQ); 0 when the kernel does not tell.
func (w *wire) waiting() (n int) {
	t, ok := w.Conn.(*net.TCPConn)
	if !ok {
		return 0
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return 0
	}
	_ = rc.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCINQ) })
	return n
}

// take reads the socket, and waits no longer than Idle.
func (w *wire) take(p []byte) (int, error) {
	if w.free.Load() {
		if err := w.SetReadDeadline(time.Now().Add(w.of.srv.cfg.Idle)); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Read(p)
	w.filled = n == len(p)
	return n, w.noted(err)
}

// Write waits no longer than Stall.
func (w *wire) Write(p []byte) (int, error) {
	if w.free.Load() {
		if err := w.SetWriteDeadline(time.Now().Add(w.of.srv.cfg.Stall)); err != nil {
			return 0, err
		}
	}
	n, err := w.Conn.Write(p)
	w.written.Add(int64(n))
	return n, w.noted(err)
}

func (w *wire) noted(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.of.because(tallyman.Timeout)
	}
	return err
}

// unacked is how many bytes of what was written the client's kernel has not acknowledged (tcp(7), TCP_INFO): they have not arrived, as far as we know. It is
// all that was written when the kernel does not tell.
func (w *wire) unacked() int64 {
	all := w.written.Load()
	t, ok := w.Conn.(*net.TCPConn)
	if !ok {
		return all
	}
	rc, err := t.SyscallConn()
	if err != nil {
		return all
	}
	left := all
	_ = rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			left = max(0, all-int64(info.Bytes_acked))
		}
	})
	return left
}

// sessionName names a login by its SSH session, which no two have.
func sessionName(id []byte) string { return "ssh-" + hex.EncodeToString(id[:min(8, len(id))]) }
