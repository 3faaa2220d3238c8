package mounts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/mounts/device"
	"tallyman/source/mounts/mountinfo"
	"tallyman/source/mounts/uevent"
)

// Counts is what a Watcher has counted.
type Counts struct {
	Looks   int64 // at the table
	Told    int64 // mounts and unmounts
	Quiet   int64 // mounts of the kernel and of services for themselves, as of now
	Refused int64 // lines that were not understood
	Forged  int64 // uevents that were not the kernel's
	Uevents int64 // of the kernel
	Unheard int64 // times that the queue of uevents ran over: sysfs was asked instead
	Mounts  int64 // as of now
	Folders int64 // of cloud clients and of the configuration, as of now
}

// Watcher watches the table of mounts.
type Watcher struct {
	cfg      Config
	log      *slog.Logger
	places   Places
	table    table
	survey   survey
	fd       int // the table; -1 when it is opened for each look
	wake     int
	surveyor *surveyor
	surveys  chan survey    // holds one, taken over before the next begins
	busy     chan struct{}  // holds one while a survey is made
	kernel   *uevent.Socket // nil: sysfs is asked now and then
	text     []byte         // of the last look
	out      []tallyman.Evidence
	unkept   string
	dirty    bool // what was told is to be kept

	mu     sync.Mutex
	counts Counts
}

