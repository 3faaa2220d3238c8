package files

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/fanotify"
	"tallyman/source/files/mount"
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
	mounted(now time.Time, mounts []mount.Mount)
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
	mounts  *mount.Table
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
		cfg: cfg, log: log, atlas: newAtlas(roots), account: account.New(cfg.Account), table: table, self: int32(os.Getpid()), wake: -1,
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
	if w.mounts, err = mount.Open(); err != nil {
		return err
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
func (w *Watcher) choose(mounts []mount.Mount) (backend, error) {
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
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
	}
	if w.mounts != nil {
		_ = w.mounts.Close()
	}
	_ = w.table.Close()
}

// Run tells what was open, then what happens. It ends with ctx, after what waits in the queue.
func (w *Watcher) Run(ctx context.Context, to tallyman.Recorder) error {
	defer fanotify.Hurry()()
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
		{Fd: int32(w.back.fd()), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}, {Fd: int32(w.mounts.FD()), Events: unix.POLLPRI},
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

func (w *Watcher) readMounts() ([]mount.Mount, error) {
	mounts, refused, err := w.mounts.Read()
	if refused > 0 {
		w.log.Warn("lines of mountinfo not understood", "lines", refused)
	}
	return mounts, err
}

// gap tells that events were lost, and that all has to be looked at again.
func (w *Watcher) gap(from, to time.Time, lost int64, why string) {
	w.counts.Gaps++
	w.out = append(w.out, w.account.Gap(from, to, lost, why, `{"rescan":true}`))
	w.log.Warn("file events were lost", "why", why, "lost", lost)
}

// now is the time of evidence.
func now() time.Time { return tallyman.Clean(time.Now()) }
