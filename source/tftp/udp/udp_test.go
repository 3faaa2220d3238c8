package udp

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const patience = 5 * time.Second

func loopback(t *testing.T, ip string) Socket {
	t.Helper()
	s, err := Open(netip.MustParseAddr(ip))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Timeout(patience); err != nil {
		t.Fatal(err)
	}
	return s
}

func addrOf(t *testing.T, s Socket) Addr {
	t.Helper()
	ap, err := s.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	return MakeAddr(ap)
}

// await waits until s has something, by the event itself.
func await(t *testing.T, s Socket) Event {
	t.Helper()
	p, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Add(s, 7); err != nil {
		t.Fatal(err)
	}
	if p.Wait(patience) == 0 {
		t.Fatal("nothing came")
	}
	e, _ := p.Event(0)
	return e
}

func TestAddrKeepsAddressPortAndInterface(t *testing.T) {
	keeps := func(text string) {
		t.Helper()
		ap := netip.MustParseAddrPort(text)
		a := MakeAddr(ap)
		if got := a.AddrPort(); got != ap {
			t.Errorf("%v became %v", ap, got)
		}
	}
	keeps("192.0.2.1:69")
	keeps("0.0.0.0:65535")
	keeps("[2001:db8::1]:69")
	keeps("[fe80::1%3]:1069")
	var none Addr
	if none.AddrPort().IsValid() {
		t.Error("the zero Addr claims an address")
	}
}

func TestSameComparesWholeEnds(t *testing.T) {
	same := func(a, b string) bool {
		x, y := MakeAddr(netip.MustParseAddrPort(a)), MakeAddr(netip.MustParseAddrPort(b))
		return x.Same(&y)
	}
	if !same("192.0.2.1:69", "192.0.2.1:69") || !same("[fe80::1%3]:9", "[fe80::1%3]:9") {
		t.Error("equal ends differ")
	}
	if same("192.0.2.1:69", "192.0.2.1:70") || same("192.0.2.1:69", "192.0.2.2:69") ||
		same("[fe80::1%3]:9", "[fe80::1%4]:9") || same("[::1]:9", "[::2]:9") || same("192.0.2.1:69", "[::1]:69") {
		t.Error("different ends are the same")
	}
}

func TestRequestPortTellsWhichAddressWasAsked(t *testing.T) {
	asked := func(listen, to, from string) {
		t.Helper()
		s, err := Listen(netip.MustParseAddrPort(listen))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		at, err := s.LocalAddr()
		if err != nil {
			t.Fatal(err)
		}
		client := loopback(t, from)
		target := MakeAddr(netip.AddrPortFrom(netip.MustParseAddr(to), at.Port()))
		if err := client.Send([]byte("request"), &target); err != nil {
			t.Fatal(err)
		}
		await(t, s)
		in := NewInbox(4, 4<<10)
		if n, err := in.Receive(s); n != 1 || err != nil {
			t.Fatalf("received %d, %v", n, err)
		}
		var p Packet
		own := addrOf(t, client)
		if !in.Next(&p) || string(p.Payload) != "request" || !p.From.Same(&own) || p.Asked.String() != to {
			t.Errorf("got %q from %v, asked %v, want %v", p.Payload, p.From.AddrPort(), p.Asked, to)
		}
		if in.Next(&p) {
			t.Error("one datagram was handed out twice")
		}
	}
	asked("0.0.0.0:0", "127.0.0.2", "127.0.0.1")
	asked("127.0.0.1:0", "127.0.0.1", "127.0.0.1")
	asked("[::]:0", "::1", "::1")
}

func TestRequestPortHasRoomForFourMebibytes(t *testing.T) {
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.ReceiveBuffer(requestBuffer); got < requestBuffer {
		t.Errorf("receive buffer of %d bytes", got)
	}
}

func TestSocketBesideTheRequestPortTakesItsAddress(t *testing.T) {
	beside := func(listen, local string) {
		t.Helper()
		request, err := Listen(netip.MustParseAddrPort(listen))
		if err != nil {
			t.Fatal(err)
		}
		defer request.Close()
		s, err := OpenBeside(request, netip.MustParseAddr(local))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := OpenBeside(request, netip.MustParseAddr(local)); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("a second one gave %v", err)
		}
		client := loopback(t, local)
		to, own := addrOf(t, s), addrOf(t, client)
		if err := client.Send([]byte("x"), &to); err != nil {
			t.Fatal(err)
		}
		await(t, s)
		if err := s.Send([]byte("y"), &own); err != nil {
			t.Fatal(err)
		}
		var from Addr
		if n, err := client.ReceiveWait(make([]byte, 4), &from); n != 1 || err != nil || !from.Same(&to) {
			t.Errorf("answered from %v: %v", from.AddrPort(), err)
		}
		at, _ := request.LocalAddr()
		if _, err := Listen(netip.AddrPortFrom(netip.MustParseAddr(local), at.Port())); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("another listener gave %v", err)
		}
	}
	beside("0.0.0.0:0", "127.0.0.3")
	beside("[::]:0", "::1")
}

func TestTakenPortIsAnError(t *testing.T) {
	first, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	at, _ := first.LocalAddr()
	second, err := Listen(at)
	if !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a second listener got %v", err)
	}
	if second.IsOpen() {
		t.Error("the socket that could not bind stays open")
	}
}

func TestReplyLeavesFromTheAddressThatWasAsked(t *testing.T) {
	client, server := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.2")
	to := addrOf(t, client)
	if err := server.Send([]byte("data"), &to); err != nil {
		t.Fatal(err)
	}
	var from Addr
	buf := make([]byte, 16)
	if n, err := client.ReceiveWait(buf, &from); n != 4 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if want := addrOf(t, server); !from.Same(&want) {
		t.Errorf("reply came from %v", from.AddrPort())
	}
}

