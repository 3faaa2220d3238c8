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
		if err != unix.EEXIST {
			return "", err
		}
		old, exists, err := u.old()
		switch {
		case err != nil:
			return "", err
		case !exists:
			continue
		case u.opt.Mode == Overwrite:
			return "", u.rename()
		}
		kept, err := u.keep(&old)
		if err != unix.ENOENT {
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
		return u.tree.do("link", u.real, func() error { // discard takes the temporary name away
			return unix.Linkat(u.dir.fd, u.temp, u.dir.fd, u.base, 0)
		})
	}
	if err == nil {
		u.temp = ""
	}
	return err
}

// rename puts the temporary file in the place of the old one.
func (u *Upload) rename() error {
	err := u.tree.do("rename", u.real, func() error { return unix.Renameat(u.dir.fd, u.temp, u.dir.fd, u.base) })
	if err == nil {
		u.temp = ""
	}
	return err
}

// keep puts the temporary file in the place of the old one, which goes to .kept. ENOENT says that the old one has gone.
//
//	with links:     link old -> K, sync .kept, exchange temp and NAME; temp is now a second name of the old one: discard takes it away
//	without links:  rename temp -> K, exchange K and NAME
//
// Between the two steps another upload may have taken NAME. The exchange then brings its file to us, and that one is kept too.
func (u *Upload) keep(old *unix.Stat_t) (string, error) {
	s, err := u.openShelf()
	if err != nil {
		return "", err
	}
	kept, added, err := s.link(u, old)
	if err == unix.EXDEV {
		s.close()
		if s, err = u.openNearShelf(); err != nil {
			return "", err
		}
		kept, added, err = s.link(u, old)
	}
	defer s.close()
	switch {
	case err == nil:
		kept, err = u.keepByLink(s, old, kept, added)
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

func (u *Upload) keepByLink(s shelf, old *unix.Stat_t, kept string, added bool) (string, error) {
	err := s.sync(u.fd)
	if err == nil {
		err = u.exchange(u.dir.fd, u.temp)
	}
	if is(err, unix.EINVAL, unix.ENOSYS) {
		err = u.rename()
	}
	if err != nil {
		if added && err != unix.ENOENT {
			s.remove(kept)
		}
		return "", err
	}
	if u.temp == "" {
		return kept, nil
	}
	if out, err := lstat(u.dir.fd, u.temp); err == nil && !sameFile(&out, old) {
		return u.shelve(s, &out)
	}
	return kept, nil
}

func (u *Upload) keepByExchange(s shelf, old *unix.Stat_t) (string, error) {
	kept, err := s.take(u, old)
	if err != nil {
		return "", err
	}
	if err = u.exchange(s.fd, kept); err == nil {
		u.temp = ""
		return kept, s.sync(u.fd)
	}
	if back := unix.Renameat(s.fd, kept, u.dir.fd, u.temp); back != nil {
		s.remove(kept)
	}
	if is(err, unix.EINVAL, unix.ENOSYS) {
		return "", refuse(tallyman.NotWritable, "%s: its file system has neither links nor exchange (or protects the file of another user), so the old version cannot be kept: set write: overwrite or create, or chown the file", u.shown())
	}
	return "", err
}

func (u *Upload) exchange(dir int, name string) error {
	return u.tree.do("exchange", u.real, func() error {
		return unix.Renameat2(dir, name, u.dir.fd, u.base, unix.RENAME_EXCHANGE)
	})
}

// shelve keeps what another upload had stored under the name a moment ago.
func (u *Upload) shelve(s shelf, version *unix.Stat_t) (string, error) {
	kept, err := s.take(u, version)
	if err != nil {
		return "", err
	}
	u.temp = ""
	return kept, s.sync(u.fd)
}
