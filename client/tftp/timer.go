package tftp

import "time"

const (
	firstWait = time.Second            // before any round trip is known (RFC 6298, section 2.1)
	leastWait = 100 * time.Millisecond // a busy server is not a lost packet
	mostWait  = 4 * time.Second
)

// timer says how long to wait for an answer: by the round trips seen (RFC 6298), or a fixed time if the server granted one.
type timer struct {
	fixed          time.Duration
	smooth, spread time.Duration
	backoff        int
}

// sample takes the time of one exchange in which nothing was repeated (Karn's rule).
func (t *timer) sample(rtt time.Duration) {
	if t.smooth == 0 {
		t.smooth, t.spread = rtt, rtt/2
		return
	}
	t.spread += ((t.smooth - rtt).Abs() - t.spread) / 4
	t.smooth += (rtt - t.smooth) / 8
}

// wait returns the time until the next repetition.
func (t *timer) wait() time.Duration {
	if t.fixed > 0 {
		return t.fixed
	}
	w := firstWait
	if t.smooth > 0 {
		w = max(t.smooth+4*t.spread, leastWait)
	}
	return min(w<<min(t.backoff, 6), mostWait)
}
