package tree

import (
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// Identity names one content of one file: as long as it is the same, so are the bytes. It is comparable.
type Identity struct {
	Dev, Ino     uint64
	Size         int64 // bytes
	MTime, CTime int64 // nanoseconds since 1970
}

func identify(st *unix.Stat_t) Identity {
	return Identity{Dev: st.Dev, Ino: st.Ino, Size: st.Size, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano()}
}

// File is a file that is being read. Its size is the one at open. ReadAt and Changed may be called by many goroutines, Close once they are done.
type File struct {
	fd   atomic.Int64
	tree *Tree
	rel  string
	id   Identity
}

// OpenRead opens a regular file for reading, without ever waiting for a FIFO or a device. It costs three system calls with Close (and one per
// folder in the name if only files readable by others are served). The error is a *Refusal: not-found, not-readable, bad-request, io-error.
func (t *Tree) OpenRead(name tallyman.Name) (*File, error) {
	path := name.Path()
	if path == "" {
		return nil, refuse(tallyman.BadRequest, "the name is empty")
	}
	if reserved.In(path) {
		return nil, refuse(tallyman.NotFound, "%s is reserved: kept versions and unfinished uploads are not served", tallyman.Escape(t.abs(path)))
	}
	f, err := t.openFile(path)
	if err != nil {
		return nil, t.refusal(reading, path, err)
	}
	return f, nil
}

func (t *Tree) openFile(path string) (*File, error) {
	if err := t.cfg.Step.Do("open", path); err != nil {
		return nil, err
	}
	fd, real, err := t.root.Resolve(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_LARGEFILE)
	if is(err, unix.ENXIO, unix.ENODEV) { // open(2): a socket, or a device without driver
		return nil, t.notRegular(path, "a socket or device")
	}
	if err != nil {
		return nil, err
	}
	st, err := t.admit(fd, path, real)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f := &File{tree: t, rel: real, id: identify(st)}
	f.fd.Store(int64(fd))
	return f, nil
}

// admit looks at what was opened and decides whether it is served.
func (t *Tree) admit(fd int, path, real string) (*unix.Stat_t, error) {
	if err := t.cfg.Step.Do("stat", path); err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, t.notRegular(path, sortOf(st.Mode))
	}
	if real != path && reserved.In(real) {
		return nil, refuse(tallyman.NotFound, "%s leads to a reserved name", tallyman.Escape(t.abs(path)))
	}
	if !t.cfg.WorldReadableOnly {
		return &st, nil
	}
	if st.Mode&unix.S_IROTH == 0 {
		return nil, refuse(tallyman.NotReadable, "%s is not readable by others (mode %04o): chmod o+r it", tallyman.Escape(t.abs(real)), st.Mode&0o7777)
	}
	return &st, t.othersEnter(real)
}

// othersEnter refuses a file that lies below a folder which others may not enter.
func (t *Tree) othersEnter(path string) error {
	for i := strings.IndexByte(path, '/'); i >= 0; {
		st, err := lstat(t.root.FD(), path[:i])
		if err != nil {
			return err
		}
		if st.Mode&unix.S_IXOTH == 0 {
			return refuse(tallyman.NotReadable, "the folder %s is closed to others (mode %04o): chmod o+x it", tallyman.Escape(t.abs(path[:i])), st.Mode&0o7777)
		}
		next := strings.IndexByte(path[i+1:], '/')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return nil
}

func (t *Tree) notRegular(path, sort string) *Refusal {
	return refuse(tallyman.NotReadable, "%s is %s: only regular files are served", tallyman.Escape(t.abs(path)), sort)
}

// Size returns the bytes of the file when it was opened.
func (f *File) Size() int64 { return f.id.Size }

// Identity returns what the file was when it was opened.
func (f *File) Identity() Identity { return f.id }

// Modified returns the time of the last change of the content, in UTC.
func (f *File) Modified() time.Time { return time.Unix(0, f.id.MTime).UTC() }

// Path returns the absolute path with all links resolved.
func (f *File) Path() string { return f.tree.abs(f.rel) }

// ReadAt implements io.ReaderAt within the size at open: bytes that were appended since are not seen. If the file became shorter, the error
// is io.ErrUnexpectedEOF; what the disk refuses is a *Refusal.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	left := f.id.Size - off
	if off < 0 || left <= 0 {
		if off < 0 {
			return 0, os.ErrInvalid
		}
		return 0, io.EOF
	}
	end := error(nil)
	if int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	for n := 0; ; {
		if n == len(p) {
			return n, end
		}
		m, err := f.pread(p[n:], off+int64(n))
		switch {
		case err != nil:
			return n, f.tree.refusal(reading, f.rel, err)
		case m == 0:
			return n, io.ErrUnexpectedEOF
		}
		n += m
	}
}

// Send hands at most n bytes from off on to a socket, without a copy in this process (sendfile(2)). It sends what the socket takes at once; the error is
// unix.EAGAIN when that is nothing. Like ReadAt it does not go beyond the size at open, and a file that became shorter is io.ErrUnexpectedEOF.
func (f *File) Send(socket int, off int64, n int) (int, error) {
	if off < 0 || off >= f.id.Size {
		return 0, io.EOF
	}
	if err := f.tree.cfg.Step.Do("read", f.rel); err != nil {
		return 0, err
	}
	fd := f.fd.Load()
	if fd < 0 {
		return 0, os.ErrClosed
	}
	for {
		m, err := unix.Sendfile(socket, int(fd), &off, int(min(int64(n), f.id.Size-off)))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, err // of the disk or of the socket: sendfile does not tell
		case m == 0:
			return 0, io.ErrUnexpectedEOF
		default:
			return m, nil
		}
	}
}

func (f *File) pread(p []byte, off int64) (int, error) {
	if err := f.tree.cfg.Step.Do("read", f.rel); err != nil {
		return 0, err
	}
	fd := f.fd.Load()
	if fd < 0 {
		return 0, os.ErrClosed
	}
	for {
		n, err := unix.Pread(int(fd), p, off)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

// Changed looks again and reports whether the file may hold another content than at open: a digest of what was read then says nothing. A file that got
// another mode, owner or name meanwhile, as when an upload replaces it, counts as changed: its times do not tell the difference.
func (f *File) Changed() (bool, error) {
	if err := f.tree.cfg.Step.Do("stat", f.rel); err != nil {
		return true, f.tree.refusal(reading, f.rel, err)
	}
	fd := f.fd.Load()
	if fd < 0 {
		return true, os.ErrClosed
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		return true, f.tree.refusal(reading, f.rel, err)
	}
	return identify(&st) != f.id, nil
}

// Close lets the file go. A second Close returns os.ErrClosed.
func (f *File) Close() error {
	fd := f.fd.Swap(-1)
	if fd < 0 {
		return os.ErrClosed
	}
	return unix.Close(int(fd))
}
