//go:build root

package dial

import (
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestKernelTellsWhoTurnsASocketToWhom(t *testing.T) {
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	before := time.Now().Add(-time.Millisecond)
	var want []netip.AddrPort
	for _, to := range []string{"127.0.0.1:50001", "[::1]:50002", "127.0.0.1:50003"} {
		c, err := net.Dial("udp", to)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		want = append(want, netip.MustParseAddrPort(to))
	}
	if c, err := net.Dial("tcp", "127.0.0.1:50004"); err == nil { // not a datagram socket: not told
		c.Close()
	}
	var got []netip.AddrPort
	w.Drain(func(d Dial) {
		if d.PID != int32(os.Getpid()) {
			return // somebody else's
		}
		if d.At.Before(before) || d.At.After(time.Now().Add(time.Millisecond)) {
			t.Errorf("%s: at %s, not now", d.To, d.At)
		}
		got = append(got, d.To)
	})
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("told %v, want %v", got, want)
	}
	w.Drain(func(d Dial) {
		if d.PID == int32(os.Getpid()) {
			t.Errorf("told again: %v", d)
		}
	})
}

func TestRingGoesRoundAndKeepsNothingBack(t *testing.T) {
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	to := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50005}
	told, asked := 0, 3*ringSize/(entrySize+headSize)
	for i := range asked {
		c, err := net.DialUDP("udp4", nil, &to)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if i%1000 == 0 || i == asked-1 {
			w.Drain(func(d Dial) {
				if d.PID == int32(os.Getpid()) && d.To.Port() == 50005 {
					told++
				}
			})
		}
	}
	if told != asked {
		t.Errorf("%d of %d were told", told, asked)
	}
}

func TestDialsThatTheRingHasNoRoomForAreCounted(t *testing.T) {
	w, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	asked := ringSize/(entrySize+headSize) + 1000
	for _, network := range []string{"udp4", "udp6"} {
		to := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50006}
		if network == "udp6" {
			to.IP = net.IPv6loopback
		}
		// Others turn sockets too, mostly few: then each of ours that was lost is counted once.
		for round := 0; ; round++ {
			before, told := w.Lost(), 0
			for range asked {
				c, err := net.DialUDP(network, nil, &to)
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
			}
			lost := w.Lost() - before
			w.Drain(func(d Dial) {
				if d.PID == int32(os.Getpid()) && d.To.Port() == 50006 {
					told++
				}
			})
			if told+int(lost) < asked || lost < 1000 || lost > 2000 && round == 9 {
				t.Fatalf("%s: %d were turned, %d of them told, %d counted as lost", network, asked, told, lost)
			}
			if lost <= 2000 {
				break
			}
		}
	}
}
