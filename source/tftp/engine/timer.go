package engine

import "time"

// firstRTO is the timer before the first measurement (RFC 6298 section 2.1).
const firstRTO = time.Second

// timer is the retransmission timer of RFC 6298: smoothed round trip and its variation, doubled at each expiry.
// The doubling holds until a packet that was sent only once is answered (Karn's rule: the caller samples no other),
// else a path slower than the estimate would never be measured. With the client's own interval it is constant.
type timer struct {
	fixed, lowest, highest time.Duration
	smooth, variation      time.Duration
	doublings              uint8
}

func newTimer(g Grant, cfg Config) timer {
	return timer{fixed: g.Timeout, lowest: cfg.MinRTO, highest: cfg.MaxRTO}
}

// rto is how long to wait for an answer now.
func (t *timer) rto() time.Duration {
	if t.fixed > 0 {
		return t.fixed
	}
	rto := firstRTO
	if t.smooth > 0 {
		rto = max(t.smooth+4*t.variation, t.lowest)
	}
	return min(rto<<t.doublings, t.highest)
}

// sample takes a round trip of a packet that was sent once.
func (t *timer) sample(rtt time.Duration) {
	rtt = max(rtt, 1)
	t.doublings = 0
	if t.smooth == 0 {
		t.smooth, t.variation = rtt, rtt/2
		return
	}
	t.variation += ((rtt - t.smooth).Abs() - t.variation) / 4
	t.smooth += (rtt - t.smooth) / 8
}

// expire doubles the timer. Eight doublings take the smallest floor in use past its ceiling.
func (t *timer) expire() {
	if t.doublings < 8 {
		t.doublings++
	}
}
