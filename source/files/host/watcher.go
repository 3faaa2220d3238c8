package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/fanotify"
	"tallyman/source/files/host/engine"
	"tallyman/source/files/host/index"
	"tallyman/source/files/mount"
	"tallyman/source/files/who"
)

const (
	// mask is what is asked of watched file systems. ONDIR is for folders that are made, moved and removed.
	mask = fanotify.Create | fanotify.Delete | fanotify.Modify | fanotify.CloseWrite | fanotify.Attrib | fanotify.Rename | fanotify.OnDir | fanotify.OpenExec
	// bufferSize is how much one read takes, about 700 events. Processes are looked up between reads: a longer one would make that late.
	bufferSize = 64 << 10
	// beat is how often what waits for time is looked at while something does.
	beat = 100 * time.Millisecond
	// processesKept is how many processes are remembered.
	processesKept = 8192
)

// Counts is what a Watcher has counted.
type Counts struct {
	Events   int64 // read from the kernel
	Own      int64 // of this process
	Gaps     int64
	Canaries int64 // that came back
	Known    int64 // names in the index
	Engine   engine.Counts
}

// Watcher watches folders of this machine. It runs in one goroutine.
type Watcher struct {
	cfg    Config
	log    *slog.Logger
	scope  *scope
	group  *fanotify.Group
	eyes   *eyes
	index  *index.Index
	engine *engine.Machine
	table  *who.Table
	census *who.Census
	mounts *mount.Table
	keeper *keeper
	canary canary
	self   int32
	wake   int // eventfd
	buf    []byte
	seen   []engine.Seen
	out    []tallyman.Evidence
	read   time.Time            // when the queue was last found empty
	away   map[uint64]time.Time // since when a file system is out of sight, by its id
	cannot map[string]string    // why a path is not watched
	marked map[string]bool      // mount points at which programs that start are seen
	counts Counts
	shown  chan Counts
}

// Open begins to watch: what happens from now on waits for Run. What differs from a former watch is found here, and told by Run.
func Open(cfg Config, log *slog.Logger) (_ *Watcher, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Paths = realPaths(cfg.Paths)
	cfg.Own = realPaths(cfg.Own)
	if cfg.State != "" {
		cfg.Own = append(cfg.Own, realPaths([]string{cfg.State})...)
	}
	w := &Watcher{
		cfg: cfg, log: log, scope: newScope(&cfg), eyes: &eyes{doors: map[string]int{}}, index: index.New(), self: int32(os.Getpid()), wake: -1,
		buf: make([]byte, bufferSize), read: now(), away: map[uint64]time.Time{}, cannot: map[string]string{}, marked: map[string]bool{}, shown: make(chan Counts, 1),
	}
	w.shown <- Counts{}
	w.engine = engine.New(w.index, w.eyes, w.scope.wanted)
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.table, err = who.New(cfg.Proc, "/etc/passwd", processesKept); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.Proc, err)
	}
	w.census = who.NewCensus(w.table)
	if w.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("make eventfd: %w", err)
	}
	if w.mounts, err = mount.Open(); err != nil {
		return nil, err
	}
	if w.group, err = fanotify.New(fanotify.Config{Bounded: cfg.Bounded}); err != nil {
		return nil, err
	}
	if w.keeper, err = openKeeper(cfg.State, w.index, log); err != nil {
		return nil, err
	}
	if err := w.canary.open(cfg.State, w.group); err != nil {
		return nil, err
	}
	err = w.begin()
	return w, err
}

// begin marks the file systems, then looks at all, so that nothing falls between.
func (w *Watcher) begin() error {
	former := w.index.Len() > 0
	if err := w.look(now(), true); err != nil {
		return err
	}
	if len(w.eyes.volumes) == 0 {
		var why []string
		for p, y := range w.cannot {
			why = append(why, tallyman.Escape(p)+": "+y)
		}
		return fmt.Errorf("no folder can be watched: %s", strings.Join(why, "; "))
	}
	at := now()
	if former {
		since := w.cfg.Since
		if since.IsZero() || w.keeper.last.After(since) {
			since = w.keeper.last
		}
		w.gap(since, at, -1, "the program did not run")
		for i := range w.eyes.volumes {
			w.scan(w.eyes.volumes[i].id, since, at)
		}
	} else if w.keeper.torn != "" {
		w.gap(w.keeper.last, at, -1, w.keeper.torn+": what changed while the program did not run is not known")
	}
	w.eyes.shut()
	w.keeper.whole = true
	return nil
}

