package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/source/ftp/data"
	"tallyman/source/ftp/record"
	"tallyman/user"
)

// Server is an FTP server; a [tallyman.Source].
type Server struct {
	cfg      Config
	accounts Accounts
	gate     Gate
	log      *slog.Logger
	who      Identity

	explicit, implicit *net.TCPListener // implicit may be nil
	ports              data.Range
	pieces             sync.Pool
	counts             totals
	serial             atomic.Uint64
	began              time.Time

	mu       sync.Mutex
	sessions map[*session]struct{}
	from     map[netip.Addr]int
	turned   map[turning]time.Time // who may not connect, and when that was recorded
}

// Identity is how the server signs evidence.
type Identity struct {
	Host string
	Proc tallyman.Proc
}

// Counts are totals since the start.
type Counts struct {
	Connections uint64 // control connections
	Turned      uint64 // of them closed at once: not allowed, or too many
	Logins      uint64
	Wrong       uint64 // wrong logins
	Commands    uint64
	Transfers   uint64 // begun, lists too
	Refused     uint64 // transfers and commands
	Strangers   uint64 // connections of others to data ports
	Now         uint64 // control connections at the moment
}

type totals struct {
	connections, turned, logins, wrong, commands, transfers, refused, strangers atomic.Uint64
}

// Listen opens the ports and starts nothing.
func Listen(ctx context.Context, cfg Config, accounts Accounts, gate Gate, who Identity, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, accounts: accounts, gate: gate, log: log, who: who, began: time.Now(),
		sessions: map[*session]struct{}{}, from: map[netip.Addr]int{}, turned: map[turning]time.Time{},
	}
	if s.ports = cfg.Ports; s.ports.First == 0 {
		s.ports = data.Anywhere()
	}
	var err error
	if s.explicit, err = listen(ctx, cfg.Listen); err != nil {
		return nil, err
	}
	if cfg.Implicit != "" {
		if s.implicit, err = listen(ctx, cfg.Implicit); err != nil {
			return nil, errors.Join(err, s.explicit.Close())
		}
	}
	return s, nil
}

func listen(ctx context.Context, at string) (*net.TCPListener, error) {
	var cfg net.ListenConfig
	cfg.SetMultipathTCP(false) // TCP_INFO and SIOCOUTQ speak of plain TCP
	l, err := cfg.Listen(ctx, "tcp", at)
	if err != nil {
		return nil, err
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("listen on %s: this is no TCP", at), l.Close())
	}
	return tcp, nil
}

// Addrs are the addresses of the control connections, the implicit one last.
func (s *Server) Addrs() []netip.AddrPort {
	out := []netip.AddrPort{addrOf(s.explicit.Addr())}
	if s.implicit != nil {
		out = append(out, addrOf(s.implicit.Addr()))
	}
	return out
}

func addrOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := t.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Close closes the ports of a server that was never run.
func (s *Server) Close() {
	_ = s.explicit.Close()
	if s.implicit != nil {
		_ = s.implicit.Close()
	}
}

// Counts may be called at any time.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	now := len(s.sessions)
	s.mu.Unlock()
	t := &s.counts
	return Counts{
		Connections: t.connections.Load(), Turned: t.turned.Load(), Logins: t.logins.Load(), Wrong: t.wrong.Load(), Commands: t.commands.Load(),
		Transfers: t.transfers.Load(), Refused: t.refused.Load(), Strangers: t.strangers.Load(), Now: uint64(now),
	}
}

// Run serves until ctx ends. It then takes no new connection, gives running transfers the drain time, ends the rest, and returns when all of it is recorded.
// It can be called once.
func (s *Server) Run(ctx context.Context, to tallyman.Recorder) error {
	var accepting, serving sync.WaitGroup
	kick := make(chan struct{})
	for _, l := range []struct {
		at       *net.TCPListener
		implicit bool
	}{{s.explicit, false}, {s.implicit, true}} {
		if l.at == nil {
			continue
		}
		accepting.Go(func() { s.accept(ctx, l.at, l.implicit, to, &serving, kick) })
	}
	<-ctx.Done()
	s.Close()
	accepting.Wait()
	timer := time.AfterFunc(s.cfg.Drain, func() {
		close(kick)
		s.mu.Lock()
		defer s.mu.Unlock()
		for v := range s.sessions { // a client that does not read holds nobody up
			_ = v.control.tcp.SetWriteDeadline(time.Now().Add(lingers))
		}
	})
	defer timer.Stop()
	serving.Wait()
	return nil
}

