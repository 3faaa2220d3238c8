package files

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/who"
)

// Counts is what a Watcher has counted.
type Counts struct {
	Events     int64 // read from the kernel
	Outside    int64 // of folders that are not watched
	Own        int64 // of this process
	Unwanted   int64 // of programs that are not wanted
	Unresolved int64 // of folders that were gone before they could be found; told as gaps
	Gaps       int64
	Account    account.Counts
}

// backend is one way to get events.
type backend interface {
	mode() Mode
	// fd is readable when events wait.
	fd() int
	// drain reads what waits, at most one buffer, and hands it to the watcher. more says that there may be more.
	drain(now time.Time) (more bool, err error)
	// tick does what waits for time to pass. It reports whether more does.
	tick(now time.Time) bool
	// mounted says that the table of mounts may have changed.
	mounted(now time.Time, mounts []mount)
	// again looks at all folders after events were lost.
	again(now time.Time)
	close() error
}

// Watcher watches the roots of servers.
type Watcher struct {
	cfg     Config
	log     *slog.Logger
	atlas   *atlas
	account *account.Account
	table   *who.Table
	back    backend
	self    int32
	wake    int // eventfd
	mounts  int // /proc/self/mountinfo
	out     []tallyman.Evidence
	counts  Counts
	shown   chan Counts
	read    time.Time // when the queue was last found empty
	why     string    // why the mode is not the best one
	linked  int       // symbolic links that lead out of the roots and are followed
	relink  bool      // one came
	cut     bool      // the search for them ended early
}

// Open begins to watch: what is open, and what happens from now on, waits for Run.
func Open(cfg Config, log *slog.Logger) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	roots := make([]Root, len(cfg.Roots))
	for i, r := range cfg.Roots {
		roots[i] = r
		roots[i].Path = real(r.Path)
	}
	table, err := who.New(cfg.Proc, "/etc/passwd", processesKept)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Proc, err)
	}
	w := &Watcher{
		cfg: cfg, log: log, atlas: newAtlas(roots), account: account.New(cfg.Account), table: table, self: int32(os.Getpid()), wake: -1, mounts: -1,
		shown: make(chan Counts, 1), read: now(),
	}
	w.shown <- Counts{}
	if err := w.open(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// processesKept is how many processes are remembered.
const processesKept = 4096

func (w *Watcher) open() (err error) {
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	// os.Open would have the runtime take the notices of changes away.
	if w.mounts, err = unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open mountinfo: %w", err)
	}
	mounts, err := w.readMounts()
	if err != nil {
		return err
	}
	w.explore()
	if w.back, err = w.choose(mounts); err != nil {
		return err
	}
	w.begin()
	w.atlas.shut()
	return nil
}

// choose takes the best mode that works here.
func (w *Watcher) choose(mounts []mount) (backend, error) {
	if w.cfg.Mode != Inotify {
		k, err := openKernel(w, mounts)
		if err == nil {
			return k, nil
		}
		if w.cfg.Mode != Auto {
			return nil, err
		}
		w.why = err.Error()
	}
	return openTree(w)
}

// Counts returns the counts as of the last batch. It may be called by any goroutine.
func (w *Watcher) Counts() Counts {
	c := <-w.shown
	w.shown <- c
	return c
}

func (w *Watcher) show() {
	w.counts.Account = w.account.Counts()
	<-w.shown
	w.shown <- w.counts
}

// Close ends the watch. Run must have returned.
func (w *Watcher) Close() {
	if w.back != nil {
		_ = w.back.close()
	}
	for _, fd := range []int{w.wake, w.mounts} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	_ = w.table.Close()
}

// Run tells what was open, then what happens. It ends with ctx, after what waits in the queue.
func (w *Watcher) Run(ctx context.Context, to tallyman.Recorder) error {
	defer hurry()()
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	w.tell(to)
	for {
		ended := ctx.Err() != nil
		more, err := w.back.drain(now())
		waits := w.pass(!more)
		w.tell(to)
		switch {
		case err != nil:
			return err
		case ended && !more:
			return nil
		case more:
			continue
		}
		if err := w.wait(waits); err != nil {
			return err
		}
	}
}

// hurry puts the thread before others as long as it watches: what is looked at late is gone. Without root it stays where it is.
func hurry() (restore func()) {
	runtime.LockOSThread()
	kernel, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	nice := 20 - kernel // the system call adds 20 to keep off negative numbers (getpriority(2))
	if err != nil || unix.Setpriority(unix.PRIO_PROCESS, 0, nice-10) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
		runtime.UnlockOSThread()
	}
}

// pass does what has to be done now and then. It reports whether something waits for time to pass.
func (w *Watcher) pass(drained bool) bool {
	if !drained {
		return true
	}
	at := now()
	waits := w.back.tick(at)
	w.read = at
	for _, q := range w.account.Drained() {
		h := w.held(q)
		w.out = w.account.Recount(q, h.Open, modeOf(h), w.out)
	}
	for _, q := range w.account.Idle(at) {
		w.out = w.account.Look(q, w.held(q).Open, w.sizeOf(q), at, w.out)
	}
	return waits || w.account.Running() > 0
}

// tell hands over what is known.
func (w *Watcher) tell(to tallyman.Recorder) {
	w.atlas.shut()
	w.show()
	if len(w.out) > 0 {
		to.Record(w.out...)
		clear(w.out)
		w.out = w.out[:0]
	}
}

// beat is how often idle uses are looked at while there are some.
const beat = time.Second

// wait sleeps until something happens.
func (w *Watcher) wait(waits bool) error {
	fds := []unix.PollFd{
		{Fd: int32(w.back.fd()), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}, {Fd: int32(w.mounts), Events: unix.POLLPRI},
	}
	timeout := -1
	if waits {
		timeout = int(beat / time.Millisecond)
	}
	if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	if fds[2].Revents&(unix.POLLPRI|unix.POLLERR) != 0 {
		mounts, err := w.readMounts()
		if err != nil {
			return err
		}
		w.back.mounted(now(), mounts)
	}
	return nil
}

func (w *Watcher) readMounts() ([]mount, error) {
	var text []byte
	buf := make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := unix.Pread(w.mounts, buf, at)
		if err != nil {
			return nil, fmt.Errorf("read mountinfo: %w", err)
		}
		if n == 0 {
			break
		}
		text = append(text, buf[:n]...)
		at += int64(n)
	}
	mounts, refused := parseMounts(text)
	if refused > 0 {
		w.log.Warn("lines of mountinfo not understood", "lines", refused)
	}
	return mounts, nil
}

// gap tells that events were lost, and that all has to be looked at again.
func (w *Watcher) gap(from, to time.Time, lost int64, why string) {
	w.counts.Gaps++
	w.out = append(w.out, w.account.Gap(from, to, lost, why, `{"rescan":true}`))
	w.log.Warn("file events were lost", "why", why, "lost", lost)
}

// now is the time of evidence.
func now() time.Time { return tallyman.Clean(time.Now()) }
