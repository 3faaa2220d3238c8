package udp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// fill adds packets of these payload sizes; packet i has head i and is filled with byte(i).
func fill(t *testing.T, o *Outbox, sizes []int) {
	t.Helper()
	for i, size := range sizes {
		if !o.Add(uint32(i), bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("no room for packet %d", i)
		}
	}
}

// arrive checks that the packets of fill come out of s in order.
func arrive(t *testing.T, in *Inbox, s Socket, sizes []int) {
	t.Helper()
	var p Packet
	for got := 0; got < len(sizes); {
		await(t, s)
		if _, err := in.Receive(s); err != nil {
			t.Fatal(err)
		}
		for in.Next(&p) {
			want := append(binary.BigEndian.AppendUint32(nil, uint32(got)), bytes.Repeat([]byte{byte(got)}, sizes[got])...)
			if !bytes.Equal(p.Payload, want) || p.Cut {
				t.Fatalf("packet %d of %d has %d bytes, want %d", got, len(sizes), len(p.Payload), len(want))
			}
			got++
		}
	}
}

func window(count, size, last int) []int {
	w := make([]int, count)
	for i := range w {
		w[i] = size
	}
	w[count-1] = last
	return w
}

func TestWindowArrivesByEveryRoute(t *testing.T) {
	out := NewOutbox()
	sends := func(route Route, sizes []int) {
		t.Helper()
		a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
		b.ReceiveBuffer(4 << 20)
		to, way := addrOf(t, b), route
		fill(t, out, sizes)
		if n, err := out.Flush(a, &to, &way, false); n != len(sizes) || err != nil {
			t.Fatalf("sent %d of %d: %v", n, len(sizes), err)
		}
		if way != route {
			t.Errorf("route %d was given up for %d", route, way)
		}
		arrive(t, NewInbox(64, 64*9000), b, sizes)
	}
	for _, route := range []Route{Segmented, Batched, Single} {
		sends(route, window(64, 512, 512))
		sends(route, window(64, 1428, 17)) // more than one datagram's worth
		sends(route, window(16, 1428, 0))
		sends(route, window(20, 8192, 100))
		sends(route, window(1, 8, 8))
		sends(route, []int{512, 512, 100, 512, 600, 600})
	}
}

func TestWindowArrivesOverIPv6(t *testing.T) {
	a, b := loopback(t, "::1"), loopback(t, "::1")
	b.ReceiveBuffer(1 << 20)
	to, out, sizes := addrOf(t, b), NewOutbox(), window(40, 1024, 3)
	var way Route
	fill(t, out, sizes)
	if n, err := out.Flush(a, &to, &way, true); n != 40 || err != nil || way != Segmented {
		t.Fatalf("sent %d by route %d: %v", n, way, err)
	}
	arrive(t, NewInbox(64, 64*1100), b, sizes)
}

func TestSocketThatCannotSegmentFallsBackByItself(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	// Without a checksum on send the kernel refuses to segment: EINVAL (net/ipv4/udp.c, udp_send_skb).
	if err := unix.SetsockoptInt(int(a.fd)-1, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1); err != nil {
		t.Fatal(err)
	}
	to, out, sizes := addrOf(t, b), NewOutbox(), window(30, 512, 5)
	var way Route
	fill(t, out, sizes)
	if n, err := out.Flush(a, &to, &way, false); n != 30 || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	if way != Batched {
		t.Errorf("route is %d, want sendmmsg", way)
	}
	arrive(t, NewInbox(32, 32*600), b, sizes)
}

func TestOnlyErrorsOfAbilityLowerTheRoute(t *testing.T) {
	for _, e := range []error{unix.EIO, unix.EINVAL, unix.EOPNOTSUPP, unix.EMSGSIZE, unix.ENOSYS} {
		if !cannot(e) {
			t.Errorf("%v keeps the route", e)
		}
	}
	for _, e := range []error{nil, unix.EAGAIN, unix.ECONNREFUSED, unix.EPERM, unix.ENETUNREACH, unix.ENOBUFS} {
		if cannot(e) {
			t.Errorf("%v gives the route up", e)
		}
	}
}

func TestEarlierFaultStopsAWindowAndIsTold(t *testing.T) {
	a, gone := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	to, out := addrOf(t, gone), NewOutbox()
	gone.Close()
	var way Route
	fill(t, out, window(4, 512, 512))
	if n, err := out.Flush(a, &to, &way, false); n != 4 || err != nil {
		t.Fatalf("first window: %d, %v", n, err)
	}
	fill(t, out, window(4, 512, 512))
	if _, err := out.Flush(a, &to, &way, false); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("second window gave %v", err)
	}
	if way != Segmented {
		t.Error("a vanished peer gave the route up")
	}
}

func TestFullOutboxTakesNoMore(t *testing.T) {
	out := NewOutbox()
	fill(t, out, window(64, 8, 8))
	if out.Add(64, nil) {
		t.Error("packet 65 was taken")
	}
}

func TestCoalescedPacketsAreTakenApart(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	if err := b.Coalesce(); err != nil {
		t.Fatal(err)
	}
	b.ReceiveBuffer(1 << 20)
	to, out, sizes := addrOf(t, b), NewOutbox(), window(40, 1428, 9)
	var way Route
	fill(t, out, sizes)
	if _, err := out.Flush(a, &to, &way, false); err != nil {
		t.Fatal(err)
	}
	await(t, b)
	in := NewInbox(4, 4*65535)
	n, err := in.Receive(b)
	if err != nil || n != 1 {
		t.Fatalf("%d messages, %v: the run was not coalesced", n, err)
	}
	var p Packet
	got := 0
	for in.Next(&p) {
		if len(p.Payload) != sizes[got]+4 || p.Payload[len(p.Payload)-1] != byte(got) {
			t.Fatalf("packet %d has %d bytes", got, len(p.Payload))
		}
		got++
	}
	if got != 40 {
		t.Errorf("%d packets came out", got)
	}
}

func TestPacketBeyondItsSlotIsMarkedCut(t *testing.T) {
	a, b := loopback(t, "127.0.0.1"), loopback(t, "127.0.0.1")
	to, in := addrOf(t, b), NewInbox(8, 8000)
	in.Shape(100)
	for _, size := range []int{100, 101, 0, 5} {
		if err := a.Send(make([]byte, size), &to); err != nil {
			t.Fatal(err)
		}
	}
	await(t, b)
	if n, _ := in.Receive(b); n != 4 {
		t.Fatalf("%d messages", n)
	}
	var p Packet
	for i, want := range []struct {
		size int
		cut  bool
	}{{100, false}, {100, true}, {0, false}, {5, false}} {
		if !in.Next(&p) || len(p.Payload) != want.size || p.Cut != want.cut {
			t.Errorf("packet %d: %d bytes, cut %v", i, len(p.Payload), p.Cut)
		}
	}
}

func TestShapeUsesTheWholeArena(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		slots, size := rapid.IntRange(1, 64).Draw(r, "slots"), rapid.IntRange(64, 1<<17).Draw(r, "size")
		in := NewInbox(slots, size)
		longest := rapid.IntRange(1, 1<<18).Draw(r, "longest")
		in.Shape(longest)
		if in.slots < 1 || in.slots > slots || in.slots*in.slot > size {
			r.Fatalf("%d slots of %d in %d bytes", in.slots, in.slot, size)
		}
		if in.slots < slots && (in.slots+1)*in.slot <= size {
			r.Fatalf("room for %d slots of %d, used %d", slots, in.slot, in.slots)
		}
	})
}
