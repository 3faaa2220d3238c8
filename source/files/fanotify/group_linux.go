package fanotify

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Group is one queue of events.
type Group struct{ fd int }

// ErrNotHere is wrapped when this kernel, this user or this file system has no such events.
var ErrNotHere = errors.New("not possible here")

// Config says what a Group is like.
type Config struct {
	// Bounded keeps the kernel's bound on the queue (fs.fanotify.max_queued_events, 16,384 by default). When it is full, events are lost and one
	// Overflow tells of it. Otherwise the queue grows.
	Bounded bool
}

// New makes a queue. It needs CAP_SYS_ADMIN, and Linux 5.17 for renames in one event.
func New(c Config) (*Group, error) {
	flags := uint(unix.FAN_CLASS_NOTIF | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK | unix.FAN_UNLIMITED_MARKS | unix.FAN_REPORT_DFID_NAME_TARGET)
	if !c.Bounded {
		flags |= unix.FAN_UNLIMITED_QUEUE
	}
	fd, err := unix.FanotifyInit(flags, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_LARGEFILE)
	switch {
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("fanotify: %w: it needs root (CAP_SYS_ADMIN)", ErrNotHere)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return nil, fmt.Errorf("fanotify: %w: it needs Linux 5.17", ErrNotHere)
	case err != nil:
		return nil, fmt.Errorf("open fanotify: %w", err)
	}
	return &Group{fd: fd}, nil
}

// MarkFilesystem asks for events of the whole file system on which path lies.
func (g *Group) MarkFilesystem(path string, mask uint64) error {
	return g.mark(unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, path, mask)
}

// MarkFolder asks for events of one folder and of what lies directly in it. It works where MarkFilesystem does not: overlayfs, FUSE, network shares.
func (g *Group) MarkFolder(path string, mask uint64) error {
	return g.mark(unix.FAN_MARK_ADD|unix.FAN_MARK_ONLYDIR|unix.FAN_MARK_DONT_FOLLOW, path, mask|unix.FAN_EVENT_ON_CHILD)
}

// UnmarkFilesystem takes MarkFilesystem back.
func (g *Group) UnmarkFilesystem(path string, mask uint64) error {
	return g.mark(unix.FAN_MARK_REMOVE|unix.FAN_MARK_FILESYSTEM, path, mask)
}

func (g *Group) mark(flags uint, path string, mask uint64) error {
	err := unix.FanotifyMark(g.fd, flags, mask, unix.AT_FDCWD, path)
	switch {
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
		return &os.PathError{Op: "watch", Path: path, Err: fmt.Errorf("%w: %w", ErrNotHere, err)}
	case err != nil:
		return &os.PathError{Op: "watch", Path: path, Err: err}
	}
	return nil
}

// FD is for poll(2): it is readable when events wait.
func (g *Group) FD() int { return g.fd }

// Read fills buf with whole events. It returns nothing when none waits. A buffer below 4,096 bytes may be too small for one event.
func (g *Group) Read(buf []byte) ([]byte, error) {
	for {
		n, err := unix.Read(g.fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read fanotify: %w", err)
		}
		return buf[:n], nil
	}
}

// Close ends the queue. The kernel removes all marks.
func (g *Group) Close() error { return unix.Close(g.fd) }

// atHandleFID is AT_HANDLE_FID of linux/fcntl.h.
const atHandleFID = 0x200

// HandleOf asks for the handle of what lies at path, in the form in which events bear it. A symbolic link is not followed.
func HandleOf(path string) (Handle, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(path, &fs); err != nil {
		return nil, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	h, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if errors.Is(err, unix.EOPNOTSUPP) { // overlayfs has handles that name a file and cannot be opened (Linux 6.5)
		h, _, err = unix.NameToHandleAt(unix.AT_FDCWD, path, atHandleFID)
	}
	if err != nil {
		return nil, &os.PathError{Op: "handle of", Path: path, Err: err}
	}
	return MakeHandle(uint64(uint32(fs.Fsid.Val[0]))|uint64(uint32(fs.Fsid.Val[1]))<<32, h.Type(), h.Bytes()), nil
}

// OpenHandle opens what the handle names, without touching it (O_PATH). mount is a descriptor, not of O_PATH, of anything on its file system.
func OpenHandle(mount int, h Handle) (fd int, err error) {
	return unix.OpenByHandleAt(mount, unix.NewFileHandle(h.Type(), h.Bytes()), unix.O_PATH|unix.O_CLOEXEC)
}
