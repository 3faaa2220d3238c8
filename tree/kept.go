package tree

import (
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// stampTries is how many milliseconds are tried for the name of a version.
const stampTries = 1000

// shelf is a folder of kept versions: ROOT/.kept/dir for the names in ROOT/dir, or dir/.kept where dir lies on another file system than the root.
type shelf struct{ *folder }

func (u *Upload) openShelf() (shelf, error) {
	root, err := u.tree.openFolder(".", false)
	if err != nil {
		return shelf{}, err
	}
	path := []string{reserved.Kept}
	if u.dir.rel != "." {
		path = append(path, strings.Split(u.dir.rel, "/")...)
	}
	at := root
	for _, name := range path {
		next, err := at.enter(name, 0o700)
		at.close()
		if err != nil {
			return shelf{}, err
		}
		at = next
	}
	return shelf{at}, nil
}

func (u *Upload) openNearShelf() (shelf, error) {
	f, err := u.dir.enter(reserved.Kept, 0o700)
	return shelf{f}, err
}

// link gives the file that now has the name a second one on the shelf, made of its own time, unless it has one already. If that is by now another
// file than old, old becomes it.
func (s shelf) link(u *Upload, old *unix.Stat_t) (kept string, err error) {
	var st unix.Stat_t
	err = s.free(u.base, old, func(name string) error {
		err := s.tree.do("link", s.join(name), func() error { return unix.Linkat(u.dir.fd, u.base, s.fd, name, 0) })
		if err != nil && !is(err, unix.EEXIST) {
			return err
		}
		var look error
		if st, look = lstat(s.fd, name); look != nil {
			return look
		}
		kept = name
		if sameFile(&st, old) {
			return nil
		}
		return err
	})
	if err != nil || sameFile(&st, old) {
		return kept, err
	}
	*old = st
	return s.take(s.fd, kept, u.base, &st)
}

// take moves a file to the shelf, under a name made of the time of the version that it is or will be. If it has such a name
// already, the one that was given goes.
func (s shelf) take(dir int, name, base string, version *unix.Stat_t) (kept string, err error) {
	err = s.free(base, version, func(to string) error {
		if kept = to; dir == s.fd && name == to {
			return nil
		}
		err := s.tree.do("claim", s.join(to), func() error { return unix.Renameat2(dir, name, s.fd, to, unix.RENAME_NOREPLACE) })
		if is(err, unix.EINVAL, unix.ENOSYS) {
			if _, taken := lstat(s.fd, to); is(taken, unix.ENOENT) {
				return s.tree.do("rename", s.join(to), func() error { return unix.Renameat(dir, name, s.fd, to) })
			}
			err = unix.EEXIST
		}
		if is(err, unix.EEXIST) && s.same(dir, name, to) {
			return s.tree.do("unlink", s.join(to), func() error { return unix.Unlinkat(dir, name, 0) })
		}
		return err
	})
	return kept, err
}

// same reports whether a name in another folder and one on the shelf are the same file.
func (s shelf) same(dir int, name, here string) bool {
	a, errA := lstat(dir, name)
	b, errB := lstat(s.fd, here)
	return errA == nil && errB == nil && sameFile(&a, &b)
}

// free tries names from the version's time on, a millisecond apart, until one is not taken.
func (s shelf) free(base string, version *unix.Stat_t, try func(name string) error) error {
	at := time.Unix(version.Mtim.Unix()).In(s.tree.cfg.Zone)
	for i := range stampTries {
		err := try(reserved.Version(base, at.Add(time.Duration(i)*time.Millisecond)))
		if !is(err, unix.EEXIST) {
			return err
		}
	}
	return refuse(tallyman.NotWritable, "%s holds too many versions of %s from one second: move some away", tallyman.Escape(s.tree.abs(s.rel)), tallyman.Escape(base))
}

func (s shelf) remove(name string) {
	_ = s.tree.do("unlink", s.join(name), func() error { return unix.Unlinkat(s.fd, name, 0) })
}

// prune removes the oldest versions of a name beyond the number that stays. What cannot be removed is tried again after the next upload.
func (s shelf) prune(base string) {
	most := s.tree.cfg.Kept
	if most < 0 {
		return
	}
	versions, err := s.versions(base)
	if err != nil || len(versions) <= most {
		return
	}
	for _, v := range versions[:len(versions)-most] {
		s.remove(v.name)
	}
}

type version struct {
	name string
	at   int64
}

// versions lists the kept versions of a name, oldest first.
func (s shelf) versions(base string) ([]version, error) {
	var out []version
	err := s.each(func(name string, _ fs.FileMode) {
		if !reserved.IsVersion(name, base) {
			return
		}
		if st, err := lstat(s.fd, name); err == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			out = append(out, version{name, st.Mtim.Nano()})
		}
	})
	slices.SortFunc(out, func(a, b version) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.name, b.name))
	})
	return out, err
}
