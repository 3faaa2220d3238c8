package tree

import (
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
)

// WriteAt writes at any place of the file: SFTP clients say where. What was never written between is a hole of zeros. The errors are those of Write.
func (u *Upload) WriteAt(p []byte, off int64) (int, error) {
	if u.done {
		return 0, os.ErrClosed
	}
	if off < 0 || off+int64(len(p)) < off {
		return 0, u.tree.refusal(writing, u.real, unix.EINVAL)
	}
	n, err := u.writeAt(p, off)
	if err != nil {
		return n, u.tree.refusal(writing, u.real, err)
	}
	return n, nil
}

func (u *Upload) writeAt(p []byte, off int64) (int, error) {
	if err := u.room(off + int64(len(p))); err != nil {
		return 0, err
	}
	if err := u.tree.cfg.Step.Do("write", u.path); err != nil {
		return 0, err
	}
	for n := 0; n < len(p); {
		m, err := unix.Pwrite(u.fd, p[n:], off+int64(n))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
		u.size = max(u.size, off+int64(n))
	}
	return len(p), nil
}

// room refuses a file that would reach beyond what it may.
func (u *Upload) room(end int64) error {
	if u.opt.MaxSize > 0 && end > u.opt.MaxSize {
		return u.tooLarge(end)
	}
	if u.opt.MinFree > 0 && end > u.next {
		if err := u.space(max(end-u.size, 0)); err != nil {
			return err
		}
		u.next = end + spaceEvery
	}
	return nil
}

// Truncate cuts the file or extends it by zeros. The errors are those of Write.
func (u *Upload) Truncate(size int64) error {
	if u.done {
		return os.ErrClosed
	}
	err := u.room(size)
	if err == nil {
		err = u.tree.do("truncate", u.path, func() error { return unix.Ftruncate(u.fd, size) })
	}
	if err != nil {
		return u.tree.refusal(writing, u.real, err)
	}
	u.size = size
	return nil
}

// Sync puts what was written on stable storage, without giving it its name.
func (u *Upload) Sync() error {
	if u.done {
		return os.ErrClosed
	}
	if err := u.tree.do("sync", u.path, func() error { return unix.Fsync(u.fd) }); err != nil {
		return u.tree.refusal(writing, u.real, err)
	}
	return nil
}

// SetMode gives the file other permission bits than the usual ones. It counts at Commit.
func (u *Upload) SetMode(mode fs.FileMode) { u.mode = mode.Perm() }

// SetModified sets the time of its content. It counts at Commit.
func (u *Upload) SetModified(at time.Time) { u.modified = at }

// Mode returns the permission bits that the file will have.
func (u *Upload) Mode() fs.FileMode {
	if u.mode != 0 {
		return u.mode
	}
	return u.tree.cfg.Mode.Perm()
}

// Resumed names the file whose beginning was copied; zero if none was.
func (u *Upload) Resumed() Identity { return u.resumed }

// stamp sets the time that was asked for.
func (u *Upload) stamp() error {
	if u.modified.IsZero() {
		return nil
	}
	return u.tree.do("utimes", u.path, func() error { return setModified(u.fd, u.modified) })
}

func setModified(fd int, at time.Time) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(at.UnixNano())}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), times, 0)
}

// Link gives a file a second name, which must be free (link(2)).
func (t *Tree) Link(from, to tallyman.Name) error {
	return t.in(from, func(a *folder, base string) error {
		st, err := lstat(a.fd, base)
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG {
			return refuse(tallyman.NotWritable, "%s is %s: only a file gets a second name", tallyman.Escape(t.abs(a.join(base))), sortOf(st.Mode))
		}
		return t.in(to, func(b *folder, final string) error {
			if err := t.do("link", b.join(final), func() error { return unix.Linkat(a.fd, base, b.fd, final, 0) }); err != nil {
				return err
			}
			return b.sync(b.fd)
		})
	})
}

// Replace gives a file another name. The file that has that name is kept as by an upload in mode Keep, or goes with Overwrite; Create refuses
// it. A reader finds the one or the other all the time. The path of what was kept is returned, "" if nothing was.
func (t *Tree) Replace(from, to tallyman.Name, mode Mode) (kept string, err error) {
	if mode != Keep {
		return "", t.Rename(from, to, mode == Overwrite)
	}
	regular := false
	err = t.in(from, func(a *folder, base string) error {
		st, err := lstat(a.fd, base)
		regular = st.Mode&unix.S_IFMT == unix.S_IFREG
		return err
	})
	if err != nil || !regular { // nothing is replaced, so nothing is kept
		if err == nil {
			err = t.Rename(from, to, false)
		}
		return "", err
	}
	err = t.in(to, func(b *folder, final string) error {
		u := &Upload{tree: t, name: to, dir: b, base: final, real: b.join(final), fd: -1}
		old, exists, err := u.old()
		if err != nil || !exists {
			return err
		}
		s, err := u.openShelf()
		if err != nil {
			return err
		}
		name, err := s.link(u, &old)
		if is(err, unix.EXDEV) {
			s.close()
			if s, err = u.openNearShelf(); err != nil {
				return err
			}
			name, err = s.link(u, &old)
		}
		defer s.close()
		if err == nil {
			err = s.sync(s.fd)
		}
		if err != nil {
			return err
		}
		s.prune(final)
		kept = t.abs(s.join(name))
		return nil
	})
	if err != nil {
		return "", err
	}
	return kept, t.Rename(from, to, kept != "")
}
