package sftp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"tallyman"
	"tallyman/user"
)

// Server is an SFTP server; a [tallyman.Source].
type Server struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	lis   net.Listener
	locks locks
	// singly bounds how many turned-away connections are recorded: a flood of them makes no flood of records. The counter has all.
	singly *rate.Limiter
	bufs   sync.Pool // of *[]byte: packets above 32 KiB, while they are being worked on

	mu       sync.Mutex
	open     map[*connection]struct{}
	waiting  map[netip.Addr]int // not logged in yet
	waits    int
	stopping atomic.Bool

	counts struct{ connections, turnedAway, logins, loginsFailed, transfers, refused, commands atomic.Int64 }
}

// Counts are totals since the start.
type Counts struct {
	Connections  int64 // taken
	TurnedAway   int64 // closed at once: not in the list, or too many
	Logins       int64
	LoginsFailed int64
	Transfers    int64 // begun
	Refused      int64 // requests for files that were refused
	Commands     int64 // of SSH that were refused: shells, commands, forwardings
}

// Listen binds the port and starts nothing.
func Listen(cfg Config, parts Parts, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	var how net.ListenConfig
	how.SetMultipathTCP(false) // TCP_INFO is of one path, and Landlock sees no other
	lis, err := how.Listen(context.Background(), "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &Server{
		cfg: cfg, parts: parts, log: log, lis: lis, singly: rate.NewLimiter(1, 20),
		open: map[*connection]struct{}{}, waiting: map[netip.Addr]int{}, locks: locks{held: map[string]*lock{}},
	}
	s.bufs.New = func() any { b := make([]byte, 0, bigBuffer); return &b }
	return s, nil
}

// Addrs is where it listens.
func (s *Server) Addrs() []netip.AddrPort {
	a, ok := s.lis.Addr().(*net.TCPAddr)
	if !ok {
		return nil
	}
	p := a.AddrPort()
	return []netip.AddrPort{netip.AddrPortFrom(p.Addr().Unmap(), p.Port())}
}

// Close closes the port of a server that was never run.
func (s *Server) Close() { _ = s.lis.Close() }

// Counts may be called at any time.
func (s *Server) Counts() Counts {
	c := &s.counts
	return Counts{
		Connections: c.connections.Load(), TurnedAway: c.turnedAway.Load(), Logins: c.logins.Load(), LoginsFailed: c.loginsFailed.Load(),
		Transfers: c.transfers.Load(), Refused: c.refused.Load(), Commands: c.commands.Load(),
	}
}

// Run serves until ctx ends. It then takes no new connection, ends sessions without an open file, gives the others the drain time, ends them, and
// returns when all of it is recorded. It can be called once.
func (s *Server) Run(ctx context.Context, to tallyman.Recorder) error {
	var all sync.WaitGroup
	stop := context.AfterFunc(ctx, func() { _ = s.lis.Close() })
	defer stop()
	var err error
	for pause := time.Millisecond; ; {
		nc, aerr := s.lis.Accept()
		if aerr == nil {
			pause = time.Millisecond
			s.take(nc, to, &all)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		if errors.Is(aerr, net.ErrClosed) {
			err = fmt.Errorf("accept: %w", aerr)
			break
		}
		// Out of files or memory: what is open goes on, and ends.
		s.log.Warn("connection not taken", "err", aerr, "again_in", pause.String())
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, time.Second)
	}
	s.drain()
	all.Wait()
	return err
}

// take begins to serve a connection, or closes it.
func (s *Server) take(nc net.Conn, to tallyman.Recorder, all *sync.WaitGroup) {
	c := s.newConnection(nc, to)
	why, reason := "", tallyman.RateLimited
	if ok, text := s.parts.Gate(c.peer.Addr()); !ok {
		why, reason = text, tallyman.NotAllowed
	} else if left := s.parts.Users.Banned(c.peer.Addr()); left > 0 {
		why = fmt.Sprintf("%s failed too often: no login for %s", c.peer.Addr(), left.Round(time.Second))
	}
	s.mu.Lock()
	switch {
	case why != "":
	case len(s.open) >= s.cfg.Connections:
		why = fmt.Sprintf("%d connections are open, and no more are taken", len(s.open))
	case s.waits >= s.cfg.Waiting:
		why = fmt.Sprintf("%d connections are not logged in yet, and no more are taken", s.waits)
	case s.waiting[user.Source(c.peer.Addr())] >= s.cfg.WaitingEach:
		why = fmt.Sprintf("%d connections of this address are not logged in yet, and no more are taken", s.cfg.WaitingEach)
	default:
		s.open[c] = struct{}{}
		s.waiting[user.Source(c.peer.Addr())]++
		s.waits++
	}
	s.mu.Unlock()
	if why != "" {
		s.counts.turnedAway.Add(1)
		if s.singly.Allow() {
			c.event(tallyman.KindLoginFailed, reason, "", why, nil)
		}
		_ = nc.Close() // nobody was promised anything
		return
	}
	s.counts.connections.Add(1)
	all.Go(func() {
		defer s.leave(c)
		c.serve()
	})
}

// entered notes that the connection is logged in, or gone.
func (s *Server) entered(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.in {
		return
	}
	c.in = true
	s.waits--
	at := user.Source(c.peer.Addr())
	if s.waiting[at]--; s.waiting[at] == 0 {
		delete(s.waiting, at)
	}
}

func (s *Server) leave(c *connection) {
	s.entered(c)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// drain ends what is idle, waits for the rest, and ends that too.
func (s *Server) drain() {
	s.stopping.Store(true)
	s.mu.Lock()
	for c := range s.open {
		c.endIdle()
	}
	s.mu.Unlock()
	late := time.After(s.cfg.Drain)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s.mu.Lock()
		left := len(s.open)
		s.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			s.mu.Lock()
			for c := range s.open {
				c.end(tallyman.Shutdown)
			}
			s.mu.Unlock()
			return
		}
	}
}

// locks lets one at a time change a file whose old content counts.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	mu    sync.Mutex
	users int
}

// take waits for the file of that path; the returned function lets it go.
func (l *locks) take(path string) func() {
	l.mu.Lock()
	one := l.held[path]
	if one == nil {
		one = &lock{}
		l.held[path] = one
	}
	one.users++
	l.mu.Unlock()
	one.mu.Lock()
	return func() {
		one.mu.Unlock()
		l.mu.Lock()
		if one.users--; one.users == 0 {
			delete(l.held, path)
		}
		l.mu.Unlock()
	}
}
