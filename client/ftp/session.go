package ftp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"tallyman"
	"tallyman/client/remote"
)

// Security says how the connections are protected.
type Security uint8

// The securities: none, AUTH TLS on the usual port (RFC 4217), TLS from the first byte.
const (
	Clear Security = iota
	Explicit
	Implicit
)

// Request says what to transfer and how.
type Request struct {
	Place    remote.Place
	User     string // empty: anonymous
	Password string
	Security Security
	Trust    Trust // of certificates; not used in the clear
	Check    remote.Check
	Resume   bool          // of an upload: go on behind what the server has. A download is resumed when its content has bytes
	Stall    time.Duration // how long to wait for a reply or for data; 60 s
}

const (
	dialing   = 30 * time.Second
	stall     = 60 * time.Second
	finishing = 10 * time.Minute // of the last reply and of a hash: the server may sync or read a large file
	parting   = 5 * time.Second
)

// session is one login.
type session struct {
	ctx     context.Context //nolint:containedctx // a session is one call
	request Request
	conn    net.Conn // the control connection, under TLS if so asked
	tcp     *net.TCPConn
	in      *bufio.Reader
	secrets *tls.Config // nil in the clear
	feature map[string]string
	data    *data // the one that is open
	ended   bool  // the transfer came to its end, and nothing is to be aborted
}

// open connects and logs in.
func open(ctx context.Context, r Request, result *remote.Result) (*session, error) {
	if r.Stall == 0 {
		r.Stall = stall
	}
	d := net.Dialer{Timeout: dialing}
	conn, err := d.DialContext(ctx, "tcp", r.Place.Address())
	if err != nil {
		return nil, remote.Ended(tallyman.Failed, tallyman.ServerGone, "%v", err)
	}
	s := &session{ctx: ctx, request: r, conn: conn, tcp: conn.(*net.TCPConn), in: bufio.NewReaderSize(conn, maxLine)}
	result.Server = s.peer()
	if err := s.greet(result); err != nil {
		_ = conn.Close() // that error is the one to tell
		return nil, err
	}
	return s, nil
}

func (s *session) peer() netip.AddrPort {
	at := s.tcp.RemoteAddr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func (s *session) greet(result *remote.Result) error {
	r := s.request
	if r.Security != Clear {
		s.secrets = r.Trust.config(r.Place.Host)
	}
	if r.Security == Implicit {
		if err := s.encrypt(); err != nil {
			return err
		}
	}
	hello, err := s.read(r.Stall)
	if err == nil && !hello.good() {
		err = refused(hello, false)
	}
	if err != nil {
		return err
	}
	if r.Security == Explicit {
		if a, err := s.ask("AUTH TLS"); err != nil {
			return err
		} else if a.code != 234 {
			return remote.Ended(tallyman.Refused, tallyman.Policy, "TLS is asked for, and the server says %q to AUTH TLS", a.text())
		}
		if s.in.Buffered() > 0 { // what was sent in the clear is not to be taken for what is protected (CVE-2011-0411)
			return remote.Ended(tallyman.Failed, tallyman.ServerError, "the server spoke in the clear behind its answer to AUTH TLS")
		}
		if err := s.encrypt(); err != nil {
			return err
		}
	}
	if c, ok := s.conn.(*tls.Conn); ok {
		state := c.ConnectionState()
		result.Secured = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	}
	return s.login()
}

// encrypt begins TLS on the control connection.
func (s *session) encrypt() error {
	c := tls.Client(s.tcp, s.secrets)
	ctx, stop := context.WithTimeout(s.ctx, dialing)
	defer stop()
	if err := c.HandshakeContext(ctx); err != nil {
		return remote.Ended(tallyman.Failed, tallyman.ServerError, "TLS: %s", distrust(err))
	}
	s.conn = c
	s.in.Reset(c)
	return nil
}

func (s *session) login() error {
	user, password := s.request.User, s.request.Password
	if user == "" {
		user, password = "anonymous", "anonymous@"
	}
	if strings.ContainsAny(password, "\r\n\x00") {
		return remote.Ended(tallyman.Refused, tallyman.LoginFailed, "the password holds a line break, which FTP cannot send")
	}
	a, err := s.ask("USER " + user)
	if err == nil && a.code == 331 {
		a, err = s.ask("PASS " + password)
	}
	switch {
	case err != nil:
		return err
	case a.code == 421:
		return refused(a, false)
	case !a.good():
		return remote.Ended(tallyman.Refused, tallyman.LoginFailed, "the server says %q", a.text())
	}
	if s.secrets != nil {
		for _, c := range []string{"PBSZ 0", "PROT P"} {
			if a, err = s.ask(c); err != nil {
				return err
			} else if !a.good() {
				return remote.Ended(tallyman.Refused, tallyman.Policy, "data would go in the clear: the server says %q to %s", a.text(), c)
			}
		}
	}
	if a, err = s.ask("FEAT"); err != nil {
		return err
	}
	s.feature = map[string]string{}
	if a.good() && len(a.lines) > 2 {
		for _, l := range a.lines[1 : len(a.lines)-1] {
			name, what, _ := strings.Cut(strings.TrimSpace(l), " ")
			s.feature[strings.ToUpper(name)] = what
		}
	}
	if _, ok := s.feature["UTF8"]; ok {
		if _, err := s.ask("OPTS UTF8 ON"); err != nil { // some servers want it (RFC 2640 does not know it): the answer does not matter
			return err
		}
	}
	if a, err = s.ask("TYPE I"); err == nil && !a.good() {
		err = refused(a, false)
	}
	return err
}

// ask sends a command and reads the reply.
func (s *session) ask(line string) (reply, error) {
	if err := s.send(line); err != nil {
		return reply{}, err
	}
	return s.read(s.request.Stall)
}

func (s *session) send(line string) error {
	if strings.ContainsAny(line, "\r\n\x00") || strings.IndexByte(line, 0xff) >= 0 {
		return remote.Ended(tallyman.Refused, tallyman.BadRequest, "%q holds bytes that FTP cannot send", tallyman.Escape(line))
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.request.Stall))
	_, err := s.conn.Write([]byte(line + "\r\n"))
	return s.lost(err)
}

