package beneath

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

const (
	// openat2(2): with RESOLVE_BENEATH the kernel says EAGAIN when it cannot rule out that a concurrent rename moved a ".." of a link out of the root.
	openTries = 64
	beneath   = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
)

// Root is an open folder. Its methods may be called by many goroutines, Close once they are done.
type Root struct {
	path   string       // real and absolute
	fd     atomic.Int64 // O_PATH; -1 once closed
	legacy *os.Root     // only where openat2 is refused
}

// Open opens a folder; links that lead to it are followed.
func Open(path string) (*Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	r := &Root{path: path}
	r.fd.Store(int64(fd))
	if !knowsOpenat2(fd) {
		if err := r.WithoutOpenat2(); err != nil {
			_ = unix.Close(fd)
			return nil, err
		}
	}
	return r, nil
}

func knowsOpenat2(root int) bool {
	fd, err := unix.Openat2(root, ".", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath})
	if err != nil {
		return false
	}
	_ = unix.Close(fd)
	return true
}

// WithoutOpenat2 resolves from now on as where the kernel refuses openat2. Open does so where that is so; tests do so anywhere.
func (r *Root) WithoutOpenat2() (err error) {
	r.legacy, err = os.OpenRoot(r.path)
	return err
}

// Path returns the real absolute path of the folder.
func (r *Root) Path() string { return r.path }

// FD returns the descriptor of the folder (O_PATH); below 0 once it is closed.
func (r *Root) FD() int { return int(r.fd.Load()) }

// Close lets the folder go. A second Close returns os.ErrClosed.
func (r *Root) Close() error {
	fd := r.fd.Swap(-1)
	if fd < 0 {
		return os.ErrClosed
	}
	if r.legacy != nil {
		_ = r.legacy.Close()
	}
	return unix.Close(int(fd))
}

// Resolve opens a path below the folder, "." for the folder itself, with the flags of open(2). real is the path without links, relative to the folder: the
// same string if there was none, which costs nothing to know. The caller closes fd. The error of what leads out is EXDEV or ELOOP (openat2(2)).
func (r *Root) Resolve(path string, flags int) (fd int, real string, err error) {
	flags |= unix.O_CLOEXEC
	if r.legacy != nil {
		return r.resolveLegacy(path, flags)
	}
	how := unix.OpenHow{Flags: uint64(flags), Resolve: beneath | unix.RESOLVE_NO_SYMLINKS}
	for range openTries {
		fd, err = unix.Openat2(r.FD(), path, &how)
		switch {
		case err == unix.ELOOP && how.Resolve&unix.RESOLVE_NO_SYMLINKS != 0:
			how.Resolve = beneath
		case err == unix.EAGAIN || err == unix.EINTR:
		case err != nil:
			return -1, "", err
		case how.Resolve == beneath:
			return r.unlinked(fd)
		default:
			return fd, path, nil
		}
	}
	return -1, "", err
}

func (r *Root) resolveLegacy(path string, flags int) (int, string, error) {
	if flags&(unix.O_PATH|unix.O_DIRECTORY) == unix.O_PATH { // os.Root never follows by itself, and O_PATH opens the link (open(2), O_NOFOLLOW)
		flags = flags&^unix.O_PATH | unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY
	}
	f, err := r.legacy.OpenFile(path, flags, 0)
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
	return r.unlinked(fd)
}

// unlinked asks the kernel where an open file really is (proc(5), /proc/pid/fd).
func (r *Root) unlinked(fd int) (int, string, error) {
	abs, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil {
		if abs == r.path {
			return fd, ".", nil
		}
		if rel, ok := strings.CutPrefix(abs, strings.TrimSuffix(r.path, "/")+"/"); ok {
			return fd, rel, nil
		}
		err = unix.EXDEV
	}
	_ = unix.Close(fd)
	return -1, "", err
}
