package ftp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"tallyman/source/ftp/command"
	"tallyman/source/ftp/data"
)

// replyWithin bounds how long a client may let a reply wait.
const replyWithin = 30 * time.Second

// control is the control connection. Lines are read by one goroutine, which waits after each until it is told to go on: what a client sends behind AUTH in the
// clear is dropped with the buffer (RFC 4217, 4; the attack of CVE-2011-0411).
type control struct {
	tcp    *net.TCPConn
	conn   net.Conn // tcp, or TLS over it
	lines  *bufio.Reader
	goOn   chan struct{}
	closed chan struct{}
}

// said is what came on the control connection: a line, or its end.
type said struct {
	line  []byte
	err   error
	long  bool
	reset bool
}

func newControl(tcp *net.TCPConn) *control {
	c := &control{tcp: tcp, conn: tcp, goOn: make(chan struct{}, 1), closed: make(chan struct{})}
	c.lines = bufio.NewReaderSize(tcp, command.MaxLine+2)
	// The urgent byte of a Telnet synch (RFC 854, IAC DM) stays in its place in the stream.
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) })
	}
	return c
}

// read hands over what comes until the connection ends.
func (c *control) read(to chan<- said) {
	for {
		select {
		case <-c.goOn:
		case <-c.closed:
			return
		}
		s := c.next()
		select {
		case to <- s:
		case <-c.closed:
			return
		}
		if s.err != nil {
			return
		}
	}
}

func (c *control) next() said {
	line, err := c.lines.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return said{long: true}
	case err != nil:
		return said{err: err, reset: !errors.Is(err, io.EOF)}
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return said{line: append([]byte(nil), line...)}
}

// secure begins TLS. The reader waits meanwhile.
func (c *control) secure(ctx context.Context, cfg *tls.Config, within time.Duration) error {
	t := tls.Server(c.tcp, cfg)
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := t.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn = t
	c.lines.Reset(t)
	return nil
}

func (c *control) write(p []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(replyWithin)); err != nil {
		return err
	}
	_, err := c.conn.Write(p)
	return err
}

// look is what the kernel knows.
func (c *control) look() data.Seen { return data.Watch(c.tcp) }

// lingers is how long the client is given to read the last reply: a connection that is closed with words unread is reset, and the reply with it.
const lingers = 500 * time.Millisecond

// close ends the connection in order.
func (c *control) close() {
	close(c.closed)
	if t, ok := c.conn.(*tls.Conn); ok {
		_ = t.SetWriteDeadline(time.Now().Add(lingers))
		_ = t.CloseWrite()
	}
	if err := c.tcp.CloseWrite(); err == nil || errors.Is(err, syscall.ENOTCONN) {
		_ = c.tcp.SetReadDeadline(time.Now().Add(lingers))
		_, _ = io.CopyN(io.Discard, c.tcp, 1<<20)
	}
	_ = c.tcp.Close()
}
