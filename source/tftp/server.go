package tftp

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	"tallyman"
	"tallyman/source/tftp/record"
	"tallyman/source/tftp/udp"
)

// Server is a TFTP server; a [tallyman.Source].
type Server struct {
	cfg   Config
	files Files
	gate  Gate
	log   *slog.Logger
	host  string
	proc  tallyman.Proc

	ports  []udp.Port
	counts record.Totals
}

// Counts are totals since the start, for metrics.
type Counts = record.Counts

// Identity is how the server signs evidence.
type Identity struct {
	Host string
	Proc tallyman.Proc
}

// Listen opens the request ports and starts nothing. Where there is no IPv6
// a server on all addresses serves IPv4 alone.
func Listen(cfg Config, files Files, gate Gate, who Identity, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	at, err := udp.Addresses(cfg.Listen)
	if err != nil {
		return nil, err
	}
	ports, err := udp.ListenAll(at)
	if err != nil {
		return nil, err
	}
	if len(ports) < len(at) {
		log.Info("there is no IPv6 here: serving IPv4 alone")
	}
	return &Server{cfg: cfg, files: files, gate: gate, log: log, host: who.Host, proc: who.Proc, ports: ports}, nil
}

// Addrs are the request ports.
func (s *Server) Addrs() []netip.AddrPort {
	out := make([]netip.AddrPort, len(s.ports))
	for i, p := range s.ports {
		out[i] = p.At
	}
	return out
}

// Close closes the request ports of a server that was never run.
func (s *Server) Close() {
	for i := range s.ports {
		s.ports[i].Socket.Close()
	}
}

// Counts may be called at any time.
func (s *Server) Counts() Counts { return s.counts.Counts() }

// Run serves until ctx ends. It then takes no new request, gives running
// transfers the drain time, ends the rest with an ERROR, and returns when all
// of it is recorded. It can be called once.
func (s *Server) Run(ctx context.Context, to tallyman.Recorder) error {
	l, err := newLoop(s, to)
	if err != nil {
		s.Close()
		return fmt.Errorf("serve tftp: %w", err)
	}
	defer l.close()
	told := make(chan struct{})
	unwatch := context.AfterFunc(ctx, func() {
		l.stopping.Store(true)
		l.poll.Wake()
		close(told)
	})
	l.run()
	if !unwatch() {
		<-told
	}
	return nil
}
