package data

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a data connection with a deadline for each step. One goroutine reads or writes it; Halt may be called by others.
type Conn struct {
	TCP     *net.TCPConn
	stall   time.Duration
	through net.Conn // TCP, or TLS over it
	raw     *ear
	tls     *tls.Conn
	halted  atomic.Bool
	since   time.Time // when the bytes in got began to be counted, without the time that our side took
	left    time.Time // when Read returned
	got     int
	full    int  // reads that followed each other and were as large as asked for, or nearly
	raised  bool // the kernel wakes us for much only
}

// leastIn is how many bytes must come in each stall: who sends one byte now and then holds a connection, and its file, for nothing.
const leastIn = 1 << 10

// ear hears whether the stream under TLS ended. It reads and writes many records at once: crypto/tls does so one by one.
type ear struct {
	*net.TCPConn
	eof     bool
	reads   int
	memory  []byte // holds in
	in, out []byte // what came and was not asked for yet; what waits to be sent
	corked  bool   // what is written waits
}

// Bounds of what an ear holds.
const (
	ahead  = 128 << 10 // bytes that are read at once, from the sixteenth read on: little files need no memory for it
	behind = 128 << 10 // bytes that wait, and a record, before they are sent
)

// Read implements net.Conn.
func (e *ear) Read(p []byte) (int, error) {
	if len(e.in) > 0 {
		n := copy(p, e.in)
		e.in = e.in[n:]
		return n, nil
	}
	if e.reads++; e.reads < 16 || len(p) >= ahead {
		return e.hear(p)
	}
	if e.memory == nil {
		e.memory = make([]byte, ahead)
	}
	n, err := e.hear(e.memory)
	e.in = e.memory[:n]
	if n == 0 {
		return 0, err
	}
	n = copy(p, e.in)
	e.in = e.in[n:]
	return n, err
}

func (e *ear) hear(p []byte) (int, error) {
	n, err := e.TCPConn.Read(p)
	if errors.Is(err, io.EOF) {
		e.eof = true
	}
	return n, err
}

// Write implements net.Conn.
func (e *ear) Write(p []byte) (int, error) {
	if !e.corked {
		return e.TCPConn.Write(p)
	}
	e.out = append(e.out, p...)
	if len(e.out) < behind {
		return len(p), nil
	}
	return len(p), e.flush()
}

func (e *ear) flush() error {
	if len(e.out) == 0 {
		return nil
	}
	_, err := e.TCPConn.Write(e.out)
	e.out = e.out[:0]
	return err
}

// Plain is a connection without TLS. A step that takes longer than stall fails.
func Plain(c *net.TCPConn, stall time.Duration) *Conn {
	return &Conn{TCP: c, stall: stall, through: c}
}

// Guard begins TLS as the server. The error is that of the handshake.
func Guard(ctx context.Context, c *net.TCPConn, cfg *tls.Config, stall time.Duration) (*Conn, error) {
	e := &ear{TCPConn: c}
	t := tls.Server(e, cfg)
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	d := &Conn{TCP: c, stall: stall, through: t, raw: e, tls: t}
	return d, t.HandshakeContext(ctx)
}

// Resumed reports whether the TLS session was resumed.
func (c *Conn) Resumed() bool { return c.tls != nil && c.tls.ConnectionState().DidResume }

// Version names the version of TLS, "" without.
func (c *Conn) Version() string {
	if c.tls == nil {
		return ""
	}
	return tls.VersionName(c.tls.ConnectionState().Version)
}

// Read implements io.Reader. It fails with os.ErrDeadlineExceeded when less than leastIn bytes came in the time of a stall. Under TLS it returns io.EOF both after a close_notify and after a bare FIN between two records: Notified tells them apart.
func (c *Conn) Read(p []byte) (int, error) {
	now := time.Now()
	if c.got >= leastIn || c.since.IsZero() {
		c.since, c.got = now, 0
	} else {
		c.since = c.since.Add(now.Sub(c.left))
	}
	until := c.since.Add(c.stall)
	if c.raised {
		soon := now.Add(hurry)
		if until.Before(soon) {
			soon = until
		}
		if n, err := c.read(p, soon); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.halted.Load() {
			return n, err
		}
		c.lowWater(1) // what is there, however little, is given by the next read
	}
	n, err := c.read(p, until)
	if c.tls == nil && n >= much/4 {
		if c.full++; c.full == quick {
			c.lowWater(much)
		}
	} else {
		c.full = 0
	}
	return n, err
}

