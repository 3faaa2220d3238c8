package guard

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

var (
	t0   = time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	evil = netip.MustParseAddr("192.0.2.7")
)

func TestDelayGrowsAndABanFollows(t *testing.T) {
	g, now := New(), t0
	if wait, ok := g.Turn(evil, now); wait != 0 || !ok {
		t.Errorf("a stranger waits %v, %v", wait, ok)
	}
	var waits []time.Duration
	for i := range banAt {
		ban := g.Failed(evil, "root", now)
		if (ban > 0) != (i == banAt-1) {
			t.Errorf("failure %d bans for %v", i+1, ban)
		}
		if wait, ok := g.Turn(evil, now); ok {
			waits = append(waits, wait)
			now = now.Add(wait)
		}
	}
	if fmt.Sprint(waits) != "[500ms 1s 2s 4s 8s 8s 8s 8s 8s]" {
		t.Errorf("waits %v", waits)
	}
	if wait, ok := g.Turn(evil, now.Add(9*time.Minute)); ok || wait != time.Minute {
		t.Errorf("after 9 of 10 minutes: %v, %v", wait, ok)
	}
	if g.Banned(evil, now.Add(9*time.Minute)) != time.Minute || g.Banned(evil, now.Add(firstBan)) != 0 || g.Banned(netip.MustParseAddr("192.0.2.8"), now) != 0 {
		t.Error("another ban is told than there is")
	}
	now = now.Add(firstBan)
	if wait, ok := g.Turn(evil, now); !ok || wait != 0 {
		t.Errorf("after the ban: %v, %v", wait, ok)
	}
	for range banAt {
		g.Failed(evil, "root", now)
	}
	if wait, ok := g.Turn(evil, now); ok || wait != 2*firstBan {
		t.Errorf("the second ban is of %v", wait)
	}
	if _, ok := g.Turn(netip.MustParseAddr("192.0.2.8"), now); !ok || g.Bans() != 2 {
		t.Errorf("a neighbour is banned too, %d bans", g.Bans())
	}
}

func TestTriesOfManyConnectionsWaitOneBehindTheOther(t *testing.T) {
	g := New()
	for range 3 {
		g.Failed(evil, "root", t0)
	}
	var last time.Duration
	n := 0
	for {
		wait, ok := g.Turn(evil, t0)
		if !ok {
			break
		}
		if n++; wait != last+2*time.Second {
			t.Fatalf("try %d waits %v after %v", n, wait, last)
		}
		last = wait
	}
	if n != 16 {
		t.Errorf("%d tries wait at once", n)
	}
}

func TestSuccessTakesBackTheFailuresOfItsOwnName(t *testing.T) {
	g := New()
	g.Failed(evil, "ann", t0)
	g.Failed(evil, "bob", t0)
	g.Succeeded(evil, "ann")
	if wait, _ := g.Turn(evil, t0); wait != firstDelay {
		t.Errorf("wait %v", wait)
	}
	g.Succeeded(evil, "bob")
	if wait, _ := g.Turn(evil, t0.Add(time.Second)); wait != 0 {
		t.Errorf("wait %v", wait)
	}
}

func TestOldFailuresDoNotCount(t *testing.T) {
	g := New()
	for i := range 3 * banAt {
		if g.Failed(evil, "root", t0.Add(time.Duration(i)*window)) > 0 {
			t.Fatal("banned")
		}
	}
}

func TestAnIPv6NetworkIsOneSource(t *testing.T) {
	g := New()
	g.Failed(netip.MustParseAddr("2001:db8::1"), "root", t0)
	if wait, _ := g.Turn(netip.MustParseAddr("2001:db8::ffff"), t0); wait == 0 {
		t.Error("the neighbour is another source")
	}
	g.Failed(netip.MustParseAddr("::ffff:192.0.2.7"), "root", t0)
	if wait, _ := g.Turn(evil, t0); wait == 0 {
		t.Error("a mapped address is another source")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	g := New()
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for i := range most / 2 {
				a := netip.AddrFrom4([4]byte{10, byte(part), byte(i >> 8), byte(i)})
				g.Failed(a, "x", t0)
				g.Turn(a, t0)
			}
		})
	}
	all.Wait()
	if g.order.Len() != most || len(g.at) != most {
		t.Errorf("%d and %d sources", g.order.Len(), len(g.at))
	}
}
