package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/web/account"
	"tallyman/web/ask"
	"tallyman/web/certificate"
	"tallyman/web/live"
	"tallyman/web/socket"
	"tallyman/web/ui"
)

// Parts are what the other rooms give. All are needed but Now.
type Parts struct {
	Name    string // of this server, as configured
	Version string
	State   string // the state folder: accounts, own certificate, socket
	Socket  string // path of the unix socket, see socket.Path; "" = none
	Ledger  tallyman.Ledger
	Feed    *live.Feed // the pipe writes to it
	Orders  Orders
	Books   Books
	Log     *slog.Logger

	Parse ask.Language // the query language
	Match func(tallyman.Expr, *tallyman.Transfer) bool
	// System must answer at once: it is asked for each open page every five seconds.
	System func() System
	// Mounts is what is mounted now; nil = nobody looks.
	Mounts func() []Mount
	// Hint says more to people about one transfer, as a sentence, or ""; nil = nothing is known beyond the record.
	Hint func(*tallyman.Transfer) string
	// Lanes gives each witness of a transfer, with its evidence, a lane; nil = there are none.
	Lanes func(context.Context, *tallyman.Transfer) []tallyman.Lane
	Now   func() time.Time
}

// Server is page and API behind their two doors.
type Server struct {
	cfg      Config
	parts    Parts
	log      *slog.Logger
	now      func() time.Time
	started  time.Time
	counts   counters
	accounts *account.Book
	tries    *account.Tries
	hashing  chan struct{} // capacity 2: how many passwords are hashed at once; the rest wait
	cross    *http.CrossOriginProtection
	files    fs.FS
	pair     *tls.Certificate
	patience time.Duration
	hosts    atomic.Pointer[[]string]
	tcp      net.Listener
	socket   net.Listener

	mu   sync.Mutex
	link string // secret of the set-up link, "" when used up
}

// New reads accounts and certificate, or makes the certificate. It opens no door.
func New(cfg Config, p Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	s := &Server{
		cfg: cfg, parts: p, log: p.Log, now: p.Now, started: tallyman.Clean(p.Now()), tries: account.NewTries(), counts: newCounters(), hashing: make(chan struct{}, 2),
		cross: http.NewCrossOriginProtection(), files: ui.Files(), patience: patience,
	}
	s.hosts.Store(&cfg.Hosts)
	var err error
	if s.accounts, err = account.Open(p.State); err != nil {
		return nil, err
	}
	if cfg.Listen != "" && !s.accounts.Locked() {
		s.link = account.Secret()
	}
	if cfg.Listen != "" && cfg.encrypted() {
		pair, err := cfg.certificate(p.State, p.Name, p.Now())
		if err != nil {
			return nil, err
		}
		s.pair = &pair
	}
	return s, nil
}

// SetHosts takes a new list of names by which browsers may call the page, without a restart.
func (s *Server) SetHosts(hosts []string) error {
	if err := validHosts(hosts); err != nil {
		return err
	}
	hosts = slices.Clone(hosts)
	s.hosts.Store(&hosts)
	return nil
}

// Listen opens the doors, so that addresses are known before Run.
func (s *Server) Listen(ctx context.Context) error {
	if s.cfg.Listen != "" {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", s.cfg.Listen)
		if err != nil {
			return fmt.Errorf("web.listen: %w: choose another address, or port 0 to pick one", err)
		}
		s.tcp = l
	}
	if s.parts.Socket != "" {
		l, err := socket.Listen(ctx, s.parts.Socket)
		if err != nil {
			s.closeDoors()
			return fmt.Errorf("open socket: %w", err)
		}
		s.socket = l
	}
	return nil
}

func (s *Server) closeDoors() {
	for _, l := range []net.Listener{s.tcp, s.socket} {
		if l != nil {
			_ = l.Close() // nothing was accepted
		}
	}
}

// Run serves until ctx ends, then ends the streams, lets other answers finish for five seconds, and closes the doors. Listen comes before it.
func (s *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	var servers []*http.Server
	errs := make(chan error, 2)
	serve := func(l net.Listener, d door) {
		srv := &http.Server{
			Handler:           s.mux(d),
			ReadHeaderTimeout: 10 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      60 * time.Second, // streams and exports set their own
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		}
		if d.tls {
			srv.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*s.pair}}
		}
		servers = append(servers, srv)
		running.Go(func() {
			var err error
			if d.tls {
				err = srv.ServeTLS(l, "", "")
			} else {
				err = srv.Serve(l)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				errs <- err
			}
		})
	}
	if s.tcp != nil {
		serve(s.tcp, door{loopback: s.onLoopback(), tls: s.pair != nil})
	}
	if s.socket != nil {
		serve(s.socket, door{socket: true, loopback: true})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-errs:
	}
	s.parts.Feed.Close()
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for _, srv := range servers {
		if srv.Shutdown(deadline) != nil {
			_ = srv.Close() // somebody reads slowly: the end of the program does not wait
		}
	}
	running.Wait()
	return err
}

// onLoopback reports whether the TCP door is bound to loopback.
func (s *Server) onLoopback() bool {
	return s.tcp != nil && loopback(s.tcp.Addr().String())
}

// Addr is the bound TCP address, invalid when there is none.
func (s *Server) Addr() netip.AddrPort {
	if s.tcp == nil {
		return netip.AddrPort{}
	}
	a, _ := s.tcp.Addr().(*net.TCPAddr)
	return netip.AddrPortFrom(a.AddrPort().Addr().Unmap(), uint16(a.Port))
}

// URL is where a browser on this machine finds the page, "" when there is none.
func (s *Server) URL() string {
	if s.tcp == nil {
		return ""
	}
	scheme, a := "http", s.Addr()
	if s.pair != nil {
		scheme = "https"
	}
	if a.Addr().IsUnspecified() {
		a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return scheme + "://" + a.String() + "/"
}

// Fingerprint is the SHA-256 of the certificate, for people to compare with what the browser shows; "" without TLS.
func (s *Server) Fingerprint() string {
	if s.pair == nil {
		return ""
	}
	return certificate.Fingerprint(*s.pair)
}
