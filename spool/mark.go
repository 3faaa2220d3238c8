package spool

import (
	"errors"
	"fmt"
	"maps"

	"tallyman"
	"tallyman/spool/segment"
)

const marksFile = "readers"

var errReaderClosed = errors.New("the reader is closed or forgotten")

// loadMarks reads how far each reader had come. Without the file they begin at the oldest entry.
func (s *Spool) loadMarks() map[string]place {
	var saved map[string][2]uint64
	if _, damaged := s.disk.Load(marksFile, &saved); damaged {
		s.cfg.Log.Warn("the readers' marks are damaged: all begin at the oldest entry", "file", s.disk.Path(marksFile))
	}
	marks := map[string]place{}
	for name, v := range saved {
		if v[0] > 0 && v[0] <= segment.MaxEpoch && v[1] <= segment.MaxSeq {
			marks[name] = place{uint32(v[0]), v[1]}
		}
	}
	return marks
}

// savedMarks is what loadMarks reads. It is called under mu.
func (s *Spool) savedMarks() map[string][2]uint64 {
	saved := make(map[string][2]uint64, len(s.marks))
	for name, p := range s.marks {
		saved[name] = [2]uint64{uint64(p.epoch), p.seq}
	}
	return saved
}

// mark moves a reader's mark, to be saved within markEvery, or at once if that makes room. It is called under mu.
func (s *Spool) mark(name string, p place) {
	s.marks[name] = p
	s.settle()
}

func (s *Spool) settle() {
	fresh := !s.unsaved
	s.unsaved = true
	switch {
	case s.spent() > 0:
		s.wake()
	case fresh:
		s.saver.Reset(markEvery)
	}
}

// spent is the number of segments that every reader has behind it. The newest always stays, and all of them while there is no reader.
func (s *Spool) spent() int {
	if len(s.marks) == 0 {
		return 0
	}
	lowest := place{segment.MaxEpoch + 1, 0}
	for p := range maps.Values(s.marks) {
		if p.before(lowest) {
			lowest = p
		}
	}
	n := 0
	for n < len(s.segments)-1 && !lowest.before(s.segments[n].stop()) {
		n++
	}
	return n
}

// Commit says that the consumer will never need the entry and all before it again. It is cheap; the folder learns it within a second, so
// after a crash the consumer may see entries again. A lower ID than before changes nothing.
func (r *Reader) Commit(id tallyman.ID) error {
	p, err := r.s.placeOf(id)
	if err != nil {
		return fmt.Errorf("commit %s: %w", r.name, err)
	}
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	switch {
	case errors.Is(r.s.err, ErrClosed):
		return r.s.err
	case r.s.open[r.name] != r:
		return fmt.Errorf("commit %s: %w", r.name, errReaderClosed)
	case r.s.synced.before(p):
		return fmt.Errorf("commit %s: entry %d of epoch %d was never delivered", r.name, p.seq, p.epoch)
	case r.s.marks[r.name].before(p):
		r.s.mark(r.name, p)
	}
	return nil
}

// Seek makes the entry after the ID the next one, and the ID the reader's mark, back or forth: where the consumer keeps its own mark, that one
// decides. The zero ID stands before the oldest entry. What was removed in between is delivered as a hole. An ID that the spool has
// not given yet proves that the spool lost entries: it begins a new epoch, whose place 1 is a hole.
func (r *Reader) Seek(after tallyman.ID) error {
	s := r.s
	s.mu.Lock()
	err, mine := s.err, s.open[r.name] == r
	oldest, newest := s.segments[0], place{s.epoch, s.last}
	s.mu.Unlock()
	if err == nil && !mine {
		err = errReaderClosed
	}
	if err != nil {
		return fmt.Errorf("seek %s: %w", r.name, err)
	}
	p := place{oldest.epoch, oldest.first - 1}
	if !after.IsZero() {
		if p, err = s.placeOf(after); err != nil {
			return fmt.Errorf("seek %s: %w", r.name, err)
		}
	}
	if newest.before(p) {
		if err := s.turnEpoch("the reader "+r.name+" has seen entries that are gone", p.epoch, 2); err != nil {
			return fmt.Errorf("seek %s: %w", r.name, err)
		}
	}
	r.shut()
	r.at = place{p.epoch, p.seq + 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark(r.name, p)
	return nil
}

// Forget drops the mark of a reader that will not come back, so that it holds back no segment any more.
func (s *Spool) Forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.marks[name]; known {
		delete(s.marks, name)
		delete(s.open, name)
		s.settle()
	}
}
