package spool

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"tallyman"
	"tallyman/spool/disk"
	"tallyman/spool/segment"
)

// Spool is an open spool. All methods may be called by many goroutines.
type Spool struct {
	cfg   Config
	disk  disk.Folder
	agent tallyman.Agent
	held  *os.File // the lock

	kick  chan struct{} // capacity 1; full = the writer is already told
	ended chan struct{} // closed when the writer has ended
	due   *time.Timer   // kicks the writer SyncEvery after the first entry of a batch
	saver *time.Timer   // kicks the writer markEvery after the first mark that is not saved

	// writing is held by whoever writes to the folder: the writer's round, NewEpoch.
	writing sync.Mutex
	active  *os.File // the newest segment; nil = to be made
	batch   []byte   // entries taken from pend that are not on the disk yet
	in      uint32   // their epoch
	spare   []byte   // the other buffer

	mu       sync.Mutex
	epoch    uint32
	last     uint64 // seq of the newest entry
	seed     uint32
	pend     []byte // encoded entries, at most cfg.Buffer; when full, Append refuses and counts
	flight   int64  // len(batch)
	onDisk   int64  // bytes of all segments
	segments []extent
	synced   place
	turn     chan struct{} // closed and replaced whenever synced moves or a write fails
	marks    map[string]place
	open     map[string]*Reader
	unsaved  bool // marks that the folder does not have yet
	saveNow  bool
	stalled  error // why the newest round could not write, nil if it could
	stalls   uint64
	err      error // poisoned or closed
	closing  bool
	appended uint64
	refused  uint64
	damaged  int64
}

// extent is one segment. last may be below first: it has no entry yet.
type extent struct {
	epoch       uint32
	first, last uint64 // places of this file, holes included
	end         int64  // durable bytes, head included
}

func (g extent) name() string { return segment.FileName(g.epoch, g.first) }
func (g extent) start() place { return place{g.epoch, g.first} }
func (g extent) stop() place  { return place{g.epoch, g.last} }

// markEvery is how long a reader's mark may be newer than the folder's.
const markEvery = time.Second

// retryEvery is how long the writer waits after the disk was full.
const retryEvery = time.Second

// place is an ID without the agent. Seq 0 stands before the first entry of the epoch.
type place struct {
	epoch uint32
	seq   uint64
}

func (p place) before(o place) bool {
	return p.epoch < o.epoch || p.epoch == o.epoch && p.seq < o.seq
}

// Agent names the spool. It was drawn at the first Open and stays with the folder.
func (s *Spool) Agent() tallyman.Agent { return s.agent }

// Epoch returns the epoch of the next entry.
func (s *Spool) Epoch() uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Append gives the payloads consecutive places and returns the last one; a batch is taken whole or not at all. It copies the payloads
// and never waits for the disk. Errors: tallyman.ErrFull, ErrTooLarge, ErrClosed, and for ever the error that poisoned the spool.
// Without payloads it returns the newest place.
func (s *Spool) Append(payloads ...[]byte) (tallyman.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendLocked(payloads)
}

func (s *Spool) appendLocked(payloads [][]byte) (tallyman.ID, error) {
	if err := s.admit(payloads); err != nil {
		s.refused += uint64(len(payloads))
		return tallyman.ID{}, err
	}
	s.put(payloads)
	return s.id(place{s.epoch, s.last}), nil
}

// put adds what admit has let in.
func (s *Spool) put(payloads [][]byte) {
	empty, half := len(s.pend) == 0, s.cfg.Buffer/2
	below := len(s.pend) < half
	for _, p := range payloads {
		s.last++
		s.pend = segment.AppendEntry(s.pend, s.seed, s.last, p)
	}
	s.appended += uint64(len(payloads))
	switch {
	case below && len(s.pend) >= half:
		s.wake()
	case empty && len(s.pend) > 0 && s.stalled == nil:
		s.due.Reset(s.cfg.SyncEvery)
	}
}

