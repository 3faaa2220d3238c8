package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tallyman"
	"tallyman/spool/segment"
)

// Entry is one place of the sequence, or a hole.
type Entry struct {
	ID      tallyman.ID // of a hole: its last place
	Payload []byte      // valid until the reader's next Next; nil for a hole
	Lost    uint64      // 0 = an entry; else the places ID.Seq-Lost+1 to ID.Seq cannot be delivered. Behind a torn end it may count too many, never too few
}

// Reader delivers the entries in order, to one goroutine. Commit may be called by any.
type Reader struct {
	s    *Spool
	name string

	at   place // the place that comes next
	seg  place // the open segment
	file *os.File
	scan segment.Scan
	out  []Entry

	lost uint64 // places delivered as holes; under s.mu
}

// Reader opens the reader of that name, behind its mark. A name that the spool does not know begins at the oldest entry, and from now on
// holds back the removal of segments, over restarts too, until Forget. One Reader of a name can be open at a time.
func (s *Spool) Reader(name string) (*Reader, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	if name == "" || len(name) > 64 {
		return nil, fmt.Errorf("a reader's name has 1 to 64 bytes, not %d", len(name))
	}
	if s.open[name] != nil {
		return nil, fmt.Errorf("the reader %q is already open", name)
	}
	mark, known := s.marks[name]
	if !known {
		oldest := s.segments[0]
		mark = place{oldest.epoch, oldest.first - 1}
		s.mark(name, mark)
	}
	r := &Reader{s: s, name: name, at: place{mark.epoch, mark.seq + 1}}
	s.open[name] = r
	return r, nil
}

// Next waits until an entry is durable and returns up to limit of them; a hole and the entry behind it come together, so there may be one
// more. It fails with ctx, with ErrClosed, when a segment cannot be opened (too many open files; it may be called again), and with the poison once all
// that is durable is delivered.
func (r *Reader) Next(ctx context.Context, limit int) ([]Entry, error) {
	for {
		if err := r.s.failed(); errors.Is(err, ErrClosed) {
			return nil, err
		}
		r.out = r.out[:0]
		err := r.collect(max(limit, 1))
		if len(r.out) > 0 {
			return r.out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read spool: %w", err)
		}
		err = r.s.await(ctx, func() (bool, error) {
			if !r.s.synced.before(r.at) {
				return true, nil
			}
			return false, r.s.err
		})
		if err != nil {
			return nil, err
		}
	}
}

// holding returns the first segment with a durable place at or after p. It is called under mu.
func (s *Spool) holding(p place) (extent, bool) {
	for _, g := range s.segments {
		if g.last >= g.first && !g.stop().before(p) {
			return g, true
		}
	}
	return extent{}, false
}

// collect gathers what is durable, without waiting.
func (r *Reader) collect(limit int) error {
	for len(r.out) < limit {
		r.s.mu.Lock()
		g, ok := r.s.holding(r.at)
		synced := r.s.synced
		r.s.mu.Unlock()
		if !ok { // no segment has it, and yet it may have been given: lost at the begin of an epoch
			if !synced.before(r.at) {
				r.enter(synced.epoch)
				r.hole(synced.seq)
			}
			return nil
		}
		r.enter(g.epoch)
		r.hole(g.first - 1)
		if err := r.turnTo(g); errors.Is(err, fs.ErrNotExist) {
			r.hole(g.last)
			continue
		} else if err != nil {
			return err
		}
		if done, err := r.walk(g, limit); done || err != nil {
			return err
		}
	}
	return nil
}

// enter goes to the first place of an epoch, if the reader is still in an earlier one.
func (r *Reader) enter(epoch uint32) {
	if r.at.epoch < epoch {
		r.at = place{epoch, 1}
	}
}

// hole delivers the places from the next one to the last given, if there are any, as lost.
func (r *Reader) hole(last uint64) {
	if last < r.at.seq {
		return
	}
	n := last - r.at.seq + 1
	r.out = append(r.out, Entry{ID: r.s.id(place{r.at.epoch, last}), Lost: n})
	r.at.seq = last + 1
	r.s.mu.Lock()
	r.lost += n
	r.s.mu.Unlock()
}

// turnTo opens the segment, unless it is open.
func (r *Reader) turnTo(g extent) error {
	if r.file != nil && r.seg == g.start() {
		r.scan.Extend(g.end)
		return nil
	}
	r.shut()
	f, err := r.s.disk.Open(g.name(), os.O_RDONLY)
	if err != nil {
		return err
	}
	r.file, r.seg = f, g.start()
	r.scan.Reset(r.s.disk.Reading(f), segment.Seed(r.s.agent, g.epoch), g.first-1, g.end)
	return nil
}

func (r *Reader) shut() {
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
}

// walk gathers entries of the open segment. It is done when Next has enough, or must hand out what it has before the buffer moves.
func (r *Reader) walk(g extent, limit int) (done bool, err error) {
	for len(r.out) < limit {
		seq, payload, what := r.scan.Next()
		switch what {
		case segment.Whole:
			if seq < r.at.seq {
				continue
			}
			r.hole(seq - 1)
			r.out = append(r.out, Entry{ID: r.s.id(place{g.epoch, seq}), Payload: payload})
			r.at.seq = seq + 1
		case segment.Short:
			if len(r.out) > 0 {
				return true, nil
			}
			if err := r.scan.Fill(); err != nil {
				return true, err
			}
		case segment.End:
			r.hole(g.last)
			return false, nil
		}
	}
	return true, nil
}

// Close gives the name free. The mark stays.
func (r *Reader) Close() {
	r.shut()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	if r.s.open[r.name] == r {
		delete(r.s.open, r.name)
	}
}
