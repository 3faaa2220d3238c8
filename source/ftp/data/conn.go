package data

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
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
}

// leastIn is how many bytes must come in each stall: who sends one byte now and then holds a connection, and its file, for nothing.
const leastIn = 1 << 10

// ear hears whether the stream under TLS ended.
type ear struct {
	*net.TCPConn
	eof bool
}

// Read implements net.Conn.
func (e *ear) Read(p []byte) (int, error) {
	n, err := e.TCPConn.Read(p)
	if errors.Is(err, io.EOF) {
		e.eof = true
	}
	return n, err
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
	if err := c.TCP.SetReadDeadline(c.since.Add(c.stall)); err != nil {
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

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.TCP.SetWriteDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	if c.halted.Load() {
		return 0, net.ErrClosed
	}
	return c.through.Write(p)
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
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	cfg.SetSessionTicketKeys([][32]byte{key})
	return cfg
}
