package pipe_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tallyman"
	"tallyman/pipe"
)

// slow is a ledger that takes its time for each batch and counts it.
type slow struct {
	*books
	each time.Duration
	busy atomic.Int64 // nanoseconds
}

func (s *slow) Write(ctx context.Context, b tallyman.Batch) error {
	if len(b.Records) > 0 {
		<-time.After(s.each)
		s.busy.Add(int64(s.each))
	}
	return s.books.Write(ctx, b)
}

func TestTheLedgerYieldsToAFloodAndCatchesUpWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := openSpool(t, t.TempDir(), nil), &slow{books: newBooks(), each: 10 * time.Millisecond}
		defer s.Close()
		p := start(t, pipe.Parts{Spool: s, Ledger: l})
		const step = 20 * time.Millisecond
		n := 0
		for began := time.Now(); time.Since(began) < time.Second; <-time.After(step) {
			for range 400 { // 20,000 a second
				p.Record(evidence(n, tallyman.KindClosed))
				n++
			}
		}
		if busy := time.Duration(l.busy.Load()); busy > time.Second/4 || busy == 0 {
			t.Errorf("in a second of flood the ledger was busy for %v", busy)
		}
		<-time.After(100 * time.Millisecond)
		synctest.Wait()
		if st := p.Status(); st.Backlog != 0 {
			t.Errorf("a tenth of a second after the flood %d still wait", st.Backlog)
		}
		drain(t, p)
	})
}

func TestATrickleReachesTheLedgerAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := openSpool(t, t.TempDir(), nil), &slow{books: newBooks(), each: 10 * time.Millisecond}
		defer s.Close()
		p := start(t, pipe.Parts{Spool: s, Ledger: l})
		for n := range 100 {
			p.Record(evidence(n, tallyman.KindClosed))
			<-time.After(15 * time.Millisecond)
			synctest.Wait()
			if st := p.Status(); st.Backlog != 0 {
				t.Fatalf("evidence %d waits 15 ms after it came", n)
			}
		}
		drain(t, p)
	})
}

func TestAPipeThatIsDrainedDoesNotRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, l := openSpool(t, t.TempDir(), nil), &slow{books: newBooks(), each: 10 * time.Millisecond}
		defer s.Close()
		p := start(t, pipe.Parts{Spool: s, Ledger: l})
		for n := range 20_000 {
			p.Record(evidence(n, tallyman.KindClosed))
		}
		began := time.Now()
		drain(t, p)
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("drained after %v", took)
		}
	})
}
