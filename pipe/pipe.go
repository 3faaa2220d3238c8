package pipe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/join"
	"tallyman/rule"
	"tallyman/spool"
)

// batchSize is how much evidence is judged and committed at once, at the most.
const batchSize = 4096

// roomAfter is how long Drain waits before it tries again to record a gap.
const roomAfter = 10 * time.Millisecond

// advance is how often a quiet pipe looks for what fell silent, and for losses to tell.
const advance = time.Second

// Parts are what the pipe connects. Spool and Ledger are needed.
type Parts struct {
	Host   string
	Spool  *spool.Spool
	Ledger tallyman.Ledger
	Feed   tallyman.Sink            // takes batches after they are committed; it must not wait; nil = none
	Outbox *spool.Spool             // between the join and Sinks; nil if there are none
	Sinks  map[string]tallyman.Sink // by the name under which the outbox keeps their place

	// Orphan looks at a transfer that was running when the program died, and says how it ended. It is asked before new evidence is taken.
	Orphan func(*tallyman.Transfer) tallyman.Evidence

	// Aside keeps a record that the ledger does not take while it takes others, and says where. nil = such a record is waited for, with all behind it.
	Aside func(r tallyman.Record, why error) (where string, err error)

	Rules *rule.Config // nil = their defaults

	Log *slog.Logger
	Now func() time.Time // nil = time.Now
}

// Pipe is the way from sources to stores. It is a tallyman.Recorder.
type Pipe struct {
	host   string
	spool  *spool.Spool
	ledger tallyman.Ledger
	feed   tallyman.Sink
	outbox *spool.Spool
	sinks  map[string]tallyman.Sink
	orphan func(*tallyman.Transfer) tallyman.Evidence
	aside  func(tallyman.Record, error) (string, error)
	log    *slog.Logger
	now    func() time.Time

	join    *join.Join
	decoder tallyman.Decoder
	rules   *rule.Set
	clock   clock
	pace    pace
	hurry   chan struct{} // closed when the pipe is drained: no rest
	reader  *spool.Reader
	buffers buffers
	loss    loss
	losing  atomic.Bool
	taken   atomic.Int64 // evidence that the spool took
	judged  atomic.Int64 // evidence that is in the ledger
	holding atomic.Bool  // the ledger does not take a batch
	dropped atomic.Int64 // records that the outbox did not take
	unfit   atomic.Int64 // records that the ledger did not take, set aside

	mu       sync.Mutex
	done     tallyman.ID   // evidence up to here is in the ledger
	turn     chan struct{} // closed and replaced whenever done moves
	stop     context.CancelFunc
	finished chan struct{}
	failed   error
	drained  bool
}

// Start opens the pipe: it finds where the ledger stands, judges what the spool holds beyond it, and settles what was running when the
// program died. After it the sources may run. The caller ends the pipe with Drain.
func Start(ctx context.Context, parts Parts) (*Pipe, error) {
	p := &Pipe{
		host: parts.Host, spool: parts.Spool, ledger: parts.Ledger, feed: parts.Feed, outbox: parts.Outbox, sinks: parts.Sinks,
		orphan: parts.Orphan, aside: parts.Aside, log: parts.Log, now: parts.Now, turn: make(chan struct{}), hurry: make(chan struct{}), finished: make(chan struct{}),
	}
	if p.now == nil {
		p.now = time.Now
	}
	rules := rule.Defaults()
	if parts.Rules != nil {
		rules = *parts.Rules
	}
	p.join, p.rules = join.New(join.Defaults()), rule.New(rules)
	if err := p.position(ctx); err != nil {
		return nil, err
	}
	if err := p.restore(ctx); err != nil {
		return nil, err
	}
	if err := p.recall(ctx, &rules); err != nil {
		return nil, err
	}
	if err := p.catchUp(ctx); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop = cancel
	var pumps sync.WaitGroup
	for name, sink := range p.sinks {
		r, err := p.outbox.Reader(name)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("open outbox for %s: %w", name, err)
		}
		pumps.Go(func() { p.pump(running, name, sink, r) })
	}
	go func() {
		defer close(p.finished)
		p.run(running)
		pumps.Wait()
	}()
	return p, nil
}

// run judges and commits until ctx ends.
func (p *Pipe) run(ctx context.Context) {
	for ctx.Err() == nil {
		wait, cancel := context.WithTimeout(ctx, advance)
		entries, err := p.reader.Next(wait, batchSize)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			p.log.Error("spool not read", "err", err)
			p.fail(err)
			return
		}
		p.tellLoss()
		p.watchClock()
		began := time.Now()
		if err := p.take(ctx, entries); err != nil && ctx.Err() == nil {
			p.log.Error("evidence not stored", "err", err)
			p.fail(err)
			return
		}
		p.rest(ctx, time.Since(began))
	}
}