// Open looks at the table once, so that Places answers, and begins to wait for changes.
func Open(cfg Config, log *slog.Logger) (*Watcher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("watch mounts: %w", err)
	}
	w := &Watcher{cfg: cfg, log: log, fd: -1, wake: -1}
	w.surveys, w.busy, w.surveyor = make(chan survey, 1), make(chan struct{}, 1), newSurveyor(&w.cfg, log, &w.places)
	if err := w.open(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

func (w *Watcher) open() (err error) {
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	if !w.cfg.Poll { // os.Open would have the runtime's poller take the notices of changes away
		if w.fd, err = unix.Open(w.cfg.Mountinfo, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open %s: %w", w.cfg.Mountinfo, err)
		}
	}
	if w.kernel, err = uevent.Open(); err != nil {
		w.log.Info("no messages of the kernel about devices: sysfs is asked once a second", "err", err)
		w.kernel = nil
	}
	at := now()
	if _, err = w.look(at); err != nil {
		return err
	}
	w.publish(nil, at)
	w.startSurvey()
	late := time.NewTimer(surveyFor)
	defer late.Stop()
	select {
	case s := <-w.surveys:
		w.takeOver(s)
	case <-late.C: // a home hangs: its folders are told when it does not any more
		return nil
	}
	w.table, w.text = table{}, nil // what lies in a folder, and whose it is, is known now
	if _, err = w.look(at); err != nil {
		return err
	}
	w.publish(nil, at)
	return nil
}

// surveyFor bounds how long the first look at homes may take before the watch begins without it.
const surveyFor = 2 * time.Second

// startSurvey begins the next survey, unless the one before has not come back. It is done beside the watch, and pokes it.
func (w *Watcher) startSurvey() {
	select {
	case w.busy <- struct{}{}:
	default:
		return
	}
	go func() {
		w.surveys <- w.surveyor.look(now())
		w.poke()
		<-w.busy
	}()
}

func (w *Watcher) poke() { _, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// Close ends the watch. Run must have returned. A survey that hangs keeps the descriptor by which it would say that it does not any more.
func (w *Watcher) Close() {
	late := time.NewTimer(time.Second)
	defer late.Stop()
	select {
	case w.busy <- struct{}{}:
	case <-late.C:
		w.wake = -1
	}
	for _, fd := range []int{w.fd, w.wake} {
		if fd >= 0 {
			_ = unix.Close(fd)
		}
	}
	if w.kernel != nil {
		w.kernel.Close()
	}
}

// Places answers on what a path lies, from Open on.
func (w *Watcher) Places() *Places { return &w.places }

// Counts may be called by any goroutine.
func (w *Watcher) Counts() Counts {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts
}

// beat is how often is looked at cloud clients, and whether sticks are still there.
const beat = time.Second

// Run tells the present state, then what changes. It ends with ctx.
func (w *Watcher) Run(ctx context.Context, to tallyman.Recorder) error {
	stop := context.AfterFunc(ctx, w.poke)
	defer stop()
	w.begin(now())
	w.dirty = true
	w.tell(to)
	beaten := time.Now()
	for {
		notice, err := w.wait(beaten)
		if err != nil {
			return err
		}
		ended := ctx.Err() != nil
		at := now()
		took, err := w.turn(notice || ended || w.cfg.Poll, at)
		if err != nil {
			return err
		}
		if time.Since(beaten) >= beat {
			beaten = time.Now()
			w.lookForPulled(at)
			w.startSurvey()
		}
		w.tellSurvey(at)
		w.tell(to)
		if ended {
			return nil
		}
		w.rest(took)
	}
}

// turn looks at the table if there is a reason to. It returns how long that took.
func (w *Watcher) turn(reason bool, at time.Time) (took time.Duration, err error) {
	if !reason {
		return 0, nil
	}
	began := time.Now()
	changes, err := w.look(at)
	if err != nil {
		return 0, err
	}
	if len(changes) > 0 {
		w.publish(changes, at)
		w.tellChanges(changes, at)
		w.dirty = true
	}
	return time.Since(began), nil
}

// tellSurvey takes over a survey that has come back.
func (w *Watcher) tellSurvey(at time.Time) {
	select {
	case s := <-w.surveys:
		fresh, ended := w.takeOver(s)
		if len(fresh)+len(ended) > 0 {
			w.publish(nil, at)
			w.tellFolders(fresh, ended, at)
			w.dirty = true
		}
	default:
	}
}

// look reads the table and takes over what changed.
func (w *Watcher) look(at time.Time) ([]change, error) {
	text, err := w.read()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.counts.Looks++
	w.mu.Unlock()
	if bytes.Equal(text, w.text) {
		return nil, nil
	}
	w.text = text
	lines, refused := mountinfo.ParseAll(text)
	if refused > 0 {
		w.mu.Lock()
		w.counts.Refused += int64(refused)
		w.mu.Unlock()
		w.log.Warn("lines of mountinfo not understood", "lines", refused)
	}
	return w.table.update(lines, func(m *mountinfo.Mount, before []*seen) *seen { return w.see(m, before, at) }), nil
}

// read reads the whole table. The kernel keeps the place of a reader in the list, so that what stays is neither missed nor seen twice.
func (w *Watcher) read() ([]byte, error) {
	fd := w.fd
	if fd < 0 {
		var err error
		if fd, err = unix.Open(w.cfg.Mountinfo, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			return nil, fmt.Errorf("open %s: %w", w.cfg.Mountinfo, err)
		}
		defer func() { _ = unix.Close(fd) }()
	}
	var text []byte
	buf := make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := unix.Pread(fd, buf, at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", w.cfg.Mountinfo, err)
		}
		if n == 0 {
			return text, nil
		}
		text = append(text, buf[:n]...)
		at += int64(n)
	}
}

// publish has Places answer as of this look.
func (w *Watcher) publish(changes []change, at time.Time) {
	var gone []Place
	for _, c := range changes {
		if c.what == went {
			p := c.old.place
			p.Gone = at
			gone = append(gone, p)
		}
	}
	folders := w.folderPlaces()
	w.places.replace(w.table.places(), folders, gone, at)
	quiet := int64(0)
	for _, s := range w.table.all {
		if s.place.Quiet {
			quiet++
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Quiet, w.counts.Mounts, w.counts.Folders = quiet, int64(len(w.table.all))-quiet, int64(len(folders))
}

// lookForPulled tells of devices that are gone although they are still mounted. That is the end of the mount; its umount is not told again.
func (w *Watcher) lookForPulled(at time.Time) {
	for _, s := range w.table.all {
		if s.pulled || s.place.Quiet || s.place.Facts.Number == "" || s.place.Class == device.Local || w.cfg.Finder.Known(s.place.Facts.Number) {
			continue
		}
		s.pulled = true
		w.dirty = true
		if w.cfg.tells(s.place.Class) {
			w.out = append(w.out, w.evidence(tallyman.KindUnmounted, &s.place, wasPulled, at))
		}
	}
}

// tell hands over what there is, then keeps what was told.
func (w *Watcher) tell(to tallyman.Recorder) {
	w.mu.Lock()
	w.counts.Told += int64(len(w.out))
	if w.kernel != nil {
		c := w.kernel.Counts()
		w.counts.Forged, w.counts.Uevents, w.counts.Unheard = c.Forged, c.Taken, c.Lost
	}
	w.mu.Unlock()
	if len(w.out) > 0 {
		to.Record(w.out...)
		clear(w.out)
		w.out = w.out[:0]
	}
	if w.dirty {
		w.dirty = false
		w.keep()
	}
}

// wait sleeps until the table may have changed, or the next beat. It reports whether there was a notice.
func (w *Watcher) wait(beaten time.Time) (notice bool, err error) {
	fds := []unix.PollFd{{Fd: int32(w.wake), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLPRI}, {Fd: -1, Events: unix.POLLIN}}
	if w.kernel != nil {
		fds[2].Fd = int32(w.kernel.FD())
	}
	pause := beat - time.Since(beaten)
	if w.cfg.Poll {
		pause = min(pause, w.cfg.Every)
	}
	if _, err := unix.Poll(fds, max(0, int((pause+time.Millisecond-1)/time.Millisecond))); err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("wait for mounts: %w", err)
	}
	if fds[0].Revents != 0 {
		var b [8]byte
		_, _ = unix.Read(w.wake, b[:])
	}
	if fds[2].Revents != 0 {
		w.hear()
	}
	return fds[1].Revents&(unix.POLLPRI|unix.POLLERR) != 0, nil
}

// hear takes the hints of the kernel: a disk that went may have been mounted.
func (w *Watcher) hear() {
	removed, added := false, false
	for {
		e, ok, err := w.kernel.Next()
		if err != nil {
			w.log.Warn("messages of the kernel about devices end: sysfs is asked once a second", "err", err)
			w.kernel.Close()
			w.kernel = nil
			break
		}
		if !ok {
			break
		}
		removed = removed || e.Block() && e.Action == "remove"
		added = added || e.Block() && e.Action == "add"
	}
	at := now()
	if removed {
		w.lookForPulled(at)
	}
	if added {
		w.lookForSwapped(at)
	}
}

// lookForSwapped tells of a stick that stands where another stood: both came and went between two looks, and got the same numbers.
func (w *Watcher) lookForSwapped(at time.Time) {
	var changes []change
	for i, s := range w.table.all {
		if s.place.Quiet || s.pulled || s.place.Class == device.Local || s.place.Facts.Number == "" {
			continue
		}
		fresh := w.see(&s.line, w.table.all[:i], at)
		if was, is := s.place.Facts.Serial, fresh.place.Facts.Serial; was != "" && is != "" && was != is {
			w.table.all[i] = fresh
			changes = append(changes, change{went, s, nil}, change{appeared, nil, fresh})
		}
	}
	if len(changes) > 0 {
		w.publish(changes, at)
		w.tellChanges(changes, at)
		w.dirty = true
	}
}

// busyAtMost bounds how long the table is left alone between two looks.
const busyAtMost = 250 * time.Millisecond

// rest keeps a machine with very many mounts, or a storm of them, from being all that is looked at: a look may take a tenth of the time.
func (w *Watcher) rest(took time.Duration) {
	if pause := min(9*took, busyAtMost); pause > 5*time.Millisecond {
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(w.wake), Events: unix.POLLIN}}, int(pause/time.Millisecond))
	}
}

// now is the time of evidence.
func now() time.Time { return tallyman.Clean(time.Now()) }
