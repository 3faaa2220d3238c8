package account

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Tries to log in: a burst, then one every few seconds; by address and for all together.
const (
	triesBurst    = 5
	triesEvery    = 10 * time.Second
	allTriesBurst = 30
	allTriesEvery = time.Second
	mostWatched   = 4096 // addresses that the limit remembers; when full it forgets those that have their burst back
)

// Tries limits attempts to log in. Its methods may be called by many goroutines.
type Tries struct {
	mu   sync.Mutex
	all  *rate.Limiter
	each map[netip.Addr]*rate.Limiter
}

// NewTries returns a limit that nobody has used up.
func NewTries() *Tries {
	return &Tries{all: rate.NewLimiter(rate.Every(allTriesEvery), allTriesBurst), each: make(map[netip.Addr]*rate.Limiter)}
}

// Wait takes one try, or returns how long to wait for it. An address that has used up its own tries takes none of those for all; an IPv6 client
// counts by its /64.
func (t *Tries) Wait(from netip.Addr, now time.Time) time.Duration {
	from = network(from)
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.each[from]; l != nil && !l.AllowN(now, 1) {
		return triesEvery
	}
	if !t.all.AllowN(now, 1) {
		return allTriesEvery
	}
	if t.each[from] == nil {
		t.remember(from, now)
	}
	return 0
}

// remember begins to watch an address that has just tried. When the table is full of addresses under watch, the new one has the limit for all only.
func (t *Tries) remember(from netip.Addr, now time.Time) {
	if len(t.each) >= mostWatched {
		for a, old := range t.each {
			if old.TokensAt(now) >= triesBurst {
				delete(t.each, a)
			}
		}
	}
	if len(t.each) < mostWatched {
		l := rate.NewLimiter(rate.Every(triesEvery), triesBurst)
		l.AllowN(now, 1)
		t.each[from] = l
	}
}

// network is the address that counts for a client.
func network(client netip.Addr) netip.Addr {
	ip := client.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}
