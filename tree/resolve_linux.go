package tree

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// openat2(2): with RESOLVE_BENEATH the kernel says EAGAIN when it cannot rule out that a concurrent rename moved a ".." of a link out of the root.
	openTries = 64
	beneath   = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
)

func knowsOpenat2(root int) bool {
	fd, err := unix.Openat2(root, ".", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// resolve opens a path below the root. Links that stay inside are followed. real is the path without links, relative to the root: the
// same string if there was none, which costs nothing to know.
func (t *Tree) resolve(path string, flags int) (fd int, real string, err error) {
	flags |= unix.O_CLOEXEC
	if t.legacy != nil {
		return t.resolveLegacy(path, flags)
	}
	how := unix.OpenHow{Flags: uint64(flags), Resolve: beneath | unix.RESOLVE_NO_SYMLINKS}
	for range openTries {
		fd, err = unix.Openat2(t.rootFD(), path, &how)
		switch {
		case err == unix.ELOOP && how.Resolve&unix.RESOLVE_NO_SYMLINKS != 0:
			how.Resolve = beneath
		case err == unix.EAGAIN || err == unix.EINTR:
		case err != nil:
			return -1, "", err
		case how.Resolve == beneath:
			return t.unlinked(fd)
		default:
			return fd, path, nil
		}
	}
	return -1, "", err
}

func (t *Tree) resolveLegacy(path string, flags int) (int, string, error) {
	f, err := t.legacy.OpenFile(path, flags, 0)
	if err != nil {
		if strings.HasSuffix(err.Error(), "path escapes from parent") {
			err = errors.Join(err, unix.EXDEV)
		}
		return -1, "", err
	}
	defer func() { _ = f.Close() }() // the copy of its descriptor stays
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, "", err
	}
	return t.unlinked(fd)
}

// unlinked asks the kernel where an open file really is (proc(5), /proc/pid/fd).
func (t *Tree) unlinked(fd int) (int, string, error) {
	abs, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil {
		if abs == t.path {
			return fd, ".", nil
		}
		if rel, ok := strings.CutPrefix(abs, strings.TrimSuffix(t.path, "/")+"/"); ok {
			return fd, rel, nil
		}
		err = unix.EXDEV
	}
	_ = unix.Close(fd)
	return -1, "", err
}

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !is(err, unix.EINTR) {
			return err
		}
	}
}

func sameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// lstat looks at a name in an open folder without following it.
func lstat(dir int, name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// sort of thing that a mode is, for sentences: "a folder".
func sortOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	default:
		return "a device"
	}
}
