// Package jsonl appends every record to a file, one line of JSON each, for programs that follow files (jq, log shippers, scripts).
//
//	Write(batch) --> lock --> one write(2) at the end of FILE --> FILE.1, FILE.2 ... when it is large enough
//
// It promises:
//   - A line is one record, the same JSON as the API gives; a name from the network cannot break a line.
//   - Several writers, of this process and others, never mix lines: the file is locked (flock(2)) while a batch is written, and a batch is appended whole.
//   - What is in the file stays: nothing is truncated but the torn end of a batch of our own that the disk did not take whole.
//   - A line that was cut by a crash of a former run is ended, so that ours begin on lines of their own.
//   - A file that somebody moved away (logrotate) is made anew at Reopen.
//
// A batch that comes again after a crash is written again: records carry their id and rev. It leaves pace and retries to the pipe.
package jsonl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Config is the section jsonl.
type Config struct {
	File    string // where lines go; the folder must exist
	MaxSize int64  // bytes at which the file is renamed to FILE.1 and a new one begun; 0 = never
	Keep    int    // how many renamed files stay; 0 means 5
}

const defaultKeep = 5

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch {
	case c.File == "":
		return errors.New("jsonl.file is empty: name a file")
	case c.MaxSize < 0 || c.Keep < 0:
		return errors.New("jsonl.max_size and the number of files kept must not be negative")
	}
	return nil
}

// Sink is an open file. Its methods may be called by many goroutines.
type Sink struct {
	cfg Config

	mu   sync.Mutex
	file *os.File
	buf  []byte
}

// Open opens the file for appending, or makes it with mode 0640.
func Open(cfg Config) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	s := &Sink{cfg: cfg}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Sink) open() error {
	f, err := os.OpenFile(s.cfg.File, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open file of records: %w", err)
	}
	s.file = f
	return nil
}

// Reopen lets the file go and opens, or makes, the one that has the name now.
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.file
	if err := s.open(); err != nil {
		return err
	}
	return old.Close()
}

// Close ends the writing.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// Write appends the records of the batch. After an error none of them is in the file, unless the disk refuses even to cut it back, which the error says.
func (s *Sink) Write(_ context.Context, b tallyman.Batch) error {
	if len(b.Records) == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buf = append(s.buf[:0], '\n') // ends a torn line, if there is one
	for _, r := range b.Records {
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write a record as JSON: %w", err)
		}
		s.buf = append(append(s.buf, line...), '\n')
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	err = s.append(s.buf)
	unlock()
	return err
}

// lock keeps other writers away, and turns to the file that has the name now: another process may have rotated it.
func (s *Sink) lock() (unlock func(), err error) {
	for {
		if err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX); err != nil {
			return nil, fmt.Errorf("lock %s: %w", s.cfg.File, err)
		}
		current, err := s.isCurrent()
		if err != nil {
			_ = unix.Flock(int(s.file.Fd()), unix.LOCK_UN)
			return nil, err
		}
		if current {
			locked := s.file
			return func() { _ = unix.Flock(int(locked.Fd()), unix.LOCK_UN) }, nil
		}
		old := s.file
		if err := s.open(); err != nil {
			return nil, err
		}
		_ = old.Close() // the lock goes with it
	}
}

// isCurrent reports whether our file still has the name, or was moved away by a hand that will call Reopen: then it stays ours until then.
func (s *Sink) isCurrent() (bool, error) {
	ours, err := s.file.Stat()
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", s.cfg.File, err)
	}
	named, err := os.Stat(s.cfg.File)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", s.cfg.File, err)
	}
	return os.SameFile(ours, named), nil
}

// append writes at the end of the locked file; before it, a file that is large enough is moved away.
func (s *Sink) append(lines []byte) error {
	size, torn, err := s.end()
	if err != nil {
		return err
	}
	if s.cfg.MaxSize > 0 && size > 0 && size+int64(len(lines)) > s.cfg.MaxSize {
		if err := s.rotate(); err != nil {
			return err
		}
		defer func(locked *os.File) { _ = locked.Close() }(s.file)
		if err := s.open(); err != nil {
			return err
		}
		if err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX); err != nil {
			return fmt.Errorf("lock %s: %w", s.cfg.File, err)
		}
		if size, torn, err = s.end(); err != nil {
			return err
		}
	}
	if !torn {
		lines = lines[1:]
	}
	if _, err := s.file.Write(lines); err != nil {
		if cut := s.file.Truncate(size); cut != nil {
			return fmt.Errorf("append to %s: %w; and half of a batch stays in it: %w", s.cfg.File, err, cut)
		}
		return fmt.Errorf("append to %s: %w", s.cfg.File, err)
	}
	return nil
}

// end returns the size of the file, and whether its last line is torn.
func (s *Sink) end() (size int64, torn bool, err error) {
	st, err := s.file.Stat()
	if err != nil {
		return 0, false, fmt.Errorf("look at %s: %w", s.cfg.File, err)
	}
	if st.Size() == 0 {
		return 0, false, nil
	}
	var last [1]byte
	if _, err := s.file.ReadAt(last[:], st.Size()-1); err != nil {
		return 0, false, fmt.Errorf("read the end of %s: %w", s.cfg.File, err)
	}
	return st.Size(), last[0] != '\n', nil
}

// rotate moves FILE to FILE.1, FILE.1 to FILE.2 and so on; the one beyond Keep goes.
func (s *Sink) rotate() error {
	name := func(n int) string { return s.cfg.File + "." + strconv.Itoa(n) }
	if err := os.Remove(name(s.cfg.Keep)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("rotate: %w", err)
	}
	for n := s.cfg.Keep - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate: %w", err)
		}
	}
	if err := os.Rename(s.cfg.File, name(1)); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}
