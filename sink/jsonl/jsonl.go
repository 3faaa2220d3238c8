// Package jsonl appends every record to a file, one line of JSON each, for programs that follow files (jq, log shippers, scripts).
//
//	Write(batch) --> lock --> one write(2) at the end of FILE --> FILE.1, FILE.2 ... when it is large enough
//
// It promises:
//   - A line is one record, the same JSON as the API gives; a name from the network cannot break a line.
//   - Several writers, of this process and others, never mix lines: the file is locked (flock(2)) while a batch is written, and a batch is appended
//     whole. Between batches nobody holds the lock; who waits for it waits as long as the context allows.
//   - What is in the file stays: nothing is truncated but the torn end of a batch of our own that the disk did not take whole, and that only while
//     nothing stands behind it.
//   - A line that was cut by a crash of a former run is ended, so that ours begin on lines of their own.
//   - A file that somebody moved away (logrotate) is made anew at Reopen.
//   - A rotation that fails loses no record: the file grows until one works.
//
// A batch that comes again after a crash is written again: records carry their id and rev. It leaves pace and retries to the pipe.
package jsonl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Config is the section jsonl.
type Config struct {
	File    string       // where lines go; the folder must exist
	MaxSize int64        // bytes at which the file is renamed to FILE.1 and a new one begun; 0 = never
	Keep    int          // how many renamed files stay; 0 means 5
	Sync    bool         // fdatasync(2) each batch before Write returns; after a failed one the batch comes again, so lines may stand twice
	Log     *slog.Logger // told when a rotation fails; nil = silent
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

	mu    sync.Mutex
	file  *os.File
	buf   []byte
	stuck bool // the newest rotation failed
}

// Open opens the file for appending, or makes it with mode 0640.
func Open(cfg Config) (*Sink, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Keep == 0 {
		cfg.Keep = defaultKeep
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Sink{cfg: cfg}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens, or makes, the file that has the name. After an error the old one stays.
func (s *Sink) open() error {
	f, err := os.OpenFile(s.cfg.File, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open file of records: %w", err)
	}
	if s.file != nil {
		_ = s.file.Close() // a lock goes with it
	}
	s.file = f
	return nil
}

// Reopen lets the file go and opens, or makes, the one that has the name now.
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open()
}

// Close ends the writing.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// Write appends the records of the batch. After an error none of them is in the file, unless the disk refuses even to cut it back or to sync it, which
// the error says. It waits for other processes as long as ctx allows.
func (s *Sink) Write(ctx context.Context, b tallyman.Batch) error {
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
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.unlock()
	if err := s.makeRoom(ctx, int64(len(s.buf))); err != nil {
		return err
	}
	return s.append(s.buf)
}

// append writes at the end of the locked file, in one write(2).
func (s *Sink) append(lines []byte) error {
	size, torn, err := s.end()
	if err != nil {
		return err
	}
	if !torn {
		lines = lines[1:]
	}
	if n, err := s.file.Write(lines); err != nil {
		err = fmt.Errorf("append to %s: %w", s.cfg.File, err)
		if cut := s.takeBack(size, int64(n)); cut != nil {
			return fmt.Errorf("%w; and half of a batch stays in it: %w", err, cut)
		}
		return err
	}
	if s.cfg.Sync {
		if err := unix.Fdatasync(int(s.file.Fd())); err != nil {
			return fmt.Errorf("sync %s: %w", s.cfg.File, err)
		}
	}
	return nil
}

// takeBack cuts off the n bytes that we have just written, unless somebody who heeds no lock has written behind them.
func (s *Sink) takeBack(size, n int64) error {
	if n == 0 {
		return nil
	}
	st, err := s.file.Stat()
	if err != nil {
		return err
	}
	if st.Size() != size+n {
		return errors.New("somebody else has written behind it")
	}
	return s.file.Truncate(size)
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
