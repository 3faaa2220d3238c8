//go:build real

package real

import (
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// fate is what happens to a packet on its way.
type fate uint8

const (
	passes  fate = iota
	dropped      // is lost
	doubled      // comes twice
	delayed      // comes after the next one
)

// relay is a network of our own between clients and a server. Each client has a flow: the server sees the flow's near socket as the client, the
// client sees the flow's far socket as the server's TID.
//
//	client <──> front (requests), far (the rest) │ near <──> server's request port, then its TID
type relay struct {
	t      testing.TB
	server netip.AddrPort
	front  *net.UDPConn
	addr   netip.AddrPort
	decide func(toClient bool, n int) fate // n counts the packets of a flow in one direction, from 0; called under mu

	mu    sync.Mutex
	flows map[netip.AddrPort]*flow
	lost  int
}

type flow struct {
	client, tid netip.AddrPort
	near, far   *net.UDPConn
	count       [2]int
	held        [2][]byte // a packet that waits for the next one
}

// holdFor is how long a packet waits for one that overtakes it.
const holdFor = 20 * time.Millisecond

func newRelay(t testing.TB, server netip.AddrPort, decide func(toClient bool, n int) fate) *relay {
	t.Helper()
	r := &relay{t: t, server: server, decide: decide, flows: map[netip.AddrPort]*flow{}}
	r.front = r.socket()
	r.addr = addrOf(r.front)
	t.Cleanup(r.close)
	go r.listen(r.front, func(p []byte, from netip.AddrPort) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f := r.flow(from)
		r.pass(f, false, p, func(p []byte) { _, _ = f.near.WriteToUDPAddrPort(p, r.server) })
	})
	return r
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func (r *relay) socket() *net.UDPConn {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		r.t.Fatal(err)
	}
	_ = c.SetReadBuffer(4 << 20) // the kernel must lose nothing by itself
	return c
}

// listen hands each packet on until the socket is closed. A port that is closed at the other end is no reason to end.
func (r *relay) listen(c *net.UDPConn, take func(p []byte, from netip.AddrPort)) {
	buf := make([]byte, 65536)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		take(buf[:n], from)
	}
}

// flow finds the flow of a client or makes it.
func (r *relay) flow(client netip.AddrPort) *flow {
	f := r.flows[client]
	if f != nil {
		return f
	}
	f = &flow{client: client, near: r.socket(), far: r.socket()}
	r.flows[client] = f
	go r.listen(f.near, func(p []byte, from netip.AddrPort) {
		r.mu.Lock()
		defer r.mu.Unlock()
		f.tid = from
		r.pass(f, true, p, func(p []byte) { _, _ = f.far.WriteToUDPAddrPort(p, f.client) })
	})
	go r.listen(f.far, func(p []byte, _ netip.AddrPort) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pass(f, false, p, func(p []byte) { _, _ = f.near.WriteToUDPAddrPort(p, f.tid) })
	})
	return f
}

// pass sends a packet on, or does to it what was decided.
func (r *relay) pass(f *flow, toClient bool, p []byte, send func([]byte)) {
	way := 0
	if toClient {
		way = 1
	}
	n := f.count[way]
	f.count[way]++
	switch r.decide(toClient, n) {
	case passes:
	case dropped:
		r.lost++
		return
	case doubled:
		send(p)
	case delayed:
		if f.held[way] == nil {
			held := append([]byte(nil), p...)
			f.held[way] = held
			time.AfterFunc(holdFor, func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				if h := f.held[way]; len(h) > 0 && &h[0] == &held[0] {
					f.held[way] = nil
					send(held)
				}
			})
			return
		}
	}
	send(p)
	if h := f.held[way]; h != nil {
		f.held[way] = nil
		send(h)
	}
}

func (r *relay) close() {
	_ = r.front.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.flows {
		_ = f.near.Close()
		_ = f.far.Close()
	}
}
