package lane

import (
	"net/netip"
	"testing"

	"tallyman/source/tftp/udp"
)

type transfer struct {
	client netip.AddrPort
	peer   udp.Addr
	lane   *Lane[transfer]
}

func lanes(t *testing.T) *Lanes[transfer] {
	t.Helper()
	poll, err := udp.NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	l := New[transfer](poll)
	t.Cleanup(func() { l.Close(); poll.Close() })
	return l
}

func TestLanesRestBeforeTheyServeAgain(t *testing.T) {
	l := lanes(t)
	local := netip.MustParseAddr("127.0.0.1")
	client := udp.MakeAddr(netip.MustParseAddrPort("127.0.0.1:5"))
	never := func(*Lane[transfer]) bool { return false }
	seen := map[*Lane[transfer]]int{}
	for i := range 200 {
		a, err := l.ForRead(local, &client, never)
		if err != nil {
			t.Fatal(err)
		}
		if last, ok := seen[a]; ok && i-last < restingLanes {
			t.Fatalf("a lane came back after %d transfers", i-last)
		}
		seen[a] = i
		l.Pass(a, &client)
		client = udp.MakeAddr(netip.AddrPortFrom(local, uint16(i+10)))
	}
	if len(seen) != restingLanes+1 {
		t.Errorf("%d lanes were opened for one transfer at a time", len(seen))
	}
}

func TestLaneDoesNotServeTheSameClientNext(t *testing.T) {
	l := lanes(t)
	local := netip.MustParseAddr("127.0.0.1")
	client := udp.MakeAddr(netip.MustParseAddrPort("127.0.0.1:5"))
	seen := map[*Lane[transfer]]bool{}
	for range 100 {
		a, err := l.ForRead(local, &client, nil)
		if err != nil {
			t.Fatal(err)
		}
		if seen[a] {
			t.Fatal("a lane serves the client that it served before")
		}
		seen[a] = true
		l.Pass(a, &client)
	}
}

func TestLanesAreSharedButNotByOneClient(t *testing.T) {
	l := lanes(t)
	local := netip.MustParseAddr("127.0.0.1")
	on := map[netip.AddrPort]map[*Lane[transfer]]bool{}
	used := map[*Lane[transfer]]int{}
	var all []*transfer
	for i := range 3 * sharedFrom {
		x := &transfer{client: netip.AddrPortFrom(local, uint16(1+i%700))}
		x.peer = udp.MakeAddr(x.client)
		a, err := l.ForRead(local, &x.peer, func(a *Lane[transfer]) bool { return on[x.client][a] })
		if err != nil {
			t.Fatal(err)
		}
		if on[x.client][a] {
			t.Fatal("one client has two transfers on one lane")
		}
		if on[x.client] == nil {
			on[x.client] = map[*Lane[transfer]]bool{}
		}
		on[x.client][a] = true
		a.Enter(x)
		x.lane = a
		used[a]++
		all = append(all, x)
	}
	if len(used) != sharedFrom {
		t.Errorf("%d lanes for %d transfers", len(used), len(all))
	}
	for a, n := range used {
		if (a.Solo != nil) != (n == 1) || a.Users != n {
			t.Fatalf("a lane of %d transfers counts %d, the only one is %v", n, a.Users, a.Solo)
		}
	}
	for _, x := range all {
		l.Leave(x.lane, x, &x.peer)
	}
	if h := l.homes[local]; len(h.rest) != sharedFrom {
		t.Errorf("at the end %d lanes rest", len(h.rest))
	}
}

func TestHeldLaneIsNotShared(t *testing.T) {
	l := lanes(t)
	local := netip.MustParseAddr("127.0.0.1")
	var held *Lane[transfer]
	for i := range 3 * sharedFrom {
		x := &transfer{peer: udp.MakeAddr(netip.AddrPortFrom(local, uint16(i+1)))}
		a, err := l.ForRead(local, &x.peer, func(*Lane[transfer]) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		if a == held {
			t.Fatal("a held lane is shared")
		}
		a.Enter(x)
		if held == nil {
			held, a.Held = a, true
		}
	}
}

func TestUploadHasALaneOfItsOwn(t *testing.T) {
	l := lanes(t)
	local := netip.MustParseAddr("127.0.0.1")
	x := &transfer{}
	a, room, err := l.ForUpload(local, 512)
	if err != nil {
		t.Fatal(err)
	}
	if room != PlainRoom {
		t.Errorf("lockstep may be granted by %d bytes", room)
	}
	a.Enter(x)
	token := a.Token()
	if l.At(token) != a {
		t.Error("an open lane is not found")
	}
	l.Leave(a, x, &x.peer)
	if l.At(token) != nil || a.Socket.IsOpen() {
		t.Error("the lane of an upload outlives it")
	}
	b, room, err := l.ForUpload(local, 64*1428)
	if err != nil {
		t.Fatal(err)
	}
	if l.At(token) != nil || l.At(b.Token()) != b {
		t.Error("an event of the closed lane reaches the next one")
	}
	if room < 2*64*1428 {
		t.Errorf("a window of 64 blocks of 1428 bytes may be granted by %d", room)
	}
}

func TestSingleLaneIsTheOnlyOneOfItsAddress(t *testing.T) {
	l := lanes(t)
	request, err := udp.Listen(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer request.Close()
	local := netip.MustParseAddr("127.0.0.1")
	a, err := l.Single(request, local)
	if err != nil {
		t.Fatal(err)
	}
	at, _ := request.LocalAddr()
	x := &transfer{}
	a.Enter(x)
	if a.Self != netip.AddrPortFrom(local, at.Port()) || a.Solo != nil {
		t.Errorf("the lane is %+v", a)
	}
	l.Leave(a, x, &x.peer)
	if b, err := l.Single(request, local); err != nil || b != a || !a.Socket.IsOpen() {
		t.Errorf("the next transfer gets another lane: %v", err)
	}
}
