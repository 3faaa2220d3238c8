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
	through net.Conn // ear, or TLS over it
	ear     *ear
	tls     *tls.Conn
	halted  atomic.Bool
	since   time.Time // when the bytes in got began to be counted, without the time that our side took
	left    time.Time // when Read returned
	until   time.Time // when the Read that runs has to have something
	got     int
	came    int       // bytes since mark
	mark    time.Time // when came began
	raised  bool      // the kernel wakes us for much only
}

// leastIn is how many bytes must come in each stall: who sends one byte now and then holds a connection, and its file, for nothing.
const leastIn = 1 << 10

// ear hears whether the stream under TLS ended. It reads and writes many records at once: crypto/tls does so one by one.
type ear struct {
	*net.TCPConn
	of      *Conn
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
	n, err := e.of.hear(p)
	if errors.Is(err, io.EOF) {
		e.eof = true
	}
	return n, err
}

// whole reports whether the next record is here (RFC 8446, 5.1: type, version, length).
func (e *ear) whole() bool {
	const head = 5
	return len(e.in) >= head && len(e.in) >= head+int(e.in[3])<<8+int(e.in[4])
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
	d := &Conn{TCP: c, stall: stall}
	d.ear = &ear{TCPConn: c, of: d}
	d.through = d.ear
	return d
}

// Guard begins TLS as the server. The error is that of the handshake.
func Guard(ctx context.Context, c *net.TCPConn, cfg *tls.Config, stall time.Duration) (*Conn, error) {
	d := Plain(c, stall)
	d.tls = tls.Server(d.ear, cfg)
	d.through = d.tls
	ctx, cancel := context.WithTimeout(ctx, stall)
	defer cancel()
	return d, d.tls.HandshakeContext(ctx)
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
	c.until = c.since.Add(c.stall)
	if err := c.patience(c.until); err != nil {
		return 0, err
	}
	n, err := c.through.Read(p)
	for c.tls != nil && err == nil && len(p)-n >= record && c.ear.whole() {
		var more int
		more, err = c.through.Read(p[n:])
		n += more
	}
	c.got += n
	c.left = time.Now()
	return n, err
}

// record is the most that a record of TLS holds (RFC 8446, 5.1).
const record = 16 << 10

// patience sets the end of the read that follows.
func (c *Conn) patience(until time.Time) error {
	if err := c.TCP.SetReadDeadline(until); err != nil {
		return err
	}
	if c.halted.Load() {
		return net.ErrClosed
	}
	return nil
}

// A connection on which much comes twice within quick is read when much has come, or when hurry has passed: the kernel would wake us for less else, and that
// costs more than to copy it. Under TLS hurry is shorter: who waits for our answer sends no FIN behind his close_notify.
const (
	much     = 512 << 10 // bytes; the kernel makes room for twice of it
	quick    = 20 * time.Millisecond
	hurry    = 100 * time.Millisecond
	hurryTLS = 5 * time.Millisecond
)

// hear reads the socket.
func (c *Conn) hear(p []byte) (n int, err error) {
	if !c.raised {
		n, err = c.TCP.Read(p)
		if c.came += n; c.came >= 2*much {
			now := time.Now()
			if now.Sub(c.mark) < quick {
				c.lowWater(much)
			}
			c.came, c.mark = 0, now
		}
		return n, err
	}
	soon := time.Now().Add(hurry)
	if c.tls != nil {
		soon = soon.Add(hurryTLS - hurry)
	}
	if c.until.Before(soon) {
		soon = c.until
	}
	if err = c.patience(soon); err != nil {
		return 0, err
	}
	if n, err = c.TCP.Read(p); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || c.halted.Load() {
		return n, err
	}
	c.lowWater(1) // what is there, however little, is given by the next read
	if err = c.patience(c.until); err != nil {
		return 0, err
	}
	return c.TCP.Read(p)
}

// lowWater sets what has to be there before the kernel wakes us (socket(7), SO_RCVLOWAT). Less than that is read all the same by who asks.
func (c *Conn) lowWater(bytes int) {
	raw, err := c.TCP.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, bytes) })
	c.raised, c.came, c.mark = err == nil && bytes > 1, 0, time.Now()
}

// Notified reports, after io.EOF, whether the peer said close_notify: TLS said that it is the end, and the stream below had not ended (crypto/tls,
// conn.go, readRecordOrCCS: it turns a bare end into io.EOF too).
func (c *Conn) Notified() bool { return c.tls != nil && !c.ear.eof }

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
	c.ear.corked = true
	n, err := c.through.Write(p)
	c.ear.corked = false
	if err = errors.Join(err, c.ear.flush()); err != nil {
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
