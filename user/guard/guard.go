// Package guard slows down who guesses passwords: a delay that grows with each failure, then a ban that grows with each ban. It is
// told the time, and waits for nothing.
//
//	failure 1    2      3    4    5    6 ...            in 10 minutes, from one address (of IPv6: from one /64)
//	delay   0.5s 1s     2s   4s   8s   8s               before the next try, one after the other, whatever the number of connections
//	failure 10   ban for 10 minutes; each ban within a day doubles the next, up to a day
//
// It promises: the right password of one name takes back the failures of that name alone, so that nobody hides behind an account of his own; its
// memory is bounded, and the address that was quiet for the longest is forgotten first. Which addresses are never slowed down it leaves to the caller.
package guard

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	window     = 10 * time.Minute // failures older than that do not count
	firstDelay = 500 * time.Millisecond
	mostDelay  = 8 * time.Second
	banAt      = 10 // failures
	firstBan   = 10 * time.Minute
	mostBan    = 24 * time.Hour
	mostQueue  = 30 * time.Second // what a try may have to wait for its turn
	most       = 16384            // sources that are remembered
)

// Guard remembers who failed. Its methods may be called by many goroutines.
type Guard struct {
	mu    sync.Mutex
	order *list.List // of *source, the latest in front
	at    map[netip.Addr]*list.Element
	bans  int64
}

type source struct {
	from     netip.Addr
	failures []failure
	next     time.Time // when the next try has its turn
	until    time.Time // of the ban
	bans     int
	banned   time.Time // when the last ban began
}

type failure struct {
	at   time.Time
	name string
}

// New returns a guard that has seen nobody.
func New() *Guard { return &Guard{order: list.New(), at: map[netip.Addr]*list.Element{}} }

// Turn reports how long a try must wait. It is not ok when the source is banned until wait has passed, or too many of its tries wait already.
func (g *Guard) Turn(from netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.at[Network(from)]
	if e == nil {
		return 0, true
	}
	s := e.Value.(*source)
	if now.Before(s.until) {
		return s.until.Sub(now), false
	}
	s.forget(now)
	if s.next.Before(now) {
		s.next = now
	}
	wait = s.next.Sub(now)
	if wait > mostQueue {
		return wait, false
	}
	if n := len(s.failures); n > 0 {
		s.next = s.next.Add(min(firstDelay<<min(n-1, 10), mostDelay))
		wait += min(firstDelay<<min(n-1, 10), mostDelay)
	}
	return wait, true
}

// Banned reports how long the source is still banned, 0 if it is not.
func (g *Guard) Banned(from netip.Addr, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.at[Network(from)]; e != nil {
		return max(0, e.Value.(*source).until.Sub(now))
	}
	return 0
}

// Failed notes a failure and reports the ban that it brings, 0 if none.
func (g *Guard) Failed(from netip.Addr, name string, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.source(Network(from))
	s.forget(now)
	s.failures = append(s.failures, failure{now, name})
	if len(s.failures) < banAt || now.Before(s.until) {
		return 0
	}
	if now.Sub(s.banned) > mostBan {
		s.bans = 0
	}
	ban := min(firstBan<<min(s.bans, 10), mostBan)
	s.bans++
	s.failures, s.banned, s.until = nil, now, now.Add(ban)
	g.bans++
	return ban
}

// Succeeded takes back the failures of the name.
func (g *Guard) Succeeded(from netip.Addr, name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.at[Network(from)]; e != nil {
		s := e.Value.(*source)
		s.failures = slices.DeleteFunc(s.failures, func(f failure) bool { return f.name == name })
	}
}

// Bans counts the bans since the start.
func (g *Guard) Bans() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.bans
}

func (s *source) forget(now time.Time) {
	s.failures = slices.DeleteFunc(s.failures, func(f failure) bool { return now.Sub(f.at) > window })
}

// source returns what is remembered of an address; what was quiet for the longest makes room.
func (g *Guard) source(from netip.Addr) *source {
	if e := g.at[from]; e != nil {
		g.order.MoveToFront(e)
		return e.Value.(*source)
	}
	if g.order.Len() >= most {
		last := g.order.Back()
		delete(g.at, last.Value.(*source).from)
		g.order.Remove(last)
	}
	s := &source{from: from}
	g.at[from] = g.order.PushFront(s)
	return s
}

// Network is the address that counts for a client: of IPv6 that of its /64.
func Network(client netip.Addr) netip.Addr {
	ip := client.Unmap().WithZone("")
	if ip.Is6() {
		if p, err := ip.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return ip
}