func TestReceiveTellsTheWholeLength(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	to := addrOf(t, b)
	if err := a.Send(make([]byte, 100), &to); err != nil {
		t.Fatal(err)
	}
	await(t, b)
	var from Addr
	if n, err := b.Receive(make([]byte, 10), &from); n != 100 || err != nil {
		t.Errorf("a packet of 100 bytes in a buffer of 10 gave %d, %v", n, err)
	}
	if _, err := b.Receive(make([]byte, 10), &from); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("an empty socket gave %v", err)
	}
}

func TestReceiveSoonTakesWhatComesAndGivesUpWhenNothingDoes(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	to, buf := addrOf(t, a), make([]byte, 8)
	var from Addr
	began := time.Now()
	if _, err := a.ReceiveSoon(buf, &from, time.Millisecond); !errors.Is(err, unix.EAGAIN) || time.Since(began) < time.Millisecond {
		t.Errorf("with nothing to come: %v after %v", err, time.Since(began))
	}
	var sender sync.WaitGroup
	sender.Go(func() {
		if err := b.Send([]byte("ack"), &to); err != nil {
			t.Error(err)
		}
	})
	if n, err := a.ReceiveSoon(buf, &from, patience); n != 3 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	sender.Wait()
}

func TestReceiveWaitEndsAtItsTimeout(t *testing.T) {
	s := loopback(t, "127.0.0.1")
	if err := s.Timeout(time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var from Addr
	if _, err := s.ReceiveWait(make([]byte, 8), &from); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("waiting gave %v", err)
	}
}

func TestVanishedPeerIsTold(t *testing.T) {
	vanished := func(ip string) {
		t.Helper()
		s, other, gone := loopback(t, ip), loopback(t, ip), loopback(t, ip)
		peer, alive := addrOf(t, gone), addrOf(t, other)
		gone.Close()
		if err := s.Send([]byte("anybody?"), &peer); err != nil {
			t.Fatal(err)
		}
		if e := await(t, s); !e.Fault || e.Token != 7 {
			t.Errorf("event is %+v", e)
		}
		var f Fault
		if !s.Fault(&f) || !f.Gone() || !f.About.Same(&peer) {
			t.Errorf("fault is %v about %v, want refused about %v", f.Errno, f.About.AddrPort(), peer.AddrPort())
		}
		if s.Fault(&f) {
			t.Error("one error was told twice")
		}
		if err := s.Send([]byte("hello"), &alive); err != nil {
			t.Errorf("sending to somebody else afterwards: %v", err)
		}
	}
	vanished("127.0.0.1")
	vanished("::1")
}

func TestPollWakesOnceForManyCalls(t *testing.T) {
	p, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	p.Wake()
	p.Wake()
	if n := p.Wait(patience); n != 1 {
		t.Fatalf("%d events", n)
	}
	if e, ok := p.Event(0); ok {
		t.Errorf("the wake-up is taken for a socket: %+v", e)
	}
	if n := p.Wait(0); n != 0 {
		t.Errorf("the wake-up stays up: %d events", n)
	}
	p.Wake()
	if n := p.Wait(patience); n != 1 {
		t.Error("a later wake-up is lost")
	}
}

func TestLettersOfManyArriveOnce(t *testing.T) {
	p, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	box := NewMailbox[int](p)
	const writers, each = 8, 200
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				box.Put(w*each + i)
			}
		})
	}
	got := map[int]bool{}
	for len(got) < writers*each {
		if p.Wait(patience) == 0 {
			t.Fatalf("no wake-up, %d of %d letters came", len(got), writers*each)
		}
		p.Event(0)
		for _, letter := range box.Take() {
			if got[letter] {
				t.Fatalf("letter %d came twice", letter)
			}
			got[letter] = true
		}
	}
	wg.Wait()
}

func TestPollFollowsItsSockets(t *testing.T) {
	p, err := NewPoll()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	const token = 1<<40 | 5
	if err := p.Add(b, 1); err != nil {
		t.Fatal(err)
	}
	if err := p.Change(b, token); err != nil {
		t.Fatal(err)
	}
	to := addrOf(t, b)
	if err := a.Send([]byte("x"), &to); err != nil {
		t.Fatal(err)
	}
	if n := p.Wait(patience); n != 1 {
		t.Fatalf("%d events", n)
	}
	if e, ok := p.Event(0); !ok || e.Token != token || e.Fault {
		t.Errorf("event is %+v", e)
	}
	p.Remove(b)
	if n := p.Wait(0); n != 0 {
		t.Errorf("a socket no longer watched gave %d events", n)
	}
	if n := p.Wait(time.Millisecond); n != 0 {
		t.Errorf("waiting for nothing gave %d events", n)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	to := addrOf(t, b)
	in, out := NewInbox(8, 8<<10), NewOutbox()
	payload, buf := make([]byte, 512), make([]byte, 600)
	var from Addr
	var way Route
	var p Packet
	allocates := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(50, f); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	allocates("send and receive", func() {
		if a.Send(payload, &to) != nil {
			t.Error("not sent")
		}
		if n, _ := b.Receive(buf, &from); n != 512 {
			t.Error("not received")
		}
	})
	allocates("a window", func() {
		for i := range 8 {
			out.Add(uint32(i), payload)
		}
		if _, err := out.Flush(a, &to, &way, false); err != nil {
			t.Error(err)
		}
		if n, _ := in.Receive(b); n != 8 {
			t.Errorf("%d received", n)
		}
		for in.Next(&p) {
		}
	})
}