func (s *Spool) admit(payloads [][]byte) error {
	if s.err != nil {
		return s.err
	}
	most, size := s.cfg.maxPayload(), 0
	for _, p := range payloads {
		if len(p) > most {
			return fmt.Errorf("a payload of %d bytes is %w: it takes at most %d", len(p), ErrTooLarge, most)
		}
		size += segment.EntryHead + len(p)
	}
	switch {
	case size > s.cfg.Buffer:
		return fmt.Errorf("a batch of %d bytes is %w: it takes at most %d", size, ErrTooLarge, s.cfg.Buffer)
	case s.onDisk+s.flight+int64(len(s.pend)+size) > s.cfg.MaxSize:
		return errDiskBound
	case len(s.pend)+size > s.cfg.Buffer:
		return errBufferBound
	}
	return nil
}

// Commit appends the payloads and returns when they, and all before them, are on stable storage. Unlike Append it waits while only the
// buffer is full. After an error nothing may be acknowledged; the payloads may still be delivered later.
func (s *Spool) Commit(ctx context.Context, payloads ...[]byte) (tallyman.ID, error) {
	var id tallyman.ID
	stalls := s.stallCount()
	err := s.await(ctx, func() (bool, error) {
		err := s.admit(payloads)
		if err == errBufferBound { //nolint:errorlint // our own value, never wrapped
			s.wake()
			return false, s.stalledSince(stalls)
		}
		if err == nil {
			s.put(payloads)
			id = s.id(place{s.epoch, s.last})
		}
		return true, err
	})
	if err != nil {
		s.mu.Lock()
		s.refused += uint64(len(payloads))
		s.mu.Unlock()
		return tallyman.ID{}, err
	}
	return id, s.Sync(ctx, id)
}

// Sync returns nil when the entry and all before it are on stable storage. It may be called for any ID that Append returned.
func (s *Spool) Sync(ctx context.Context, id tallyman.ID) error {
	want, err := s.placeOf(id)
	if err != nil {
		return err
	}
	stalls := s.stallCount()
	return s.await(ctx, func() (bool, error) {
		switch {
		case !s.synced.before(want):
			return true, nil
		case s.err != nil:
			return false, s.err
		case (place{s.epoch, s.last}).before(want):
			return false, fmt.Errorf("sync: no entry %d of epoch %d has been appended", want.seq, want.epoch)
		}
		s.wake()
		return false, s.stalledSince(stalls)
	})
}

func (s *Spool) stallCount() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalls
}

// stalledSince returns why the disk did not take a batch, if a round has failed since the count was read.
func (s *Spool) stalledSince(stalls uint64) error {
	if s.stalls != stalls {
		return s.stalled
	}
	return nil
}

// await asks ready, under mu, now and at each turn, until it says yes or gives an error.
func (s *Spool) await(ctx context.Context, ready func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := ready()
		turn := s.turn
		s.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// broadcast wakes all that await. It is called under mu.
func (s *Spool) broadcast() {
	close(s.turn)
	s.turn = make(chan struct{})
}

// wake tells the writer that there is something to do now.
func (s *Spool) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *Spool) id(p place) tallyman.ID {
	return tallyman.ID{Agent: s.agent, Epoch: p.epoch, Seq: p.seq}
}

func (s *Spool) placeOf(id tallyman.ID) (place, error) {
	if id.Agent != s.agent {
		return place{}, fmt.Errorf("the ID is of agent %v, this spool's is %v", id.Agent, s.agent)
	}
	return place{id.Epoch, id.Seq}, nil
}

// Close writes and syncs everything, then ends the writer, and every Next with ErrClosed; readers are closed by whoever opened them. It returns what could not be written, or the error that
// poisoned the spool. A second call returns ErrClosed.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		<-s.ended
		return ErrClosed
	}
	s.closing = true
	s.mu.Unlock()
	s.wake()
	<-s.ended
	return s.finish()
}
