package pipe

import (
	"context"
	"time"
)

const (
	// pouring is how much evidence a second makes a flood, in which the ledger yields to the transfers that cause it. What waits, waits in the spool.
	pouring = 10_000
	// yieldUpTo is how much evidence may wait before the ledger yields no more, so that the spool does not fill: about 150 MB of it.
	yieldUpTo = 1 << 19
	// restFor is how long the ledger rests after a batch, in units of the time that the batch took: it has an eighth of one processor.
	restFor = 7
	// longestRest bounds that.
	longestRest = 500 * time.Millisecond
	// glance is how often a rest looks whether the flood is over.
	glance = 20 * time.Millisecond
)

// pace knows how fast evidence comes.
type pace struct {
	at    time.Time
	taken int64
}

// poured reports whether evidence poured in since it was last asked. It is asked again after a glance at the earliest: over less time a rate says nothing.
func (c *pace) poured(now time.Time, taken int64) bool {
	span := now.Sub(c.at)
	if c.at.IsZero() || span < 0 {
		span = time.Second
	}
	came := taken - c.taken
	c.at, c.taken = now, taken
	return float64(came) >= pouring*max(span, glance).Seconds()
}

// rest lets transfers have the processors for a while after a batch that took so long. To be nice to them by priority would not do: a thread that
// is put off while it holds a lock, or while the collector waits for it, puts off all others.
func (p *Pipe) rest(ctx context.Context, took time.Duration) {
	for left := min(restFor*took, longestRest); left > 0 && p.pace.poured(time.Now(), p.taken.Load()); left -= glance {
		if p.taken.Load()-p.judged.Load() > yieldUpTo {
			return
		}
		t := time.NewTimer(min(left, glance))
		select {
		case <-t.C:
		case <-p.hurry:
		case <-ctx.Done():
		}
		t.Stop()
	}
}
