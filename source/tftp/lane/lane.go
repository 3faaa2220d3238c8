// Package lane keeps the ports that transfers leave from (TIDs, RFC 1350
// section 4), so that a request does not cost a socket.
//
//	ForRead ──> a lane at the address that was asked: one that rests, a new one, at last a shared one
//	ForUpload > a lane of its own, with room for the window; closed at the end
//	Single > the one lane of an address, when all goes over the request port
//	Enter ──> the transfer runs ──> Leave: the lane rests, until others have served in between
//
// It promises that one client has never two transfers on one lane, that a lane
// which served a client does not serve the same client next, and that a lane
// serves nobody before restingLanes others have, unless too many are open: a
// late packet of an earlier transfer meets no later one. Which packet belongs to
// which transfer of a shared lane it leaves to the caller. T is the caller's
// transfer. It all belongs to one goroutine.
package lane

import (
	"net/netip"

	"tallyman/source/tftp/udp"
)

const (
	// restingLanes stay unused for a while before they serve again.
	restingLanes = 16
	// sharedFrom is the number of lanes at one address from which on reads share
	// them, so that ten thousand slow readers cost no ten thousand sockets.
	sharedFrom = 512
)

// PlainRoom is what a socket holds unasked, as the kernel counts (net.core.rmem_default).
const PlainRoom = 212992

// MostRoom is what the window of an upload may be granted by at most. What is
// granted in the end depends on ForUpload.
const MostRoom = 4 << 20

// Lane is a socket with a port of its own.
type Lane[T any] struct {
	Socket udp.Socket
	Self   netip.AddrPort
	Solo   *T       // the only user; nil when there are more, or none
	Users  int      //
	Last   udp.Addr // who left last: what it still sends is late, not strange
	Held   bool     // not to be shared for a while: a thread waits in the socket
	Port   bool     // takes requests too: the only lane of its address

	home  *home[T] // where it rests; nil: it is closed when its user leaves, an upload's or one too many
	index uint32
	turn  uint32 // changes when the index is used again: events of a closed lane are told by it
}

// Token names the lane in the poll. It is below 1<<63.
func (a *Lane[T]) Token() uint64 { return uint64(a.turn)<<32 | uint64(a.index) }

// Enter lets t use the lane.
func (a *Lane[T]) Enter(t *T) {
	a.Users++
	a.Solo = t
	if a.Users > 1 || a.Port {
		a.Solo = nil
	}
}

// Lanes are all lanes of one poll.
type Lanes[T any] struct {
	poll  *udp.Poll
	all   []*Lane[T] // by index; an entry whose socket is closed waits in spare
	spare []uint32
	homes map[netip.Addr]*home[T]
}

// home holds the lanes that reads use at one of our addresses.
type home[T any] struct {
	lanes []*Lane[T]
	rest  []*Lane[T] // without user, the longest resting first
	next  int        // where sharing goes on
}

// New makes no lane yet.
func New[T any](poll *udp.Poll) *Lanes[T] {
	return &Lanes[T]{poll: poll, homes: map[netip.Addr]*home[T]{}}
}

// ForRead finds a lane at the local address for a client. busy tells whether
// the client has a transfer on a lane that is about to be shared. The caller
// calls Enter, or Pass when it only sent a packet.
func (l *Lanes[T]) ForRead(local netip.Addr, peer *udp.Addr, busy func(*Lane[T]) bool) (*Lane[T], error) {
	h := l.homes[local]
	if h == nil {
		h = &home[T]{}
		l.homes[local] = h
	}
	if len(h.rest) > restingLanes && !h.rest[0].Last.Same(peer) {
		return h.take(0), nil
	}
	if len(h.lanes) < sharedFrom {
		a, err := l.open(local)
		if err == nil {
			a.home = h
			h.lanes = append(h.lanes, a)
			return a, nil
		}
		if len(h.lanes) == 0 {
			return nil, err
		}
	}
	for i, a := range h.rest {
		if !a.Last.Same(peer) {
			return h.take(i), nil
		}
	}
	for range h.lanes {
		a := h.lanes[h.next%len(h.lanes)]
		h.next++
		if !a.Held && !busy(a) {
			return a, nil
		}
	}
	return l.open(local) // one client has a transfer on every lane
}

