package tail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// again is how often a file is looked at when inotify tells nothing: network file systems have none.
const again = time.Second

// gather is how long a wake-up waits for more: a busy folder wakes for every write.
const gather = 10 * time.Millisecond

// Run polls the follower until ctx ends or deliver fails. After the last look nothing that was written before ctx ended is left out. It closes the follower.
func Run(ctx context.Context, f *Follower, clock func() time.Time, deliver func(Batch) error) error {
	defer f.Close()
	w, err := watch(f.path)
	if err != nil {
		return err
	}
	defer w.close()
	for {
		if _, err := f.Poll(clock(), deliver); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		w.wait(ctx)
	}
}

// watcher wakes when the file or its folder changes.
type watcher struct {
	file  *os.File // of inotify; nil if the kernel has none left
	woken chan struct{}
	done  chan struct{}
}

// watch sees writes through the folder: an event of a file in it names no file that matters, it only wakes.
func watch(path string) (*watcher, error) {
	w := &watcher{woken: make(chan struct{}, 1), done: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil { // no instances left (inotify(7), max_user_instances): the second does
		close(w.done)
		return w, nil
	}
	const mask = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_ATTRIB
	if _, err := unix.InotifyAddWatch(fd, filepath.Dir(path), mask); err != nil && !errors.Is(err, unix.ENOSPC) {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("watch the folder of %s: %w", path, err)
	}
	w.file = os.NewFile(uintptr(fd), "inotify")
	go w.read()
	return w, nil
}

func (w *watcher) read() {
	defer close(w.done)
	buf := make([]byte, 64<<10)
	for {
		if _, err := w.file.Read(buf); err != nil {
			return
		}
		select {
		case w.woken <- struct{}{}:
		default: // it is awake
		}
	}
}

func (w *watcher) wait(ctx context.Context) {
	timer := time.NewTimer(again)
	defer timer.Stop()
	select {
	case <-w.woken:
	case <-timer.C:
		return
	case <-ctx.Done():
		return
	}
	// What is written in a burst is read at once.
	timer.Reset(gather)
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (w *watcher) close() {
	if w.file != nil {
		_ = w.file.Close()
	}
	<-w.done
}
