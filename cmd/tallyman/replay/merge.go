package replay

import (
	"context"
	"iter"

	"tallyman"
	"tallyman/source/wire"
)

// stream is evidence of one witness in the order in which it came, and the first of it.
type stream struct {
	next func() (tallyman.Evidence, bool)
	head tallyman.Evidence
	more bool
}

func (s *stream) advance() { s.head, s.more = s.next() }

// streams begins to read. The captures are one stream, since wire merges their packets. It holds one evidence of each.
func (p *Past) streams(ctx context.Context) (list []*stream, wireErr *error, stop func()) {
	wireErr, stop = new(error), func() {}
	if len(p.captures) > 0 {
		next, end := iter.Pull(p.packets(ctx, wireErr))
		list, stop = append(list, &stream{next: next}), end
	}
	for _, l := range p.logs {
		list = append(list, &stream{next: l.next})
	}
	for _, s := range list {
		s.advance()
	}
	return list, wireErr, stop
}

// packets is the evidence of all captures.
func (p *Past) packets(ctx context.Context, failed *error) iter.Seq[tallyman.Evidence] {
	return func(yield func(tallyman.Evidence) bool) {
		stopped := false
		cfg := wire.Defaults()
		cfg.Host = p.cfg.Host
		p.counts, *failed = wire.Replay(cfg, p.captures, func(e tallyman.Evidence) {
			stopped = stopped || !yield(e)
		}, func(uint64) bool { return !stopped && ctx.Err() == nil })
	}
}

// earliest takes the evidence that happened first.
func earliest(list []*stream) (tallyman.Evidence, bool) {
	var first *stream
	for _, s := range list {
		if s.more && (first == nil || s.head.Time.Before(first.head.Time)) {
			first = s
		}
	}
	if first == nil {
		return tallyman.Evidence{}, false
	}
	e := first.head
	first.advance()
	return e, true
}
