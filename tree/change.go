package tree

import (
	"errors"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// What follows changes names. Each change is on stable storage when it returns nil. Errors are a *Refusal: not-found, not-writable, exists, bad-request,
// disk-full, io-error. Reserved names are neither made nor touched, and no link is followed in the last element.

// in opens the folder of a name and hands it over.
func (t *Tree) in(name tallyman.Name, do func(f *folder, base string) error) error {
	path := name.Path()
	err := t.change(path, func() error {
		f, err := t.openFolder(name.Dir(), false)
		if err != nil {
			return err
		}
		defer f.close()
		if reserved.In(f.rel) {
			return unix.ENOENT
		}
		return do(f, name.Base())
	})
	return err
}

func (t *Tree) change(path string, do func() error) error {
	switch {
	case path == "":
		return refuse(tallyman.BadRequest, "the served root itself cannot be changed")
	case reserved.In(path):
		return refuse(tallyman.NotWritable, "%s is reserved for kept versions and unfinished uploads: choose another name", tallyman.Escape(t.abs(path)))
	}
	if err := do(); err != nil {
		return t.changed(path, err)
	}
	return nil
}

// changed is the refusal of a change: what does not exist is the name itself, not its folder.
func (t *Tree) changed(path string, err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r // of the other name
	}
	shown := tallyman.Escape(t.abs(path))
	switch {
	case is(err, unix.ENOENT):
		return &Refusal{Reason: tallyman.NotFound, Err: err, Text: shown + " does not exist"}
	case is(err, unix.EEXIST):
		return &Refusal{Reason: tallyman.Exists, Err: err, Text: shown + " exists: choose another name, or remove it first"}
	case is(err, unix.ENOTEMPTY):
		return &Refusal{Reason: tallyman.NotWritable, Err: err, Text: shown + " is not empty: remove what is in it first"}
	}
	return t.refusal(writing, path, err)
}

// Mkdir makes a folder with mode 0755.
func (t *Tree) Mkdir(name tallyman.Name) error {
	return t.in(name, func(f *folder, base string) error {
		if err := t.do("mkdir", f.join(base), func() error { return unix.Mkdirat(f.fd, base, 0o755) }); err != nil {
			return err
		}
		made, err := f.enter(base, 0o755)
		if err != nil {
			return err
		}
		defer made.close()
		if err := made.dress(0o755); err != nil {
			return err
		}
		return f.sync(made.fd)
	})
}

// Rmdir removes an empty folder. A folder of kept versions in it counts as content.
func (t *Tree) Rmdir(name tallyman.Name) error {
	return t.in(name, func(f *folder, base string) error {
		if err := t.do("rmdir", f.join(base), func() error { return unix.Unlinkat(f.fd, base, unix.AT_REMOVEDIR) }); err != nil {
			return err
		}
		return f.sync(f.fd)
	})
}

// Remove removes a file, or a link and not what it leads to. gone is how many bytes the file had, -1 of a link.
func (t *Tree) Remove(name tallyman.Name) (gone int64, err error) {
	err = t.in(name, func(f *folder, base string) error {
		st, err := lstat(f.fd, base)
		if err != nil {
			return err
		}
		if k := st.Mode & unix.S_IFMT; k != unix.S_IFREG && k != unix.S_IFLNK {
			return refuse(tallyman.NotWritable, "%s is %s: only a file is removed", tallyman.Escape(t.abs(f.join(base))), sortOf(st.Mode))
		} else if gone = -1; k == unix.S_IFREG {
			gone = st.Size
		}
		if err := t.do("unlink", f.join(base), func() error { return unix.Unlinkat(f.fd, base, 0) }); err != nil {
			return err
		}
		return f.sync(f.fd)
	})
	return gone, err
}

// Rename gives a file or folder another name. It takes no name that is taken unless replace is set; a folder is never replaced.
func (t *Tree) Rename(from, to tallyman.Name, replace bool) error {
	return t.in(from, func(a *folder, base string) error {
		st, err := lstat(a.fd, base)
		if err != nil {
			return err
		}
		if k := st.Mode & unix.S_IFMT; k != unix.S_IFREG && k != unix.S_IFDIR {
			return refuse(tallyman.NotWritable, "%s is %s: only a file or folder is renamed", tallyman.Escape(t.abs(a.join(base))), sortOf(st.Mode))
		}
		return t.in(to, func(b *folder, final string) error {
			if err := t.move(a, base, b, final, replace && st.Mode&unix.S_IFMT == unix.S_IFREG); err != nil {
				return err
			}
			if err := b.sync(b.fd); err != nil {
				return err
			}
			return a.sync(a.fd)
		})
	})
}

func (t *Tree) move(a *folder, base string, b *folder, final string, replace bool) error {
	if replace {
		return t.do("rename", b.join(final), func() error { return unix.Renameat(a.fd, base, b.fd, final) })
	}
	err := t.do("claim", b.join(final), func() error { return unix.Renameat2(a.fd, base, b.fd, final, unix.RENAME_NOREPLACE) })
	if !is(err, unix.EINVAL, unix.ENOSYS) {
		return err
	}
	if _, taken := lstat(b.fd, final); !is(taken, unix.ENOENT) { // rename(2): NFS and some FUSE file systems know no flags
		return unix.EEXIST
	}
	return t.do("rename", b.join(final), func() error { return unix.Renameat(a.fd, base, b.fd, final) })
}

// SetModified sets the time of the last change of the content of a regular file, or of a folder.
func (t *Tree) SetModified(name tallyman.Name, at time.Time) error {
	return t.ofFile(name, "utimes", true, func(fd int) error { return setModified(fd, at) })
}

// SetMode sets the permission bits of a regular file.
func (t *Tree) SetMode(name tallyman.Name, mode fs.FileMode) error {
	return t.ofFile(name, "chmod", false, func(fd int) error { return unix.Fchmod(fd, uint32(mode.Perm())) })
}

// ofFile changes something of a regular file itself, or where folders is set of a folder.
func (t *Tree) ofFile(name tallyman.Name, op string, folders bool, do func(fd int) error) error {
	return t.in(name, func(f *folder, base string) error {
		fd, err := unix.Openat(f.fd, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer func() { _ = unix.Close(fd) }() // it was only read
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		if k := st.Mode & unix.S_IFMT; k != unix.S_IFREG && (k != unix.S_IFDIR || !folders) {
			return refuse(tallyman.NotWritable, "%s is %s: only a file is changed so", tallyman.Escape(t.abs(f.join(base))), sortOf(st.Mode))
		}
		return t.do(op, f.join(base), func() error { return do(fd) })
	})
}
