package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"tallyman"
	"tallyman/client/remote"
)

// ending notes under TLS whether the connection below came to its end: a FIN without close_notify looks like an end to crypto/tls.
type ending struct {
	net.Conn
	eof bool
}

func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Conn.Read(p)
	e.eof = e.eof || errors.Is(err, io.EOF)
	return n, err
}

// data is a data connection.
type data struct {
	net.Conn
	tcp     *net.TCPConn
	below   *ending // nil in the clear
	stall   time.Duration
	stopped func() error // not nil once the caller has given up
	resumed bool
}

// passive opens a data connection. Its TLS begins after the command: see protect.
func (s *session) passive() error {
	a, err := s.ask("EPSV")
	if err != nil {
		return err
	}
	port := uint16(0)
	switch {
	case a.code == 229:
		port, err = extendedPort(a.lines[0])
	case s.peer().Addr().Is4():
		if a, err = s.ask("PASV"); err != nil {
			return err
		}
		if a.code != 227 {
			return refused(a, false)
		}
		port, err = passivePort(a.lines[0])
	default:
		return refused(a, false)
	}
	if err != nil {
		return remote.Ended(tallyman.Failed, tallyman.ServerError, "%v", err)
	}
	d := net.Dialer{Timeout: dialing}
	conn, err := d.DialContext(s.ctx, "tcp", netip.AddrPortFrom(s.peer().Addr(), port).String())
	if err != nil {
		return remote.Ended(tallyman.Failed, tallyman.ServerError, "open a data connection: %v", err)
	}
	s.data = &data{Conn: conn, tcp: conn.(*net.TCPConn), stall: s.request.Stall, stopped: s.ctx.Err}
	context.AfterFunc(s.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return nil
}

// begin asks for a transfer on a new data connection, and protects it.
func (s *session) begin(command string, from int64, put bool) error {
	if err := s.passive(); err != nil {
		return err
	}
	if from > 0 {
		if a, err := s.ask("REST " + decimal(from)); err != nil {
			return err
		} else if a.code != 350 {
			return remote.Ended(tallyman.Refused, tallyman.Policy, "the server cannot resume: it says %q to REST", a.text())
		}
	}
	a, err := s.ask(command)
	if err != nil {
		return err
	}
	if a.code/100 != 1 {
		s.data.reset()
		s.data = nil
		return refused(a, put)
	}
	if s.secrets == nil {
		return nil
	}
	s.data.below = &ending{Conn: s.data.tcp}
	c := tls.Client(s.data.below, s.secrets)
	ctx, stop := context.WithTimeout(s.ctx, dialing)
	defer stop()
	if err := c.HandshakeContext(ctx); err != nil {
		return s.because(remote.Ended(tallyman.Failed, tallyman.ServerError, "TLS on the data connection: %s", distrust(err)))
	}
	s.data.Conn, s.data.resumed = c, c.ConnectionState().DidResume
	return nil
}

// because prefers what the server says about a lost data connection to what its kernel says.
func (s *session) because(e error) error {
	if s.ctx.Err() != nil {
		return e
	}
	if a, err := s.read(parting); err == nil && a.code >= 400 {
		s.ended = true
		return broken(a)
	}
	return e
}

func (d *data) Read(p []byte) (int, error) {
	_ = d.tcp.SetReadDeadline(time.Now().Add(d.stall))
	if err := d.stopped(); err != nil { // after the deadline, which would outlive the one of who gives up
		return 0, err
	}
	return d.Conn.Read(p)
}

func (d *data) Write(p []byte) (int, error) {
	_ = d.tcp.SetWriteDeadline(time.Now().Add(d.stall))
	if err := d.stopped(); err != nil { // after the deadline, which would outlive the one of who gives up
		return 0, err
	}
	return d.Conn.Write(p)
}

// cut reports an end of the connection below TLS without close_notify.
func (d *data) cut() bool { return d.below != nil && d.below.eof }

// finish says that all was sent, and waits for the end of the other side: to close before it has read all, or with its last words unread, would be a reset.
func (d *data) finish() error {
	if c, ok := d.Conn.(*tls.Conn); ok {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	return d.tcp.CloseWrite()
}

// drain reads what the other side still says until it closes.
func (d *data) drain() { _, _ = io.Copy(io.Discard, d) }

// reset closes the connection so that the other side cannot take it for an end.
func (d *data) reset() {
	_ = d.tcp.SetLinger(0)
	_ = d.tcp.Close()
}