func (h *home[T]) take(i int) *Lane[T] {
	a := h.rest[i]
	copy(h.rest[1:i+1], h.rest[:i])
	h.rest = h.rest[1:]
	return a
}

// ForUpload opens a lane of its own that can hold a window of DATA, in bytes,
// twice, and returns what a window may be granted by. A packet takes up to twice
// its payload in the kernel, which is why the kernel doubles what it is asked for.
func (l *Lanes[T]) ForUpload(local netip.Addr, window int) (*Lane[T], int, error) {
	a, err := l.open(local)
	if err != nil {
		return nil, 0, err
	}
	if 4*window <= PlainRoom {
		return a, PlainRoom, nil
	}
	return a, a.Socket.ReceiveBuffer(2*window) * 3 / 2, nil
}

// Single is the lane for everything at one address, on the request port itself.
// It takes the requests for that address from then on.
func (l *Lanes[T]) Single(request udp.Socket, local netip.Addr) (*Lane[T], error) {
	h := l.homes[local]
	if h == nil {
		h = &home[T]{}
		l.homes[local] = h
	}
	if len(h.lanes) == 0 {
		s, err := udp.OpenBeside(request, local)
		if err != nil {
			return nil, err
		}
		a, err := l.adopt(s)
		if err != nil {
			return nil, err
		}
		a.Port = true
		h.lanes = append(h.lanes, a)
	}
	return h.lanes[0], nil
}

// open opens a lane for one transfer.
func (l *Lanes[T]) open(local netip.Addr) (*Lane[T], error) {
	s, err := udp.Open(local)
	if err != nil {
		return nil, err
	}
	return l.adopt(s)
}

// adopt makes a lane of a socket.
func (l *Lanes[T]) adopt(s udp.Socket) (*Lane[T], error) {
	self, err := s.LocalAddr()
	if err != nil {
		s.Close()
		return nil, err
	}
	var a *Lane[T]
	if n := len(l.spare); n > 0 {
		a = l.all[l.spare[n-1]]
		l.spare = l.spare[:n-1]
		*a = Lane[T]{index: a.index, turn: (a.turn + 1) & (1<<31 - 1)}
	} else {
		a = &Lane[T]{index: uint32(len(l.all))}
		l.all = append(l.all, a)
	}
	a.Socket, a.Self = s, self
	if err := l.poll.Add(s, a.Token()); err != nil {
		l.shut(a)
		return nil, err
	}
	return a, nil
}

// At finds the lane of an event, nil when it is closed by now.
func (l *Lanes[T]) At(token uint64) *Lane[T] {
	index := uint32(token)
	if int(index) >= len(l.all) || l.all[index].turn != uint32(token>>32) || !l.all[index].Socket.IsOpen() {
		return nil
	}
	return l.all[index]
}

// Leave ends the use of a lane by t, whose client is peer.
func (l *Lanes[T]) Leave(a *Lane[T], t *T, peer *udp.Addr) {
	a.Users--
	if a.Solo == t {
		a.Solo = nil
	}
	l.Pass(a, peer)
}

// Pass gives a lane back that a packet to peer left from. Without user it
// rests, or is closed when it was opened for one transfer.
func (l *Lanes[T]) Pass(a *Lane[T], peer *udp.Addr) {
	a.Last = *peer
	switch {
	case a.Users > 0 || a.Port:
	case a.home == nil:
		l.shut(a)
	default:
		a.home.rest = append(a.home.rest, a)
	}
}

func (l *Lanes[T]) shut(a *Lane[T]) {
	a.Socket.Close()
	l.spare = append(l.spare, a.index)
}

// Close closes every lane.
func (l *Lanes[T]) Close() {
	for _, a := range l.all {
		a.Socket.Close()
	}
}