// acceptPause is how long nobody is accepted when the process has no descriptor left.
const acceptPause = 100 * time.Millisecond

func (s *Server) accept(ctx context.Context, l *net.TCPListener, implicit bool, to tallyman.Recorder, serving *sync.WaitGroup, kick <-chan struct{}) {
	for {
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			s.welcome(ctx, c, implicit, to, serving, kick)
			continue
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		}
		// accept(2): EMFILE, ENFILE, ENOBUFS, ENOMEM, and network errors of the new connection pass.
		s.log.Warn("connection not accepted", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(acceptPause):
		}
	}
}

// welcome begins a session, or turns the client away.
func (s *Server) welcome(ctx context.Context, c *net.TCPConn, implicit bool, to tallyman.Recorder, serving *sync.WaitGroup, kick <-chan struct{}) {
	s.counts.connections.Add(1)
	client, local := data.Ends(c)
	began := time.Now()
	rec := record.Session{Host: s.who.Host, Proc: s.who.Proc, Client: client, Server: local, Began: tallyman.Clean(began), ID: s.name()}
	v := &session{server: s, control: newControl(c), rec: rec, to: to, implicit: implicit, kick: kick, results: make(chan func(), 1), said: make(chan said)}
	if reason, why := s.admit(client.Addr(), v); why != "" {
		s.counts.turned.Add(1)
		s.turn(v, reason, why, began)
		return
	}
	serving.Go(func() {
		defer s.leave(client.Addr(), v)
		v.run(ctx)
	})
}

// name is what logins of this session are called: the start of the server, and a number.
func (s *Server) name() string {
	return "ftp-" + strconv.FormatInt(s.began.Unix(), 36) + "-" + strconv.FormatUint(s.serial.Add(1), 36)
}

// admit counts the session in, or says why not.
func (s *Server) admit(client netip.Addr, v *session) (tallyman.Reason, string) {
	if ok, why := s.gate(client); !ok {
		return tallyman.NotAllowed, why
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.sessions) >= s.cfg.Sessions:
		return tallyman.RateLimited, fmt.Sprintf("%d sessions run already", len(s.sessions))
	case s.from[place(client)] >= s.cfg.PerAddress:
		return tallyman.RateLimited, fmt.Sprintf("%s has %d sessions already", client, s.from[client])
	}
	s.sessions[v] = struct{}{}
	s.from[place(client)]++
	return "", ""
}

// place is what counts as one address: a network of IPv6 belongs to one who has 2^64 addresses.
func place(client netip.Addr) netip.Addr { return user.Source(client) }

func (s *Server) leave(client netip.Addr, v *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, v)
	at := place(client)
	if s.from[at]--; s.from[at] == 0 {
		delete(s.from, at)
	}
}

const (
	turnedEvery = time.Minute // an address that is turned away for one reason is recorded so often
	mostTurned  = 1024        // of them remembered for that; beyond, all are forgotten
)

// turning is an address that is turned away, and why.
type turning struct {
	client netip.Addr
	reason tallyman.Reason
}

// turn turns a client away, with one reply in the clear.
func (s *Server) turn(v *session, reason tallyman.Reason, why string, now time.Time) {
	client := turning{place(v.rec.Client.Addr()), reason}
	s.mu.Lock()
	last, known := s.turned[client]
	fresh := !known || now.Sub(last) > turnedEvery
	if fresh {
		if len(s.turned) >= mostTurned {
			clear(s.turned)
		}
		s.turned[client] = now
	}
	s.mu.Unlock()
	if fresh {
		v.refuse(reason, why)
	}
	_ = v.control.tcp.SetWriteDeadline(now.Add(time.Second))
	if !v.implicit {
		_, _ = v.control.tcp.Write([]byte("421 Not now, or not from here\r\n"))
	}
	_ = v.control.tcp.Close()
}

// tlsConfig is that of one control connection and its data connections; nil without TLS.
func (s *Server) tlsConfig() *tls.Config {
	if s.cfg.Certificate == nil {
		return nil
	}
	return data.Bound(&tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cfg.Certificate() },
	})
}
