package tree

import (
	"golang.org/x/sys/unix"

	"tallyman"
)

// publishTries bounds how often other uploads of the same name may get in between.
const publishTries = 64

// publish gives the temporary file its name; kept is the absolute path of the version that it replaced, if that is kept.
func (u *Upload) publish() (kept string, err error) {
	for range publishTries {
		err := u.claim()
		if !is(err, unix.EEXIST) {
			return "", err
		}
		old, exists, err := u.old()
		switch {
		case err != nil:
			return "", err
		case !exists:
			continue
		case u.opt.Mode == Overwrite:
			return "", u.overwrite()
		}
		kept, err := u.keep(&old)
		if !is(err, unix.ENOENT) {
			return kept, err
		}
	}
	return "", refuse(tallyman.IOError, "%s: too many uploads of this name at once", u.shown())
}

// claim takes a name that nobody has; EEXIST says that somebody has it.
func (u *Upload) claim() error {
	err := u.tree.do("claim", u.real, func() error {
		return unix.Renameat2(u.dir.fd, u.temp, u.dir.fd, u.base, unix.RENAME_NOREPLACE)
	})
	// rename(2): NFS and some FUSE file systems know no flags.
	if is(err, unix.EINVAL, unix.ENOSYS) {
		err = u.tree.do("link", u.real, func() error { // discard takes the temporary name away
			return unix.Linkat(u.dir.fd, u.temp, u.dir.fd, u.base, 0)
		})
	} else if err == nil {
		u.temp = ""
	}
	u.published = err == nil
	return err
}

// overwrite replaces the file that has the name. One upload after the other, so that each knows which one it replaced.
func (u *Upload) overwrite() error {
	u.tree.replacing.Lock()
	defer u.tree.replacing.Unlock()
	old, exists, err := u.old()
	if err != nil {
		return err
	}
	if err := u.rename(); err != nil {
		return err
	}
	if exists {
		u.gone = old.Size
	}
	return nil
}

// rename puts the temporary file in the place of the old one.
func (u *Upload) rename() error {
	err := u.tree.do("rename", u.real, func() error { return unix.Renameat(u.dir.fd, u.temp, u.dir.fd, u.base) })
	if err == nil {
		u.temp, u.published = "", true
	}
	return err
}

// keep puts the temporary file in the place of the old one, which goes to .kept. ENOENT says that the old one has gone.
//
//	with links:     link NAME -> K, sync .kept, exchange temp and NAME; temp is now a second name of the old one: discard takes it away
//	without links:  rename temp -> K, exchange K and NAME
//
// Between two steps another upload may take NAME, in this process or in another. So each step looks what it has got, and what turns out to be another
// version than the one that was expected is kept too, once and under its own time. A link made for an exchange that then fails stays: another
// upload may already count on it.
func (u *Upload) keep(old *unix.Stat_t) (string, error) {
	s, err := u.openShelf()
	if err != nil {
		return "", err
	}
	kept, err := s.link(u, old)
	if is(err, unix.EXDEV) {
		s.close()
		if s, err = u.openNearShelf(); err != nil {
			return "", err
		}
		kept, err = s.link(u, old)
	}
	defer s.close()
	switch {
	case err == nil:
		kept, err = u.keepByLink(s, old, kept)
	case is(err, unix.EPERM, unix.EOPNOTSUPP, unix.ENOSYS, unix.EMLINK):
		// link(2): no links here, too many, or (proc_sys_fs(5), protected_hardlinks) none to the file of another user.
		kept, err = u.keepByExchange(s, old)
	}
	if err != nil {
		return "", err
	}
	s.prune(u.base)
	return u.tree.abs(s.join(kept)), nil
}

func (u *Upload) keepByLink(s shelf, old *unix.Stat_t, kept string) (string, error) {
	if err := s.sync(u.fd); err != nil {
		return "", err
	}
	err := u.exchange(u.dir.fd, u.temp)
	if is(err, unix.EINVAL, unix.ENOSYS) {
		return kept, u.rename()
	}
	if err != nil {
		return "", err
	}
	out, err := lstat(u.dir.fd, u.temp)
	if err != nil || sameFile(&out, old) {
		return kept, nil
	}
	if kept, err = s.take(u.dir.fd, u.temp, u.base, &out); err != nil {
		return "", err
	}
	u.temp = ""
	return kept, s.sync(u.fd)
}

func (u *Upload) keepByExchange(s shelf, old *unix.Stat_t) (string, error) {
	kept, err := s.take(u.dir.fd, u.temp, u.base, old)
	if err != nil {
		return "", err
	}
	if err = u.exchange(s.fd, kept); err != nil {
		if back := unix.Renameat(s.fd, kept, u.dir.fd, u.temp); back != nil {
			s.remove(kept)
		}
		if is(err, unix.EINVAL, unix.ENOSYS) {
			return "", refuse(tallyman.NotWritable, "%s: its file system has neither links nor exchange (or protects the file of another user), so the old version cannot be kept: set write: overwrite or create, or chown the file", u.shown())
		}
		return "", err
	}
	u.temp = ""
	if out, err := lstat(s.fd, kept); err == nil && !sameFile(&out, old) {
		if kept, err = s.take(s.fd, kept, u.base, &out); err != nil {
			return "", err
		}
	}
	return kept, s.sync(u.fd)
}

// exchange swaps the final name with another one; both stand all the time.
func (u *Upload) exchange(dir int, name string) error {
	err := u.tree.do("exchange", u.real, func() error {
		return unix.Renameat2(dir, name, u.dir.fd, u.base, unix.RENAME_EXCHANGE)
	})
	u.published = err == nil
	return err
}
