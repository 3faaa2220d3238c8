package load

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func portOf(t *testing.T, fd int) int {
	t.Helper()
	a, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return a.(*unix.SockaddrInet4).Port
}

func TestNoPortComesAgainBeforeAllOthers(t *testing.T) {
	p := &ports{last: lastPort - 50}
	seen := map[int]bool{}
	for range 100 { // past the end of the range
		fd, err := p.open(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		port := portOf(t, fd)
		unix.Close(fd)
		if seen[port] || port < firstPort || port > lastPort {
			t.Errorf("port %d, after %d others", port, len(seen))
		}
		seen[port] = true
	}
}

func TestPortThatIsTakenIsPassedOver(t *testing.T) {
	p := newPorts()
	first, err := p.open(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(first)
	p.last = uint16(portOf(t, first)) - 1
	second, err := p.open(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(second)
	if portOf(t, second) == portOf(t, first) {
		t.Error("two sockets share a port")
	}
}

func TestSocketHasTheReceiveBufferOfTheSpec(t *testing.T) {
	fd, err := newPorts().open(0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF); got != 200_000 || err != nil {
		t.Errorf("SO_RCVBUF %d, %v; the kernel doubles what is asked, man 7 socket", got, err)
	}
}

func TestRawAddressIsInNetworkOrder(t *testing.T) {
	fd, err := newPorts().open(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	a := rawAddress(netip.MustParseAddrPort("127.0.0.2:6969"))
	if err := connect(fd, &a); err != nil {
		t.Fatal(err)
	}
	peer, err := unix.Getpeername(fd)
	if p, ok := peer.(*unix.SockaddrInet4); err != nil || !ok || p.Port != 6969 || p.Addr != [4]byte{127, 0, 0, 2} {
		t.Errorf("connected to %v, %v", peer, err)
	}
}
