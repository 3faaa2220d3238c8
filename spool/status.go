package spool

import (
	"maps"
	"slices"

	"tallyman"
)

// Status is how a spool stands.
type Status struct {
	Agent    tallyman.Agent
	Oldest   tallyman.ID // the first place that is still there
	Newest   tallyman.ID // the last place given; a reader will get there without another Append
	Synced   tallyman.ID // the last place on stable storage
	Entries  uint64      // durable places from Oldest on, holes included
	Bytes    int64       // on disk, without reserved space
	Buffered int64       // in memory
	Segments int

	Appended uint64 // payloads taken since Open
	Refused  uint64 // payloads not taken since Open
	Syncs    uint64 // calls of fsync and fdatasync since Open
	Damaged  int64  // bytes that Open found to be no entry
	Stalled  error  // why the newest try to write failed for want of space, nil if it did not
	Err      error  // why nothing is taken any more: poisoned, or closed
	Readers  []ReaderStatus
}

// ReaderStatus is how far a reader has come.
type ReaderStatus struct {
	Name   string
	Mark   tallyman.ID
	Behind uint64 // durable places after the mark
	Lost   uint64 // places delivered as holes since it was opened
	Open   bool
}

// Status returns a consistent picture.
func (s *Spool) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := s.segments[0]
	st := Status{
		Agent:    s.agent,
		Oldest:   s.id(oldest.start()),
		Newest:   s.id(s.newest()),
		Synced:   s.id(s.synced),
		Entries:  s.behind(place{}),
		Bytes:    s.onDisk,
		Buffered: s.flight + int64(len(s.pend)),
		Segments: len(s.segments),
		Appended: s.appended,
		Refused:  s.refused,
		Syncs:    s.disk.Syncs(),
		Damaged:  s.damaged,
		Stalled:  s.stalled,
		Err:      s.err,
	}
	for _, name := range slices.Sorted(maps.Keys(s.marks)) {
		r := ReaderStatus{Name: name, Mark: s.id(s.marks[name]), Behind: s.behind(s.marks[name])}
		if open := s.open[name]; open != nil {
			r.Lost, r.Open = open.lost, true
		}
		st.Readers = append(st.Readers, r)
	}
	return st
}

// behind counts the durable places after p. It is called under mu.
func (s *Spool) behind(p place) (n uint64) {
	for _, g := range s.segments {
		from := g.first
		if g.epoch == p.epoch {
			from = max(from, p.seq+1)
		}
		if g.epoch >= p.epoch && g.last >= from {
			n += g.last - from + 1
		}
	}
	return n
}

// newest is the last place given, in the epoch before if the newest one has none. It is called under mu.
func (s *Spool) newest() place {
	if s.last > 0 {
		return place{s.epoch, s.last}
	}
	for _, g := range slices.Backward(s.segments) {
		if g.last >= g.first {
			return g.stop()
		}
	}
	return place{s.epoch, 0}
}
