package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"sync"
	"time"

	"tallyman"
)

const (
	// ringSize bounds what the feed remembers: it is the queue of every stream. A stream that has fallen further behind is told to
	// start again (resync), which tallyman_web_stream_resyncs_total counts.
	ringSize = 4096
	// mostRunning bounds the running transfers whose start the feed remembers for a resume; beyond it a resume reads less from the ledger.
	mostRunning = 16384
	// lateness is how much later than its start the first record of a transfer may reach the feed.
	lateness = time.Minute
)

// Feed hands records to open streams. It is a Sink: Write never waits, whatever the viewers do.
type Feed struct {
	boot   string // told apart from the feed of another start of the program
	tally  *tally
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	ring    [ringSize]*entry
	next    uint64 // number of the entry that comes next; the first is 1
	running map[tallyman.UUID]time.Time
	streams map[*subscription]struct{}
}

// entry is one record with its JSON, encoded by the first stream that sends it.
type entry struct {
	record tallyman.Record
	once   sync.Once
	json   []byte
	err    error
}

func (e *entry) encoded() ([]byte, error) {
	e.once.Do(func() { e.json, e.err = json.Marshal(e.record) })
	return e.json, e.err
}

// subscription is the place of one stream in the ring.
type subscription struct {
	wake chan struct{} // capacity 1: a second wake-up before the first is taken says nothing new
	next uint64
}

// NewFeed returns an empty feed.
func NewFeed() *Feed {
	return &Feed{
		boot: rand.Text()[:8], tally: newTally(), closed: make(chan struct{}), next: 1,
		running: make(map[tallyman.UUID]time.Time), streams: make(map[*subscription]struct{}),
	}
}

// Write implements tallyman.Sink. It returns nil always, and never waits for a viewer.
func (f *Feed) Write(_ context.Context, b tallyman.Batch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range b.Records {
		if t, ok := r.(*tallyman.Transfer); ok {
			r = f.follow(t)
		}
		f.ring[f.next%ringSize] = &entry{record: r}
		f.next++
	}
	if len(b.Records) == 0 {
		return nil
	}
	for sub := range f.streams {
		select {
		case sub.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// follow counts the transfer, keeps track of those that run, and leaves the evidence away: streams carry none.
func (f *Feed) follow(t *tallyman.Transfer) tallyman.Record {
	f.tally.count(t)
	if t.Judgement.Verdict != tallyman.Active || !t.Merged.IsZero() {
		delete(f.running, t.ID)
	} else if len(f.running) < mostRunning {
		f.running[t.ID] = t.Start
	}
	slim := *t
	slim.Evidence = nil
	return &slim
}

// Close ends all streams, for the end of the program.
func (f *Feed) Close() { f.once.Do(func() { close(f.closed) }) }

// subscribe begins `last` records before the end of the ring.
func (f *Feed) subscribe(last uint64) (*subscription, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.streams) >= mostStreams {
		return nil, false
	}
	sub := &subscription{wake: make(chan struct{}, 1), next: max(f.next-min(last, f.next-1), f.tail())}
	f.streams[sub] = struct{}{}
	if sub.next < f.next {
		sub.wake <- struct{}{}
	}
	return sub, true
}

func (f *Feed) unsubscribe(sub *subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, sub)
}

// rewind puts the stream behind entry seq of this start of the program, and reports whether the ring still holds all that follows.
// Otherwise the stream begins at the oldest entry that there is.
func (f *Feed) rewind(sub *subscription, boot string, seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	held := boot == f.boot && seq+1 >= f.tail() && seq < f.next
	sub.next = f.tail()
	if held {
		sub.next = seq + 1
	}
	if sub.next < f.next {
		select {
		case sub.wake <- struct{}{}:
		default:
		}
	}
	return held
}

// take returns what the stream has not yet had, and whether it has lost its place; then it stands at the end.
func (f *Feed) take(sub *subscription) (batch []*entry, first uint64, lost bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if lost = sub.next < f.tail(); lost {
		f.tally.resyncs.Inc()
		sub.next = f.next
	}
	first = sub.next
	for ; sub.next < f.next; sub.next++ {
		batch = append(batch, f.ring[sub.next%ringSize])
	}
	return batch, first, lost
}

// since returns the time from which a ledger must be read to see again all that may still change: the start of the oldest
// transfer that runs, or a moment ago.
func (f *Feed) since(now time.Time) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	oldest := now.Add(-lateness)
	for _, start := range f.running {
		if start.Before(oldest) {
			oldest = start
		}
	}
	return oldest
}

// tail is the number of the oldest entry that the ring holds.
func (f *Feed) tail() uint64 {
	if f.next > ringSize {
		return f.next - ringSize
	}
	return 1
}

// Viewers counts the open streams.
func (f *Feed) Viewers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.streams)
}