// read waits for a reply, also when the caller gives up meanwhile: then the deadline is moved by who gives up.
func (s *session) read(patience time.Duration) (reply, error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(patience))
	if s.ctx.Err() != nil {
		return reply{}, s.ctx.Err()
	}
	r, err := readReply(s.in)
	return r, s.lost(err)
}

// lost names what became of the control connection.
func (s *session) lost(err error) error {
	var t net.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &t) && t.Timeout():
		return remote.Ended(tallyman.Failed, tallyman.Timeout, "the server did not answer within %v", s.request.Stall)
	case s.data != nil:
		return remote.Ended(tallyman.Failed, tallyman.ControlLost, "the control connection is lost: %v", err)
	default:
		return remote.Ended(tallyman.Failed, tallyman.ServerGone, "%v", err)
	}
}

// size asks how long a file is, -1 if the server does not tell. A server that knows SIZE and refuses it has no such file.
func (s *session) size(name string) (int64, *remote.End, error) {
	a, err := s.ask("SIZE " + name)
	if err != nil {
		return -1, nil, err
	}
	if a.code == 213 {
		if n, err := strconv.ParseInt(strings.TrimSpace(a.lines[0]), 10, 64); err == nil && n >= 0 {
			return n, nil, nil
		}
	}
	if _, known := s.feature["SIZE"]; known && a.code == 550 {
		return -1, refused(a, false), nil
	}
	return -1, nil, nil
}

// offersHash reports whether the server computes SHA-256.
func (s *session) offersHash() bool {
	_, x := s.feature["XSHA256"]
	return x || strings.Contains(strings.ToUpper(s.feature["HASH"]), "SHA-256")
}

// hash asks the server for the SHA-256 of a file; empty if it has none.
func (s *session) hash(name string) (tallyman.Digest, error) {
	if !s.offersHash() {
		return "", nil
	}
	verb := "XSHA256 "
	if has := strings.ToUpper(s.feature["HASH"]); strings.Contains(has, "SHA-256") {
		verb = "HASH "
		if !strings.Contains(has, "SHA-256*") {
			if a, err := s.ask("OPTS HASH SHA-256"); err != nil || !a.good() {
				return "", err
			}
		}
	}
	if err := s.send(verb + name); err != nil {
		return "", err
	}
	a, err := s.read(finishing)
	if err != nil || !a.good() {
		return "", err // it may be forbidden for this file: then nothing is compared, and the verdict says so
	}
	return digestIn(strings.Join(a.lines, " "))
}

// close parts from the server. A transfer that did not come to its end is aborted, so that the server cannot take it for whole.
func (s *session) close() {
	_ = s.conn.SetDeadline(time.Now().Add(parting))
	if s.data != nil && !s.ended {
		_, _ = s.conn.Write([]byte("ABOR\r\n")) // it may be gone
		s.data.reset()
	} else if _, err := s.conn.Write([]byte("QUIT\r\n")); err == nil {
		_, _ = readReply(s.in) // a goodbye, or nothing
	}
	_ = s.conn.Close()
}

func (s *session) act(verb string) string { return fmt.Sprintf("%s %s", verb, s.request.Place) }
