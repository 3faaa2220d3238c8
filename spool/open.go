package spool

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxFile is the size above which a file is not taken for a segment, in bytes.
const maxFile = 1<<30 + segmentHead

// Open opens the spool in a folder, or makes one, and starts its writer. Damage does not stop it: what cannot be read becomes a hole. Errors:
// the folder is in use by another process, cannot be written, or holds segments of a newer format.
func Open(cfg Config) (*Spool, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{
		cfg:   cfg,
		disk:  disk{dir: cfg.Dir, step: cfg.Step},
		kick:  make(chan struct{}, 1),
		ended: make(chan struct{}),
		turn:  make(chan struct{}),
		open:  map[string]*Reader{},
	}
	if err := s.disk.makeDir(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if s.held, err = s.disk.lock(); err != nil {
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

// makeDir makes the folder, and its name durable.
func (d *disk) makeDir() error {
	if err := d.step.Do("mkdir", d.dir); err != nil {
		return &os.PathError{Op: "mkdir", Path: d.dir, Err: err}
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(filepath.Clean(d.dir)))
}

// candidate is a file that may be a segment.
type candidate struct {
	segment
	title  title
	titled bool // the head is sound
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

// list returns the segments of the folder in the order of their places. What can be none is moved aside, never removed.
func (s *Spool) list() ([]candidate, error) {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var files []candidate
	for _, e := range entries {
		switch {
		case strings.HasSuffix(e.Name(), ".tmp"):
			_ = s.disk.remove(e.Name())
		case strings.HasSuffix(e.Name(), ".seg"):
			c, why, err := s.examine(e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.disk.path(e.Name()), err)
			}
			if why == "" {
				files = append(files, c)
			} else if err := s.aside(e.Name(), why); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(files, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.epoch, b.epoch), cmp.Compare(a.first, b.first))
	})
	return files, nil
}

// examine reads name, size and head of a file. It says why the file is no segment.
func (s *Spool) examine(e os.DirEntry) (c candidate, why string, err error) {
	p, ok := parseFileName(e.Name())
	info, ierr := e.Info()
	if !ok || ierr != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return c, "neither name, kind nor size is that of a segment", nil
	}
	c.segment = segment{epoch: p.epoch, first: p.seq, last: p.seq - 1, end: info.Size()}
	f, err := s.disk.open(e.Name(), os.O_RDONLY)
	if err != nil {
		return c, "", err
	}
	defer f.Close()
	b := make([]byte, segmentHead)
	n, _ := patient{probe{&s.disk, f}}.ReadAt(b, 0)
	c.title, c.titled, err = parseTitle(b[:n])
	if c.titled && (c.title.epoch != p.epoch || c.title.first != p.seq) {
		return c, "its head is that of another segment", nil
	}
	return c, "", err
}

// identify finds out whose spool this is, and says what was lost if the folder holds less than it must. Files of others are moved aside.
func (s *Spool) identify(files *[]candidate) (id identity, lost string) {
	known, damaged := s.disk.load(agentFile, &id)
	known = known && !id.Agent.IsZero() && id.Epoch > 0 && id.Epoch <= maxEpoch && id.First > 0 && id.First <= maxSeq
	for i := len(*files) - 1; i >= 0 && !known; i-- {
		if c := (*files)[i]; c.titled {
			id, known = identity{c.title.agent, c.epoch, 1}, true
		}
	}
	if !known {
		id = identity{Epoch: 1, First: 1}
		_, _ = rand.Read(id.Agent[:])
		if damaged {
			id.First, lost = 2, "its agent file is damaged and no segment names the agent"
		}
	}
	*files = slices.DeleteFunc(*files, func(c candidate) bool {
		stray := c.titled && c.title.agent != id.Agent || !c.titled && c.epoch > id.Epoch
		return stray && s.aside(fileName(c.start()), "it belongs to another spool") == nil
	})
	for _, c := range *files {
		if c.epoch > id.Epoch {
			id.Epoch, id.First = c.epoch, 1
		}
	}
	if known && len(*files) == 0 {
		id.Epoch, id.First, lost = id.Epoch+1, 2, "its segments are gone"
	}
	return id, lost
}

// aside renames a file so that it is in nobody's way. It stays for people to look at.
func (s *Spool) aside(name, why string) error {
	to := name + ".bad"
	for i := 2; ; i++ {
		if _, err := os.Lstat(s.disk.path(to)); err != nil {
			break
		}
		to = fmt.Sprintf("%s.bad%d", name, i)
	}
	s.cfg.Log.Warn("a file in the spool folder is moved aside", "file", name, "to", to, "why", why)
	return s.disk.rename(name, to)
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
		s.segments = append(s.segments, c.segment)
		s.onDisk += c.end
	}
	return clean, nil
}

// readEnd walks a segment to learn its last place and its used bytes. The newest is synced first and then read from the disk itself:
// what is delivered must be durable. It reports whether the segment ends with a whole entry, so that the next may follow it.
func (s *Spool) readEnd(c *candidate, newest bool) (clean bool, err error) {
	f, err := s.disk.open(fileName(c.start()), os.O_RDWR)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if newest {
		if err := s.disk.sync(f); err != nil {
			return false, err
		}
		_ = forget(f)
	}
	w := newScan(patient{probe{&s.disk, f}}, seedOf(s.agent, c.epoch), c.end, nil)
	w.seq = c.first - 1
	whole, err := w.run()
	if err != nil {
		s.cfg.Log.Error("a spool segment cannot be read to its end", "error", err)
		whole = 0
		w.lose(w.seq+uint64((c.end-w.off)/entryHead)+1, c.end-w.off)
	}
	c.last, c.end = w.reach(), w.used
	if w.damaged > 0 {
		s.damaged += w.damaged
		s.cfg.Log.Error("a spool segment is damaged", "file", fileName(c.start()), "bytes", w.damaged, "last_whole", whole, "last", c.last)
	}
	return c.last < c.first || c.titled && c.last == whole, nil
}

// begin makes the newest segment ready: the one that is there if the next entry may follow in it, else a new one.
func (s *Spool) begin(id identity, clean bool) error {
	s.epoch, s.last, s.seed = id.Epoch, id.First-1, seedOf(s.agent, id.Epoch)
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
	return s.disk.save(agentFile, id)
}

// resume opens the newest segment to go on in it.
func (s *Spool) resume(now segment) (err error) {
	if s.active, err = s.disk.open(fileName(now.start()), os.O_RDWR); err != nil {
		return err
	}
	if err := s.disk.write(s.active, title{s.agent, now.epoch, now.first}.bytes(), 0); err != nil {
		return err
	}
	s.disk.reserve(s.active, s.cfg.SegmentSize)
	return s.disk.syncDir(s.cfg.Dir)
}
