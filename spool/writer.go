package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"tallyman/spool/segment"

	"tallyman/spool/disk"
)

// run is the one goroutine of the spool: a round for each kick.
func (s *Spool) run() {
	defer close(s.ended)
	for range s.kick {
		s.mu.Lock()
		closing := s.closing
		s.mu.Unlock()
		s.round(closing)
		if closing {
			return
		}
	}
}

// round removes what is spent, which may make room, and writes what is pending.
func (s *Spool) round(closing bool) {
	s.writing.Lock()
	defer s.writing.Unlock()
	for _, act := range []func() error{func() error { return s.tidy(closing) }, s.flush} {
		if s.failed() != nil {
			return
		}
		if err := act(); err != nil {
			s.suffer(err)
		}
	}
}

func (s *Spool) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// flush writes and syncs everything that was appended before it looks.
func (s *Spool) flush() error {
	for s.take() {
		if err := s.drain(); err != nil {
			return err
		}
	}
	return nil
}

// take makes the pending entries the batch, if the one before is done.
func (s *Spool) take() bool {
	if len(s.batch) > 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.swap()
	if newest := (place{s.epoch, s.last}); s.err == nil && len(s.batch) == 0 && s.synced.before(newest) {
		s.synced = newest // the epoch has turned and has no entry yet
		s.broadcast()
	}
	return len(s.batch) > 0
}

func (s *Spool) swap() {
	if s.err != nil || len(s.pend) == 0 {
		return
	}
	s.batch, s.in, s.flight = s.pend, s.epoch, int64(len(s.pend))
	s.pend, s.spare = s.spare[:0], s.pend
	s.due.Stop()
}

// drain writes the batch, one segment's share after the other; what is done is published at once.
func (s *Spool) drain() error {
	for len(s.batch) > 0 {
		s.mu.Lock()
		now := s.segments[len(s.segments)-1]
		s.mu.Unlock()
		n, last := 0, uint64(0)
		if s.active != nil && now.epoch == s.in {
			n, last = segment.Fit(s.batch, s.cfg.SegmentSize-now.end)
		}
		if n == 0 {
			if err := s.rotate(place{s.in, segment.Seq(s.batch)}); err != nil {
				return err
			}
			continue
		}
		if err := s.disk.Write(s.active, s.batch[:n], now.end); err != nil {
			return err
		}
		if err := s.disk.Sync(s.active); err != nil {
			return err
		}
		s.batch = s.batch[n:]
		s.publish(now.end+int64(n), last)
	}
	return nil
}

// publish tells waiters and readers how far the newest segment is durable.
func (s *Spool) publish(end int64, last uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := &s.segments[len(s.segments)-1]
	s.onDisk += end - g.end
	s.flight -= end - g.end
	g.end, g.last = end, last
	s.synced = g.stop()
	s.stalled = nil
	s.broadcast()
}

// rotate seals the newest segment and makes the one that begins at p. Its name is durable before anything in it is.
func (s *Spool) rotate(p place) error {
	if s.active != nil {
		s.seal()
	}
	name := segment.FileName(p.epoch, p.seq)
	f, err := s.disk.Open(name, os.O_CREATE|os.O_EXCL|os.O_RDWR)
	if errors.Is(err, fs.ErrExist) {
		if err = s.aside(name, "a segment of this name was left over"); err == nil {
			f, err = s.disk.Open(name, os.O_CREATE|os.O_EXCL|os.O_RDWR)
		}
	}
	if err != nil {
		return err
	}
	err = s.disk.Write(f, segment.Title{Agent: s.agent, Epoch: p.epoch, First: p.seq}.Bytes(), 0)
	if err == nil {
		s.disk.Reserve(f, s.cfg.SegmentSize)
		err = s.disk.SyncDir()
	}
	if err != nil {
		return errors.Join(err, f.Close(), s.disk.Remove(name))
	}
	s.active = f
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(s.segments, extent{p.epoch, p.seq, p.seq - 1, segment.HeadSize})
	if n := len(s.segments); n > 1 && s.segments[n-2].epoch == p.epoch {
		s.segments[n-2].last = p.seq - 1
	}
	s.onDisk += segment.HeadSize
	if s.spent() > 0 { // the one before was consumed, and stayed because it was the newest
		s.wake()
	}
	return nil
}

// seal gives back what the newest segment has reserved and not used. Its entries are synced; zeros behind them do no harm.
func (s *Spool) seal() {
	s.mu.Lock()
	end := s.segments[len(s.segments)-1].end
	s.mu.Unlock()
	if err := errors.Join(s.disk.Cut(s.active, end), s.active.Close()); err != nil {
		s.cfg.Log.Warn("a spool segment keeps its reserved space", "error", err)
	}
	s.active = nil
}

// tidy saves the marks when it is time, and removes the segments that no reader needs any more. Marks are saved first, so that a reader
// does not meet a removed segment after a crash; only when the disk is too full for that, the oldest segment goes before.
func (s *Spool) tidy(closing bool) error {
	s.mu.Lock()
	gone := slices.Clone(s.segments[:s.spent()])
	save := s.unsaved && (len(gone) > 0 || closing || s.saveNow)
	marks := s.savedMarks()
	s.unsaved, s.saveNow = s.unsaved && !save, false
	s.mu.Unlock()
	if save {
		err := s.disk.Save(marksFile, marks)
		if disk.Passes(err) && len(gone) > 0 {
			if err = s.discard(gone[:1]); err == nil {
				gone = gone[1:]
				err = s.disk.Save(marksFile, marks)
			}
		}
		if err != nil {
			return s.postpone(err)
		}
	}
	return s.discard(gone)
}

// postpone tries the marks again later if the disk is full: until then a crash shows readers some entries again, no more.
func (s *Spool) postpone(err error) error {
	if !disk.Passes(err) {
		return err
	}
	s.cfg.Log.Warn("the spool cannot save its readers' marks and tries again", "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsaved = true
	s.saver.Reset(markEvery)
	return nil
}

func (s *Spool) discard(gone []extent) error {
	if len(gone) == 0 {
		return nil
	}
	for _, g := range gone {
		if err := s.disk.Remove(g.name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		s.mu.Lock()
		s.segments = s.segments[1:]
		s.onDisk -= g.end
		s.broadcast()
		s.mu.Unlock()
	}
	return s.disk.SyncDir()
}

// suffer ends a round that failed: a full disk is tried again, anything else poisons the spool.
func (s *Spool) suffer(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.broadcast()
	if s.err != nil {
		return
	}
	if disk.Passes(err) {
		if s.stalled == nil {
			s.cfg.Log.Error("the spool cannot write and tries again", "error", err)
		}
		s.stalled = fmt.Errorf("spool: %w", err)
		s.stalls++
		s.due.Reset(retryEvery)
		return
	}
	s.err = fmt.Errorf("the spool is poisoned, nothing more is acknowledged; check the disk and restart: %w", err)
	s.cfg.Log.Error("the spool is poisoned", "error", err, "unsynced", s.last-min(s.last, s.synced.seq))
	s.pend, s.flight = nil, 0
}

// finish ends the spool after its writer.
func (s *Spool) finish() error {
	s.due.Stop()
	s.saver.Stop()
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	err := s.err
	if s.stalled != nil && s.synced.before(place{s.epoch, s.last}) {
		err = fmt.Errorf("close spool: entries after %d are not on the disk: %w", s.synced.seq, s.stalled)
	}
	s.err = ErrClosed
	s.broadcast()
	s.mu.Unlock()
	if s.active != nil {
		s.seal()
	}
	return errors.Join(err, s.held.Close())
}
