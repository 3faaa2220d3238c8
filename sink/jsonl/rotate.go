package jsonl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lock keeps other writers away, and turns to the file that has the name now: another process may have rotated it.
func (s *Sink) lock(ctx context.Context) error {
	for {
		if err := s.flock(ctx); err != nil {
			return fmt.Errorf("lock %s: %w", s.cfg.File, err)
		}
		current, err := s.isCurrent()
		if err == nil && !current {
			if err = s.open(); err == nil {
				continue
			}
		}
		if err != nil {
			s.unlock()
		}
		return err
	}
}

func (s *Sink) unlock() { _ = unix.Flock(int(s.file.Fd()), unix.LOCK_UN) }

// flock asks again and again instead of blocking in the kernel, where no context ends the wait for a process that is stopped.
func (s *Sink) flock(ctx context.Context) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := unix.Flock(int(s.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return fmt.Errorf("another process holds it: %w", context.Cause(ctx))
		}
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

// makeRoom rotates while the locked file is too large for n bytes more. If that is not possible the file goes on growing, which is said once: a
// record must not be lost for a name.
func (s *Sink) makeRoom(ctx context.Context, n int64) error {
	for s.cfg.MaxSize > 0 {
		st, err := s.file.Stat()
		if err != nil {
			return fmt.Errorf("look at %s: %w", s.cfg.File, err)
		}
		if !st.Mode().IsRegular() || st.Size() == 0 || st.Size()+n <= s.cfg.MaxSize {
			return nil
		}
		if err = s.rotate(); err == nil {
			err = s.open()
		}
		if err != nil {
			if !s.stuck {
				s.cfg.Log.Warn("the file of records cannot be rotated and goes on growing", "file", s.cfg.File, "error", err)
			}
			s.stuck = true
			return nil
		}
		s.stuck = false
		if err := s.lock(ctx); err != nil {
			return err
		}
	}
	return nil
}

// rotate moves FILE to FILE.1, FILE.1 to FILE.2 and so on; the one beyond Keep goes. A file that has been moved away already needs none of it.
func (s *Sink) rotate() error {
	if _, err := os.Lstat(s.cfg.File); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	name := func(n int) string { return s.cfg.File + "." + strconv.Itoa(n) }
	free := 1 // only what is in the way moves, so that a rotation which is tried often pushes nothing out
	for free < s.cfg.Keep {
		if _, err := os.Lstat(name(free)); errors.Is(err, fs.ErrNotExist) {
			break
		}
		free++
	}
	for n := free - 1; n >= 1; n-- {
		if err := os.Rename(name(n), name(n+1)); err != nil {
			return fmt.Errorf("rotate: %w", err)
		}
	}
	if err := os.Rename(s.cfg.File, name(1)); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}
