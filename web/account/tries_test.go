package account

import (
	"net/netip"
	"testing"
	"time"
)

func TestManyAddressesShareOneLimit(t *testing.T) {
	tr, begun := NewTries(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	allowed := 0
	for i := range 2 * mostWatched {
		if tr.Wait(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), begun) == 0 {
			allowed++
		}
	}
	if allowed != allTriesBurst {
		t.Errorf("%d tries allowed", allowed)
	}
	later := begun
	for i := range mostWatched {
		later = later.Add(allTriesEvery)
		tr.Wait(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), later)
	}
	if n := len(tr.each); n > mostWatched || n < 5 {
		t.Errorf("%d addresses remembered", n)
	}
}

func TestAddressHasABurstAndThenWaits(t *testing.T) {
	tr, now := NewTries(), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	from := netip.MustParseAddr("2001:db8::1:2:3:4")
	for range triesBurst {
		if wait := tr.Wait(from, now); wait != 0 {
			t.Errorf("within the burst: %v", wait)
		}
	}
	if wait := tr.Wait(netip.MustParseAddr("2001:db8::9%eth0"), now); wait != triesEvery {
		t.Errorf("a neighbour in its /64 waits %v", wait)
	}
	if wait := tr.Wait(netip.MustParseAddr("2001:db8:0:1::1"), now); wait != 0 {
		t.Errorf("another network waits %v", wait)
	}
	if wait := tr.Wait(from, now.Add(triesEvery)); wait != 0 {
		t.Errorf("afterwards: %v", wait)
	}
}