// A connection on which data comes so quickly that reads are large is read when much has come, or when hurry has passed: the kernel would wake us for less
// else, and that costs more than to copy it. Under TLS it is not done: who waits for our answer sends no FIN behind what he says.
const (
	much  = 256 << 10 // bytes; the kernel makes room for twice of it
	quick = 4         // reads
	hurry = 100 * time.Millisecond
)

// lowWater sets what has to be there before the kernel wakes us (socket(7), SO_RCVLOWAT). Less than that is read all the same by who asks.
func (c *Conn) lowWater(bytes int) {
	raw, err := c.TCP.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
	c.raised, c.full = err == nil && bytes > 1, 0
}

func (c *Conn) read(p []byte, until time.Time) (int, error) {
	if err := c.TCP.SetReadDeadline(until); err != nil {
		return 0, err
	}
	if c.halted.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.through.Read(p)
	c.got += n
	c.left = time.Now()
	return n, err
}

// Notified reports, after io.EOF, whether the peer said close_notify: TLS said that it is the end, and the stream below had not ended (crypto/tls,
// conn.go, readRecordOrCCS: it turns a bare end into io.EOF too).
func (c *Conn) Notified() bool { return c.tls != nil && !c.raw.eof }

// Write implements io.Writer. After an error under TLS it claims no byte that may have waited here.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.TCP.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	if c.halted.Load() {
		return 0, net.ErrClosed
	}
	if c.tls == nil {
		return c.through.Write(p)
	}
	c.raw.corked = true
	n, err := c.through.Write(p)
	c.raw.corked = false
	if err = errors.Join(err, c.raw.flush()); err != nil {
		n = max(0, n-behind) // what waited may not have left
	}
	return n, err
}

// Send has a file written without a copy in this process: send hands bytes to the socket, and returns EAGAIN when it takes none. It is for connections without
// TLS, and returns how many bytes went.
func (c *Conn) Send(send func(socket int) (int, error)) (n int, err error) {
	if err := c.TCP.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	if c.halted.Load() {
		return 0, net.ErrClosed
	}
	raw, err := c.TCP.SyscallConn()
	if err != nil {
		return 0, err
	}
	gone := raw.Write(func(fd uintptr) bool {
		n, err = send(int(fd))
		return !errors.Is(err, unix.EAGAIN)
	})
	if gone != nil {
		return 0, gone
	}
	return n, err
}

// End says that no more is to come: close_notify under TLS, then FIN.
func (c *Conn) End() error {
	if c.tls != nil {
		if err := c.tls.CloseWrite(); err != nil {
			return err
		}
	}
	return c.TCP.CloseWrite()
}

// Halt makes the step that runs, and all that follow, fail.
func (c *Conn) Halt() {
	c.halted.Store(true)
	_ = c.TCP.SetDeadline(time.Unix(1, 0))
}

// Halted reports whether Halt was called.
func (c *Conn) Halted() bool { return c.halted.Load() }

// Reset closes the connection so that the peer notices: what was not delivered is dropped.
func (c *Conn) Reset() {
	_ = c.TCP.SetLinger(0)
	_ = c.TCP.Close()
}

// Close closes the connection in order. It does not wait.
func (c *Conn) Close() { _ = c.TCP.Close() }

// Bound returns the configuration of one control connection and its data connections: session tickets have keys of their own, so that a resumed session is of
// the same login. A configuration that only shares the keys of the base, or has none, resumes across logins.
func Bound(base *tls.Config) *tls.Config {
	cfg := base.Clone()
	cfg.DynamicRecordSizingDisabled = true // files are sent as a whole: small records help nobody
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	cfg.SetSessionTicketKeys([][32]byte{key})
	return cfg
}
