package spool

import (
	"errors"
	"fmt"
	"os"
	"time"

	"tallyman/spool/segment"

	"tallyman/spool/disk"
)

// Open opens the spool in a folder, or makes one, and starts its writer. Damage does not stop it: what cannot be read becomes a hole. Errors:
// the folder is in use by another process, cannot be written, or holds segments of a newer format.
func Open(cfg Config) (*Spool, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{
		cfg:   cfg,
		disk:  disk.Folder{Dir: cfg.Dir, Step: cfg.Step},
		kick:  make(chan struct{}, 1),
		ended: make(chan struct{}),
		turn:  make(chan struct{}),
		open:  map[string]*Reader{},
	}
	if err := s.disk.Make(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if s.held, err = s.disk.Lock(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := s.recover(); err != nil {
		if s.active != nil {
			_ = s.active.Close()
		}
		return nil, fmt.Errorf("open spool: %w", errors.Join(err, s.held.Close()))
	}
	s.due = time.AfterFunc(cfg.SyncEvery, s.wake)
	s.saver = time.AfterFunc(markEvery, func() {
		s.mu.Lock()
		s.saveNow = true
		s.mu.Unlock()
		s.wake()
	})
	go s.run()
	return s, nil
}

// recover reads the folder, and makes it ready for the next entry.
func (s *Spool) recover() error {
	files, err := s.list()
	if err != nil {
		return err
	}
	id, lost := s.identify(&files)
	s.agent = id.Agent
	s.marks = s.loadMarks()
	if files, err = s.weed(files); err != nil {
		return err
	}
	clean, err := s.measure(files)
	if err != nil {
		return err
	}
	newest := place{id.Epoch, id.First - 1}
	if n := len(s.segments); n > 0 && !s.segments[n-1].stop().before(newest) {
		newest = s.segments[n-1].stop()
	}
	for name, p := range s.marks {
		if newest.before(p) {
			id = identity{id.Agent, max(id.Epoch, p.epoch) + 1, 2}
			newest, lost = place{id.Epoch, 1}, "a reader has seen entries that are gone: "+name
		}
	}
	if lost != "" {
		s.cfg.Log.Error("the spool has lost entries, a new epoch begins", "epoch", id.Epoch, "why", lost)
	}
	return s.begin(id, clean)
}

// measure learns where each segment ends. Only the last of each epoch must be read for that. It reports whether the very last one can go on.
func (s *Spool) measure(files []candidate) (clean bool, err error) {
	for i, c := range files {
		newest := i == len(files)-1
		switch {
		case !newest && files[i+1].epoch == c.epoch:
			c.last = files[i+1].first - 1
		default:
			if clean, err = s.readEnd(&c, newest); err != nil {
				return false, err
			}
		}
		s.segments = append(s.segments, c.extent)
		s.onDisk += c.end
	}
	return clean, nil
}

// readEnd learns the last place and the used bytes of a segment. The newest is synced first: what is delivered must be durable. It
// reports whether the segment ends with a whole entry, so that the next may follow it.
func (s *Spool) readEnd(c *candidate, newest bool) (clean bool, err error) {
	w, whole, err := s.walkFile(*c, newest)
	if err != nil {
		return false, err
	}
	c.last, c.end = w.Reach(), w.Used
	if w.Damaged > 0 {
		s.damaged += w.Damaged
		s.cfg.Log.Error("a spool segment is damaged", "file", c.name(), "bytes", w.Damaged, "last_whole", whole, "last", c.last)
	}
	return c.last < c.first || c.titled && c.last == whole, nil
}

// walkFile scans a whole segment. What the disk cannot read is taken for as many entries as could stand there.
func (s *Spool) walkFile(c candidate, sync bool) (w segment.Scan, whole uint64, err error) {
	f, err := s.disk.Open(c.name(), os.O_RDWR)
	if err != nil {
		return w, 0, err
	}
	defer func() { _ = f.Close() }()
	if sync {
		if err := s.disk.Sync(f); err != nil {
			return w, 0, err
		}
		_ = disk.Forget(f)
	}
	w.Reset(s.disk.Reading(f), segment.Seed(s.agent, c.epoch), c.first-1, c.end)
	if whole, err = w.Run(); err != nil {
		s.cfg.Log.Error("a spool segment cannot be read to its end", "file", c.name(), "error", err)
		whole = 0
	}
	return w, whole, nil
}

// begin makes the newest segment ready: the one that is there if the next entry may follow in it, else a new one.
func (s *Spool) begin(id identity, clean bool) error {
	s.epoch, s.last, s.seed = id.Epoch, id.First-1, segment.Seed(s.agent, id.Epoch)
	if n := len(s.segments); n > 0 && s.segments[n-1].epoch == id.Epoch {
		now := s.segments[n-1]
		s.last = now.last
		if clean {
			if err := s.resume(now); err != nil {
				return err
			}
		}
	}
	if s.active == nil {
		if err := s.rotate(place{s.epoch, s.last + 1}); err != nil {
			return err
		}
	}
	s.synced = place{s.epoch, s.last}
	return s.disk.Save(agentFile, id)
}

// resume opens the newest segment to go on in it.
func (s *Spool) resume(now extent) (err error) {
	if s.active, err = s.disk.Open(now.name(), os.O_RDWR); err != nil {
		return err
	}
	if err := s.disk.Write(s.active, segment.Title{Agent: s.agent, Epoch: now.epoch, First: now.first}.Bytes(), 0); err != nil {
		return err
	}
	s.disk.Reserve(s.active, s.cfg.SegmentSize)
	return s.disk.SyncDir()
}
