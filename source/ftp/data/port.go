package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Range is the ports to choose from; the zero Range leaves it to the kernel.
type Range struct{ First, Last uint16 }

// Anywhere is the range that the kernel itself draws from (ip-sysctl, ip_local_port_range). Where the host keeps ports of it for somebody, or does not say, it is
// the zero Range. Whoever leaves the choice to the kernel waits while it looks for a port on which no closed connection lingers: after some thousand
// transfers in a minute that takes it milliseconds (inet_csk_find_open_port). A port that is asked for by number may linger.
func Anywhere() Range {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	kept, wrong := os.ReadFile("/proc/sys/net/ipv4/ip_local_reserved_ports")
	var r Range
	if _, bad := fmt.Sscan(string(text), &r.First, &r.Last); errors.Join(err, wrong, bad) != nil || len(bytes.TrimSpace(kept)) > 0 || r.First > r.Last {
		return Range{}
	}
	return r
}

// Port waits for one connection of one client. It accepts from the start, so that a stranger's connection is closed at once.
type Port struct {
	listener *net.TCPListener
	client   netip.Addr
	stranger func(netip.AddrPort)
	came     chan *net.TCPConn // at most one
	once     sync.Once
	done     chan struct{}
}

// Errors of this room.
var (
	ErrNobody  = errors.New("nobody came")
	ErrForeign = errors.New("somebody else was reached")
)

// Listen opens a port on the local address for a client. It draws a port of the range and tries the next ones until one is free. stranger is called, on another
// goroutine, with whoever else connects.
func Listen(ctx context.Context, local, client netip.Addr, ports Range, stranger func(netip.AddrPort)) (*Port, error) {
	cfg := net.ListenConfig{KeepAlive: -1} // each step has a deadline of its own
	cfg.SetMultipathTCP(false)             // TCP_INFO and SIOCOUTQ speak of plain TCP
	span := int(ports.Last) - int(ports.First) + 1
	if ports.First == 0 {
		span = 1
	}
	start := rand.IntN(span) //nolint:gosec // it spreads the ports; who connects is looked at
	for i := range span {
		port := uint16(0)
		if ports.First != 0 {
			port = ports.First + uint16((start+i)%span)
		}
		l, err := cfg.Listen(ctx, network(local), netip.AddrPortFrom(local, port).String())
		if err != nil {
			if i == span-1 || !errors.Is(err, unix.EADDRINUSE) {
				return nil, err
			}
			continue
		}
		tcp, ok := l.(*net.TCPListener)
		if !ok {
			return nil, errors.Join(errors.New("this is no TCP"), l.Close())
		}
		p := &Port{listener: tcp, client: client.Unmap().WithZone(""), stranger: stranger, came: make(chan *net.TCPConn, 1), done: make(chan struct{})}
		go p.accept()
		return p, nil
	}
	return nil, ErrNobody
}

func network(a netip.Addr) string {
	if a.Is4() {
		return "tcp4"
	}
	return "tcp6"
}

// accept takes connections until the client's has come.
func (p *Port) accept() {
	defer close(p.done)
	for {
		c, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		peer := addrOf(c.RemoteAddr())
		if peer.Addr().WithZone("") == p.client {
			p.came <- c
			_ = p.listener.Close() // one is enough
			return
		}
		_ = c.SetLinger(0) // the stranger gets a reset, and no byte
		_ = c.Close()
		p.stranger(peer)
	}
}

// Number is the port's number.
func (p *Port) Number() uint16 { return addrOf(p.listener.Addr()).Port() }

// Came reports whether the client's connection is here: Wait will not wait.
func (p *Port) Came() bool { return len(p.came) > 0 }

// Wait returns the client's connection; ErrNobody when it does not come within patience or ctx ends.
func (p *Port) Wait(ctx context.Context, patience time.Duration) (*net.TCPConn, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c := <-p.came:
		return c, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, ErrNobody
	}
}

// Close closes the port, and a connection that nobody has asked for. It waits for nothing but the goroutine of the port.
func (p *Port) Close() {
	p.once.Do(func() {
		_ = p.listener.Close()
		<-p.done
		select {
		case c := <-p.came:
			_ = c.Close()
		default:
		}
	})
}

// Dial connects to a client that waits (active mode), from the local address of its control connection.
func Dial(ctx context.Context, local netip.Addr, to netip.AddrPort, patience time.Duration) (*net.TCPConn, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	d.SetMultipathTCP(false)
	c, err := d.DialContext(ctx, network(to.Addr()), to.String())
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, errors.Join(ErrForeign, c.Close())
	}
	return tcp, nil
}

func addrOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := t.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// Ends are the peer and the local end of a connection.
func Ends(c net.Conn) (peer, local netip.AddrPort) {
	return addrOf(c.RemoteAddr()), addrOf(c.LocalAddr())
}
