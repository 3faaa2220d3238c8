package pipe

import (
	"context"
	"errors"
	"sync"
	"time"

	"tallyman"
)

// loss counts what the spool could not take since the last gap record.
type loss struct {
	mu    sync.Mutex
	count int64
	since time.Time
	why   string
	total int64
}

// buffers keeps the memory in which evidence is coded.
type buffers struct{ pool sync.Pool }

func (b *buffers) get() *coded {
	if c, ok := b.pool.Get().(*coded); ok {
		return c
	}
	return new(coded)
}

// coded is a batch in its binary form.
type coded struct {
	bytes    []byte
	ends     []int
	payloads [][]byte
}

// code writes each evidence on its own: an entry of the spool must be readable alone.
func (c *coded) code(batch []tallyman.Evidence, seen time.Time) [][]byte {
	c.bytes, c.ends, c.payloads = c.bytes[:0], c.ends[:0], c.payloads[:0]
	for i := range batch {
		e := batch[i]
		e.ID, e.Seen = tallyman.ID{}, seen
		c.bytes = tallyman.AppendEvidence(c.bytes, nil, &e)
		c.ends = append(c.ends, len(c.bytes))
	}
	from := 0
	for _, end := range c.ends {
		c.payloads = append(c.payloads, c.bytes[from:end])
		from = end
	}
	return c.payloads
}

// Record takes evidence without waiting for anything. It implements tallyman.Recorder.
func (p *Pipe) Record(batch ...tallyman.Evidence) {
	if len(batch) == 0 {
		return
	}
	p.tellLoss()
	c := p.buffers.get()
	defer p.buffers.pool.Put(c)
	if _, err := p.spool.Append(c.code(batch, p.seen())...); err != nil {
		p.lose(len(batch), err)
		return
	}
	p.taken.Add(int64(len(batch)))
}

// Commit takes evidence and returns when it is on stable storage. It implements tallyman.Recorder.
func (p *Pipe) Commit(ctx context.Context, batch ...tallyman.Evidence) error {
	p.tellLoss()
	c := p.buffers.get()
	defer p.buffers.pool.Put(c)
	if _, err := p.spool.Commit(ctx, c.code(batch, p.seen())...); err != nil {
		p.lose(len(batch), err)
		return err
	}
	p.taken.Add(int64(len(batch)))
	return nil
}

func (p *Pipe) seen() time.Time { return tallyman.Clean(p.now()) }

// lose counts evidence that the spool did not take.
func (p *Pipe) lose(n int, err error) {
	if n == 0 {
		return
	}
	p.loss.mu.Lock()
	defer p.loss.mu.Unlock()
	if p.loss.count == 0 {
		p.loss.since = p.seen()
		p.log.Error("evidence is lost", "err", err)
	}
	p.loss.count += int64(n)
	p.loss.total += int64(n)
	p.loss.why = err.Error()
	p.losing.Store(true)
}

// tellLoss records a gap for what was lost, as soon as the spool takes something again.
func (p *Pipe) tellLoss() {
	if !p.losing.Load() {
		return
	}
	p.loss.mu.Lock()
	defer p.loss.mu.Unlock()
	if p.loss.count == 0 {
		return
	}
	now := p.seen()
	gap := tallyman.Evidence{
		Time: now, Began: p.loss.since, Host: p.host, Witness: "server", Kind: tallyman.KindGap, Size: -1, Expected: -1, Moved: p.loss.count, Err: p.loss.why,
	}
	c := p.buffers.get()
	defer p.buffers.pool.Put(c)
	if _, err := p.spool.Append(c.code([]tallyman.Evidence{gap}, now)...); err != nil {
		if !errors.Is(err, tallyman.ErrFull) {
			p.loss.why = err.Error()
		}
		return
	}
	p.loss.count = 0
	p.losing.Store(false)
	p.log.Info("evidence is taken again", "lost", gap.Moved)
}