// take judges a batch and commits what it changed. It tries again until the ledger takes it or ctx ends.
func (p *Pipe) take(ctx context.Context, entries []spool.Entry) error {
	records := p.judge(entries)
	if len(records) == 0 && len(entries) == 0 {
		return nil
	}
	b := tallyman.Batch{Records: records}
	if n := len(entries); n > 0 {
		b.Mark = entries[n-1].ID
	}
	if err := p.post(ctx, b); err != nil {
		return err
	}
	if err := p.insist(ctx, "ledger", p.ledger, b); err != nil {
		return err
	}
	if p.feed != nil {
		if err := p.feed.Write(ctx, b); err != nil {
			p.log.Warn("live feed not told", "err", err)
		}
	}
	if b.Mark.IsZero() {
		return nil
	}
	if err := p.reader.Commit(b.Mark); err != nil {
		return fmt.Errorf("move the ledger's mark in the spool: %w", err)
	}
	p.judged.Add(int64(len(entries)))
	p.mu.Lock()
	p.done = b.Mark
	close(p.turn)
	p.turn = make(chan struct{})
	p.mu.Unlock()
	return nil
}

// insist writes a batch until the sink takes it. What a sink does not take now waits on the disk, so there is no hurry and no loss.
func (p *Pipe) insist(ctx context.Context, name string, to tallyman.Sink, b tallyman.Batch) error {
	pause := 50 * time.Millisecond
	told := false
	for tries := 1; ; tries++ {
		err := to.Write(ctx, b)
		if err != nil && name == "ledger" && tries >= suspectAfter && p.sift(ctx, b) == nil {
			err = nil
		}
		if err == nil {
			if told {
				p.log.Info("records are taken again", "sink", name)
			}
			if name == "ledger" {
				p.holding.Store(false)
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !told {
			p.log.Error("records wait", "sink", name, "err", err)
			told = true
		}
		if name == "ledger" {
			p.holding.Store(true)
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// Drain writes everything that was recorded, then stops. The sources must have ended. When ctx ends first, what is not in the ledger stays in
// the spool for the next start. A second call does nothing.
func (p *Pipe) Drain(ctx context.Context) error {
	p.mu.Lock()
	again := p.drained
	p.drained = true
	p.mu.Unlock()
	if again {
		return nil
	}
	close(p.hurry)
	err := p.settle(ctx)
	for err == nil && p.losing.Load() {
		// The spool was full, too full for the gap record. It is empty now, and makes room at its next round.
		select {
		case <-time.After(roomAfter):
			err = p.settle(ctx)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err == nil {
		err = p.settle(ctx) // the gap record may have been written while the first settle waited
	}
	if err == nil && p.outbox != nil {
		err = p.waitSinks(ctx)
	}
	p.stop()
	<-p.finished
	if err != nil {
		return fmt.Errorf("drain: %w: the rest waits in the spool", err)
	}
	return nil
}

// settle returns when all that was recorded is in the ledger.
func (p *Pipe) settle(ctx context.Context) error {
	p.tellLoss()
	last := p.spool.Status().Newest
	if err := p.spool.Sync(ctx, last); err != nil {
		return err
	}
	return p.wait(ctx, last)
}

// wait returns when the evidence up to last is in the ledger.
func (p *Pipe) wait(ctx context.Context, last tallyman.ID) error {
	for {
		p.mu.Lock()
		done, turn, failed := p.done, p.turn, p.failed
		p.mu.Unlock()
		switch {
		case done.Compare(last) >= 0 || last.Seq == 0:
			return nil
		case failed != nil:
			return failed
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (p *Pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = err
	close(p.turn)
	p.turn = make(chan struct{})
}

// Status says how the pipe is doing.
type Status struct {
	Backlog int64 // evidence that is seen and not yet in the ledger
	Taken   int64 // evidence since the start
	Lost    int64 // evidence that the spool did not take
	Dropped int64 // records that the outbox did not take
	Aside   int64 // records that the ledger did not take: they are set aside
	Holding bool  // the ledger does not take a batch
	Failed  error // the pipe stands still: nothing reaches the ledger before a restart
}

// Status may be called at any time.
func (p *Pipe) Status() Status {
	p.loss.mu.Lock()
	lost := p.loss.total
	p.loss.mu.Unlock()
	p.mu.Lock()
	failed := p.failed
	p.mu.Unlock()
	return Status{
		Backlog: max(0, p.taken.Load()-p.judged.Load()), Taken: p.taken.Load(), Lost: lost, Dropped: p.dropped.Load(), Aside: p.unfit.Load(), Holding: p.holding.Load(), Failed: failed,
	}
}
