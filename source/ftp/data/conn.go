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
}

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

// Read implements io.Reader. Under TLS it returns io.EOF both after a close_notify and after a bare FIN between two records: Notified tells them apart.
func (c *Conn) Read(p []byte) (int, error) {
	if err := c.TCP.SetReadDeadline(time.Now().Add(c.stall)); err != nil {
		return 0, err
	}
	if c.halted.Load() {
		return 0, net.ErrClosed
	}
	return c.through.Read(p)
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
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	cfg.SetSessionTicketKeys([][32]byte{key})
	return cfg
}