// Counts returns the counts as of the last batch. It may be called by any goroutine.
func (w *Watcher) Counts() Counts {
	c := <-w.shown
	w.shown <- c
	return c
}

func (w *Watcher) show() {
	w.counts.Engine, w.counts.Known = w.engine.Counts, int64(w.index.Len())
	<-w.shown
	w.shown <- w.counts
}

// Close ends the watch. Run must have returned.
func (w *Watcher) Close() {
	w.eyes.shut()
	if w.group != nil {
		_ = w.group.Close()
	}
	if w.wake >= 0 {
		_ = unix.Close(w.wake)
	}
	if w.mounts != nil {
		_ = w.mounts.Close()
	}
	if w.table != nil {
		_ = w.table.Close()
	}
	if w.keeper != nil {
		w.keeper.close()
	}
}

// Run tells what happens. It ends with ctx, after what waits in the queue and in the files that are still open.
func (w *Watcher) Run(ctx context.Context, to tallyman.Recorder) error {
	defer fanotify.Hurry()()
	stop := context.AfterFunc(ctx, func() { _, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) })
	defer stop()
	w.keeper.start(to)
	defer func() { w.keeper.stop(w.index) }()
	for {
		ended := ctx.Err() != nil
		more, err := w.drain()
		waits := more
		if !more {
			waits = w.pass(now(), ended)
		}
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

// drain takes what waits, at most one buffer.
func (w *Watcher) drain() (more bool, err error) {
	if w.cfg.Slow != nil {
		w.cfg.Slow()
	}
	b, err := w.group.Read(w.buf)
	if err != nil {
		return false, err
	}
	at := now()
	more = len(b) > len(w.buf)/2
	w.greet(b, at)
	var e fanotify.Event
	for len(b) > 0 {
		rest, err := fanotify.Next(b, &e)
		if err != nil {
			w.blind(at, -1, fmt.Sprintf("%v: the rest of %d bytes was not read", err, len(b)))
			break
		}
		w.counts.Events++
		w.take(&e, at)
		b = rest
	}
	w.resolve(at)
	return more, nil
}

// greet looks at the processes of a batch before anything else: the last of them may go while the files of the first are looked at.
func (w *Watcher) greet(b []byte, at time.Time) {
	var e fanotify.Event
	for len(b) > 0 {
		rest, err := fanotify.Next(b, &e)
		if err != nil {
			return
		}
		b = rest
		switch {
		case e.PID == w.self || e.PID == 0:
		case e.Mask&fanotify.OpenExec != 0:
			w.starts(&e, at)
		case e.At.Dir != nil && w.engine.Knows(keyOf(e.At.Dir)), e.To.Dir != nil && w.engine.Knows(keyOf(e.To.Dir)):
			w.census.Of(e.PID, at)
		}
	}
}

// starts is told of a program that starts.
func (w *Watcher) starts(e *fanotify.Event, at time.Time) {
	var dir string
	if id := w.index.Object(keyOf(e.At.Dir)); id != 0 {
		dir = w.index.Path(id)
	} else {
		dir = w.eyes.program(e.At.Dir)
	}
	if dir != "" {
		w.census.Exec(e.PID, filepath.Join(dir, string(e.At.Name)), at)
	}
}

// take hands one event to the engine, if it is of a folder that is watched.
func (w *Watcher) take(e *fanotify.Event, at time.Time) {
	if e.Mask&fanotify.Overflow != 0 {
		w.blind(at, -1, "the kernel's queue of file events was full")
		return
	}
	deeds := deedsOf(e.Mask)
	if deeds == 0 || w.canary.is(e, &w.counts) {
		return
	}
	here, there := e.At, fanotify.Entry{}
	if deeds&engine.Rename != 0 {
		here, there = e.To, e.From
	}
	folder, from := keyOf(here.Dir), keyOf(there.Dir)
	knowsTo, knowsFrom := w.engine.Knows(folder), deeds&engine.Rename != 0 && w.engine.Knows(from)
	if !knowsTo && !knowsFrom {
		return
	}
	v := engine.Event{
		At: at, PID: e.PID, Deeds: deeds, Dir: e.Mask&fanotify.OnDir != 0, Folder: folder, Name: string(here.Name), From: from, FromName: string(there.Name),
		Object: keyOf(e.File), Handle: string(e.File),
	}
	if e.File == nil && v.Dir && v.Name == "." { // of a folder itself
		v.Object, v.Handle = folder, string(here.Dir)
	}
	if e.PID == w.self {
		// The kernel closes a file in the name of who looks at the descriptors of its process just then (fs/file_table.c, __fput).
		if v.PID = w.engine.Writer(v.Object); v.PID == 0 || deeds&engine.Close == 0 {
			w.counts.Own++
			return
		}
	}
	if deeds&engine.Rename != 0 && (!knowsTo || !knowsFrom) {
		out := there
		if knowsFrom {
			out = here
		}
		if dir := w.eyes.where(out.Dir); dir != "" {
			v.Elsewhere = filepath.Join(dir, string(out.Name))
		}
	}
	w.seen = w.engine.Take(&v, w.seen)
}

// deedsOf translates the bits of an event.
func deedsOf(mask uint64) (d engine.Deed) {
	for _, t := range translation {
		if mask&t.bit != 0 {
			d |= t.deed
		}
	}
	return d
}

var translation = [...]struct {
	bit  uint64
	deed engine.Deed
}{
	{fanotify.Create, engine.Create},
	{fanotify.Delete, engine.Delete},
	{fanotify.Modify, engine.Modify},
	{fanotify.CloseWrite, engine.Close},
	{fanotify.Attrib, engine.Attrib},
	{fanotify.Rename, engine.Rename},
}

// pass does what has to be done when the queue is empty. It reports whether something waits for time to pass.
func (w *Watcher) pass(at time.Time, ended bool) bool {
	w.read = at
	w.seen = w.engine.Drained(at, w.seen)
	late := at
	if ended { // what is still open is told as it is now
		late = at.Add(time.Hour)
	}
	before := len(w.seen)
	var waits bool
	w.seen, waits = w.engine.Tick(late, w.seen)
	for i := before; i < len(w.seen); i++ {
		w.seen[i].At = at
	}
	if why := w.canary.pass(at, &w.cfg); why != "" {
		w.blind(at, -1, why)
	}
	if w.eyes.failed > 0 {
		n := w.eyes.failed
		w.eyes.failed = 0
		w.blind(at, n, "files could not be looked at: "+w.eyes.why.Error())
	}
	w.resolve(at)
	return waits || w.keeper.waits()
}

// tell hands over what is known, then lets the index be stored.
func (w *Watcher) tell(to tallyman.Recorder) {
	w.eyes.shut()
	if w.engine.Full() {
		w.engine.Forget()
	}
	w.show()
	if len(w.out) > 0 {
		to.Record(w.out...)
		clear(w.out)
		w.out = w.out[:0]
	}
	w.keeper.offer(w.index)
}

// wait sleeps until something happens.
func (w *Watcher) wait(waits bool) error {
	fds := []unix.PollFd{
		{Fd: int32(w.group.FD()), Events: unix.POLLIN}, {Fd: int32(w.wake), Events: unix.POLLIN}, {Fd: int32(w.mounts.FD()), Events: unix.POLLPRI},
	}
	timeout := -1
	switch {
	case waits:
		timeout = int(beat / time.Millisecond)
	case w.cfg.Every > 0:
		timeout = int(min(w.cfg.Every, w.cfg.Late) / time.Millisecond)
	}
	if _, err := unix.Poll(fds, timeout); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("wait for events: %w", err)
	}
	if fds[2].Revents&(unix.POLLPRI|unix.POLLERR) != 0 {
		return w.look(now(), false)
	}
	return nil
}

// blind tells that something may be missing, and compares all with what is known.
func (w *Watcher) blind(at time.Time, lost int64, why string) {
	since := w.read
	w.resolve(at)
	w.gap(since, at, lost, why)
	for i := range w.eyes.volumes {
		w.scan(w.eyes.volumes[i].id, since, at)
	}
}

func (w *Watcher) scan(anchor index.ID, since, at time.Time) {
	var unread []error
	w.seen, unread = w.engine.Scan(anchor, since, at, w.seen)
	if len(unread) > 0 {
		w.log.Warn("folders not compared", "folders", len(unread), "err", unread[0])
	}
	w.resolve(at)
}

// now is the time of evidence.
func now() time.Time { return tallyman.Clean(time.Now()) }

// realPaths follows the symbolic links of paths as far as they exist.
func realPaths(paths []string) []string {
	var out []string
	for _, p := range paths {
		p = filepath.Clean(p)
		if to, err := filepath.EvalSymlinks(p); err == nil {
			p = to
		}
		out = append(out, p)
	}
	return out
}
