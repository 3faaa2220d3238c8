package tftp

import (
	"net/netip"

	"tallyman/source/tftp/udp"
)

const (
	// restingLanes stay unused for a while before they serve again: a late packet
	// of an earlier transfer then meets no new one of the same client.
	restingLanes = 16
	// sharedFrom is the number of lanes at one address from which on reads share
	// them. The peer's address tells the transfers of one lane apart, so that ten
	// thousand slow readers cost no ten thousand sockets.
	sharedFrom = 512
)

// lane is a socket with a port of its own (a TID, RFC 1350 section 4) that
// transfers leave from. A read shares it if need be; an upload has it alone.
type lane struct {
	socket udp.Socket
	self   netip.AddrPort
	index  uint32
	turn   uint32 // changes when the index is used again: events of a closed lane are told by it
	users  int
	solo   *transfer // the only user, nil when there are more or none
	closes bool      // when its user leaves: an upload's, or one too many
	held   bool      // a thread has it
	last   udp.Addr  // who left last: what it still sends is not a stranger's
}

// token names the lane in the poll.
func (a *lane) token() uint64 { return uint64(a.turn)<<32 | uint64(a.index) }

// lanes are all lanes of a loop.
type lanes struct {
	poll  *udp.Poll
	all   []*lane // by index; an entry whose socket is closed waits in spare
	spare []uint32
	homes map[netip.Addr]*home
}

// home holds the lanes that reads use at one of our addresses.
type home struct {
	lanes []*lane
	rest  []*lane // without user, the longest resting first
	next  int     // where sharing goes on
}

// forRead finds a lane at the local address for a client that has no other
// transfer on it.
func (l *lanes) forRead(local netip.Addr, peer *udp.Addr, busy func(*lane) bool) (*lane, error) {
	h := l.homes[local]
	if h == nil {
		h = &home{}
		l.homes[local] = h
	}
	if len(h.rest) > restingLanes && !h.rest[0].last.Same(peer) {
		return h.take(0), nil
	}
	if len(h.lanes) < sharedFrom {
		a, err := l.open(local)
		if err == nil {
			h.lanes = append(h.lanes, a)
			return a, nil
		}
		if len(h.lanes) == 0 {
			return nil, err
		}
	}
	for i, a := range h.rest {
		if !a.last.Same(peer) {
			return h.take(i), nil
		}
	}
	for range h.lanes {
		a := h.lanes[h.next%len(h.lanes)]
		h.next++
		if !a.held && !busy(a) {
			return a, nil
		}
	}
	return l.brief(local) // one client has a transfer on every lane
}

func (h *home) take(i int) *lane {
	a := h.rest[i]
	copy(h.rest[1:i+1], h.rest[:i])
	h.rest = h.rest[1:]
	return a
}

// brief opens a lane for one transfer.
func (l *lanes) brief(local netip.Addr) (*lane, error) {
	a, err := l.open(local)
	if err == nil {
		a.closes = true
	}
	return a, err
}

const (
	// mostRoom is what an upload's window may be granted by; a lane that has less lowers the window.
	mostRoom = 4 << 20
	// plainRoom is what a socket has unasked (net.core.rmem_default).
	plainRoom = 212992
)

// forUpload opens a lane of its own that can hold the window of DATA twice,
// and returns what a window may be granted by. A packet takes up to twice its
// payload in the kernel, which is why the kernel doubles what it is asked for.
func (l *lanes) forUpload(local netip.Addr, window int) (*lane, int, error) {
	a, err := l.brief(local)
	if err != nil {
		return nil, 0, err
	}
	if 4*window <= plainRoom {
		return a, plainRoom, nil
	}
	return a, a.socket.ReceiveBuffer(2*window) * 3 / 2, nil
}

func (l *lanes) open(local netip.Addr) (*lane, error) {
	s, err := udp.Open(local)
	if err != nil {
		return nil, err
	}
	self, err := s.LocalAddr()
	if err != nil {
		s.Close()
		return nil, err
	}
	var a *lane
	if n := len(l.spare); n > 0 {
		a = l.all[l.spare[n-1]]
		l.spare = l.spare[:n-1]
		*a = lane{index: a.index, turn: a.turn + 1}
	} else {
		a = &lane{index: uint32(len(l.all))}
		l.all = append(l.all, a)
	}
	a.socket, a.self = s, self
	if err := l.poll.Add(s, a.token()); err != nil {
		l.shut(a)
		return nil, err
	}
	return a, nil
}

// at finds the lane of an event, nil when it is closed by now.
func (l *lanes) at(token uint64) *lane {
	index := uint32(token)
	if int(index) >= len(l.all) || l.all[index].turn != uint32(token>>32) || !l.all[index].socket.IsOpen() {
		return nil
	}
	return l.all[index]
}

// enter lets t use the lane.
func (a *lane) enter(t *transfer) {
	a.users++
	a.solo = t
	if a.users > 1 {
		a.solo = nil
	}
}

// leave ends the use.
func (l *lanes) leave(a *lane, t *transfer) {
	a.users--
	if a.solo == t {
		a.solo = nil
	}
	l.pass(a, &t.peer)
}

// pass gives a lane back that a packet to peer left from. Without user it
// rests, or is closed when it was opened for one transfer.
func (l *lanes) pass(a *lane, peer *udp.Addr) {
	a.last = *peer
	switch {
	case a.users > 0:
	case a.closes:
		l.shut(a)
	default:
		h := l.homes[a.self.Addr()]
		h.rest = append(h.rest, a)
	}
}

func (l *lanes) shut(a *lane) {
	a.socket.Close()
	l.spare = append(l.spare, a.index)
}

// shutAll closes every lane.
func (l *lanes) shutAll() {
	for _, a := range l.all {
		a.socket.Close()
	}
}
