package inotify

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mask is what is asked for.
const mask = Access | Modify | CloseWrite | CloseNoWrite | Open | MovedFrom | MovedTo | Create | Delete

// Queue is one queue of events.
type Queue struct{ fd int }

// New makes a queue.
func New() (*Queue, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("open inotify: %w", err)
	}
	return &Queue{fd}, nil
}

// Add watches a folder. The same folder has the same number, by whatever name.
func (q *Queue) Add(dir string) (watch int32, err error) {
	n, err := unix.InotifyAddWatch(q.fd, dir, mask|unix.IN_ONLYDIR|unix.IN_DONT_FOLLOW)
	if errors.Is(err, unix.ENOSPC) {
		err = fmt.Errorf("%w: raise fs.inotify.max_user_watches (sysctl)", err)
	}
	if err != nil {
		return 0, &os.PathError{Op: "watch", Path: dir, Err: err}
	}
	return int32(n), nil
}

// Remove ends the watch of a folder.
func (q *Queue) Remove(watch int32) { _, _ = unix.InotifyRmWatch(q.fd, uint32(watch)) }

// FD is for poll(2): it is readable when events wait.
func (q *Queue) FD() int { return q.fd }

// Read fills buf with whole events. It returns nothing when none waits.
func (q *Queue) Read(buf []byte) ([]byte, error) {
	for {
		n, err := unix.Read(q.fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("read inotify: %w", err)
		}
		return buf[:n], nil
	}
}

// Close ends the queue. The kernel removes all watches.
func (q *Queue) Close() error { return unix.Close(q.fd) }
