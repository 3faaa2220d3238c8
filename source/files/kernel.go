package files

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/fanotify"
	"tallyman/source/files/mount"
)

// kernel gets events by fanotify.
type kernel struct {
	w       *Watcher
	group   *fanotify.Group
	folders []anchor          // that are watched folder by folder, because their file system cannot be marked as a whole
	names   map[string]string // identities by handle, of files that were met last
	own     map[string]int    // opens of this process, by handle
	buf     []byte
	lost    int64 // events of folders that could not be found, not yet told
}

const (
	// bufferSize is how much one read takes, about 700 events. Processes are looked up between reads: a longer one would make that late.
	bufferSize = 64 << 10
	// namesKept is how many identities are remembered, about 150 bytes each. When there are more, all are forgotten.
	namesKept = 16384
)

func openKernel(w *Watcher, mounts []mount.Mount) (*kernel, error) {
	g, err := fanotify.New(fanotify.Config{Bounded: w.cfg.Bounded})
	if err != nil {
		return nil, err
	}
	k := &kernel{w: w, group: g, names: map[string]string{}, own: map[string]int{}, buf: make([]byte, bufferSize)}
	for _, c := range w.atlas.anchored(mounts) {
		if err := k.watch(c.anchor); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	w.atlas.shut()
	return k, nil
}

// watch marks the file system of an anchor, or else all folders below it.
func (k *kernel) watch(c anchor) error {
	if k.w.cfg.Mode != Folders {
		err := k.group.MarkFilesystem(c.path, mask)
		if err == nil || !errors.Is(err, fanotify.ErrNotHere) || k.w.cfg.Mode == FileSystem {
			return err
		}
	}
	k.folders = append(k.folders, c)
	return k.walk(c.path, now(), false)
}

func (k *kernel) mode() Mode {
	if len(k.folders) > 0 {
		return Folders
	}
	return FileSystem
}

func (k *kernel) fd() int { return k.group.FD() }

func (k *kernel) close() error { return k.group.Close() }

func (k *kernel) drain(at time.Time) (more bool, err error) {
	b, err := k.group.Read(k.buf)
	if err != nil {
		return false, err
	}
	more = len(b) > len(k.buf)/2
	k.greet(b, at)
	var e fanotify.Event
	for len(b) > 0 {
		rest, err := fanotify.Next(b, &e)
		if err != nil {
			k.w.gap(at, at, -1, fmt.Sprintf("%v: the rest of %d bytes was not read", err, len(b)))
			k.again(at)
			break
		}
		k.w.counts.Events++
		k.take(&e, at)
		b = rest
	}
	return more, nil
}

// greet looks at the processes of a batch before anything else: the last of them may go while the files of the first are looked at.
func (k *kernel) greet(b []byte, at time.Time) {
	var e fanotify.Event
	for len(b) > 0 {
		rest, err := fanotify.Next(b, &e)
		if err != nil {
			return
		}
		b = rest
		if e.Mask&fanotify.Open == 0 || e.Mask&fanotify.OnDir != 0 || e.PID == k.w.self || e.PID == 0 {
			continue
		}
		if p, ok := k.w.atlas.places[string(e.At.Dir)]; ok && p.root != outside {
			k.w.table.Of(e.PID, at)
		} else {
			k.w.table.Meet(e.PID)
		}
	}
}

// deeds that need no more than the identity of a file, when its use is known.
const light = fanotify.Access | fanotify.Modify

func (k *kernel) take(e *fanotify.Event, at time.Time) {
	w := k.w
	dir := e.Mask&fanotify.OnDir != 0
	switch {
	case e.Mask&fanotify.Overflow != 0:
		w.gap(w.read, at, -1, "the kernel's queue of file events was full")
		k.again(at)
		return
	case e.PID == w.self && (dir || !k.stolen(e)):
		w.counts.Own++
		return
	case dir && e.Mask&(fanotify.Create|fanotify.Delete|fanotify.Rename) == 0:
		w.counts.Outside++
		return
	case e.Mask&^light == 0:
		if name, ok := k.names[string(e.File)]; ok && w.account.Touch(e.PID, name, deedsOf(e.Mask), at) {
			return
		}
	}
	if e.Mask&fanotify.Rename != 0 {
		k.renamed(e, at, dir)
		return
	}
	p, ok := w.atlas.lookup(e.At.Dir)
	if !ok {
		k.unresolved(e, at)
		return
	}
	if dir {
		k.folder(e, p)
	}
	root, inside := p.holds(e.At.Name)
	if !inside {
		w.counts.Outside++
		return
	}
	if !dir || e.Mask&fanotify.Delete != 0 {
		k.event(e, at, root, join(p.path, e.At.Name), "", dir)
	}
}

// holds returns the root to which a name in the folder belongs.
func (p *place) holds(name []byte) (root int, ok bool) {
	if p.root != outside {
		return p.root, true
	}
	root, ok = p.only[string(name)]
	return root, ok
}

// folder keeps the atlas right when a folder is made or removed.
func (k *kernel) folder(e *fanotify.Event, p place) {
	if e.Mask&fanotify.Create != 0 && e.File != nil {
		k.w.atlas.made(e.File, p, e.At.Name)
		if len(k.folders) > 0 && p.root != outside {
			k.grew(join(p.path, e.At.Name))
		}
	}
}

// renamed follows a name from one folder to another. One of them may be outside.
func (k *kernel) renamed(e *fanotify.Event, at time.Time, dir bool) {
	w := k.w
	from, knowsFrom := w.atlas.lookup(e.From.Dir)
	to, knowsTo := w.atlas.lookup(e.To.Dir)
	if dir {
		w.atlas.moved(from, to, knowsFrom && knowsTo)
	}
	if !knowsFrom && !knowsTo {
		if !w.atlas.stranger(e.From.Dir) || !w.atlas.stranger(e.To.Dir) {
			k.unresolved(e, at)
		}
		return
	}
	old, wasInside := from.holds(e.From.Name)
	root, isInside := to.holds(e.To.Name)
	if !wasInside && !isInside {
		w.counts.Outside++
		return
	}
	if !isInside {
		root = old
	}
	path, former := "", ""
	if knowsTo {
		path = k.path(to, e.To)
	}
	if knowsFrom {
		former = k.path(from, e.From)
	}
	k.event(e, at, root, path, former, dir)
	if dir && isInside && !wasInside {
		w.exploreFolder(path, root, 0)
	}
	if dir && isInside && len(k.folders) > 0 {
		k.grew(path)
	}
}

// path is the whole name of an entry. Places outside are remembered without their path: it is asked for.
func (k *kernel) path(p place, e fanotify.Entry) string {
	if p.path == "" {
		for _, c := range k.w.atlas.anchors {
			if c.fsid == e.Dir.FSID() {
				if path, ok := k.w.atlas.pathOf(c, e.Dir); ok {
					p.path = path
					break
				}
			}
		}
	}
	if p.path == "" {
		return ""
	}
	return join(p.path, e.Name)
}

// event tells the account of an event below a root.
func (k *kernel) event(e *fanotify.Event, at time.Time, root int, path, from string, dir bool) {
	w := k.w
	if e.File == nil {
		k.unresolved(e, at)
		return
	}
	r := &w.atlas.roots[root]
	ev := account.Event{At: at, Deeds: deedsOf(e.Mask), Path: path, From: from, Proto: r.Proto, Size: -1, Held: -1, Dir: dir, File: k.identity(e.File)}
	var st unix.Stat_t
	looked := !dir && w.atlas.stat(e.File, path, &st) // first of all: it may be gone next
	if looked {
		if st.Mode&unix.S_IFMT == unix.S_IFLNK && e.Mask&fanotify.Create != 0 {
			w.link(path, root)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG && e.Mask&(fanotify.Rename|fanotify.Delete) == 0 {
			return
		}
		ev.Size = st.Size
	}
	if k.owner(e, &ev); e.PID == w.self {
		w.counts.Own++
		return
	}
	w.person(&ev, e.PID, at)
	if !r.wants(&ev.Who) {
		w.counts.Unwanted++
		if e.Mask&(fanotify.Rename|fanotify.Delete) == 0 {
			return
		}
		ev.Quiet = true
	}
	// What was made is written: of that nothing more need be known.
	if looked && e.Mask&fanotify.Open != 0 && e.Mask&(fanotify.CloseWrite|fanotify.CloseNoWrite|fanotify.Create) == 0 && !ev.Quiet {
		held := w.table.Holds(e.PID, st.Dev, st.Ino)
		ev.Mode, ev.Held = modeOf(held), held.Open
	}
	w.out = w.account.Add(&ev, w.out)
}

// Whoever looks at the descriptors of a process (we, lsof, ss) holds a file for a microsecond. If the process closes it just then, the kernel closes it
// in the name of the one who looks (fs/file_table.c, __fput runs where the last reference goes). The two functions below give such a close back.

// stolen reports whether an event of our own is a close of a file that we did not open.
func (k *kernel) stolen(e *fanotify.Event) bool {
	const closes = fanotify.CloseWrite | fanotify.CloseNoWrite
	switch opened, closed := e.Mask&fanotify.Open != 0, e.Mask&closes != 0; {
	case opened && !closed && e.File != nil:
		if len(k.own) >= ownKept {
			clear(k.own)
		}
		k.own[string(e.File)]++
	case closed && !opened && e.File != nil:
		if n := k.own[string(e.File)]; n > 1 {
			k.own[string(e.File)]--
		} else if n == 1 {
			delete(k.own, string(e.File))
		} else {
			return len(k.w.account.Owners(k.identity(e.File), 0)) > 0
		}
	}
	return false
}

// ownKept bounds how many files that we have open ourselves are remembered. When there are more, all are forgotten; then a close of ours may be taken
// for one of a process that has just closed the same file.
const ownKept = 1024

// owner gives a close of a process that did not open the file to the one that no longer has it open.
func (k *kernel) owner(e *fanotify.Event, ev *account.Event) {
	w := k.w
	if ev.Deeds&account.Open != 0 || ev.Deeds&(account.CloseWrite|account.CloseNoWrite) == 0 || w.account.Has(e.PID, ev.File) {
		return
	}
	for _, q := range w.account.Owners(ev.File, e.PID) {
		if w.held(q).Open < q.Opens {
			e.PID = q.Proc.PID
			return
		}
	}
}

// identity names a file, from memory if it was met lately.
func (k *kernel) identity(h fanotify.Handle) string {
	if h == nil {
		return ""
	}
	if name, ok := k.names[string(h)]; ok {
		return name
	}
	if len(k.names) >= namesKept {
		clear(k.names)
	}
	name := identity(k.w.atlas.dev(h), h)
	k.names[string(h)] = name
	return name
}

// unresolved counts an event of a folder that nobody can find any more. If the process is not wanted anywhere, nothing is lost. A name that was
// removed with its folder, which nobody had used since the watch began, makes no gap: no open and no close is lost with it.
func (k *kernel) unresolved(e *fanotify.Event, at time.Time) {
	w := k.w
	if w.atlas.stranger(e.At.Dir) {
		w.counts.Outside++
		return
	}
	if e.Mask&^(fanotify.Delete|fanotify.OnDir) == 0 {
		w.counts.Unresolved++
		return
	}
	var ev account.Event
	w.person(&ev, e.PID, at)
	for i := range w.atlas.roots {
		if w.atlas.roots[i].wants(&ev.Who) {
			w.counts.Unresolved++
			k.lost++
			return
		}
	}
	w.counts.Unwanted++
}

func (k *kernel) tick(at time.Time) bool {
	if k.w.relink {
		k.w.relink = false
		if mounts, err := k.w.readMounts(); err == nil {
			k.mounted(at, mounts)
		}
	}
	if k.lost > 0 {
		k.w.gap(k.w.read, at, k.lost, "folders were gone before they could be looked at")
		k.lost = 0
	}
	return false
}

func (k *kernel) mounted(at time.Time, mounts []mount.Mount) {
	fresh := k.w.atlas.anchored(mounts)
	k.w.atlas.forget()
	strange := false
	for _, c := range fresh {
		err := k.watch(c.anchor)
		if err == nil && !c.strange {
			continue
		}
		strange = true
		why := "a file system came into sight at " + tallyman.Escape(c.path)
		if err != nil {
			why += ", and it cannot be watched: " + err.Error()
		}
		k.w.gap(k.w.read, at, -1, why)
	}
	if strange {
		k.again(at)
	}
}

func (k *kernel) again(at time.Time) {
	w := k.w
	w.account.Blind(at)
	w.atlas.forget()
	w.explore()
	for _, c := range k.folders {
		if err := k.walk(c.path, at, false); err != nil {
			w.log.Warn("folders not all watched", "root", c.path, "err", err)
		}
	}
	w.present(at)
}

// deedsOf translates the bits of an event.
func deedsOf(mask uint64) (d account.Deed) {
	for _, t := range translation {
		if mask&t.bit != 0 {
			d |= t.deed
		}
	}
	return d
}

var translation = [...]struct {
	bit  uint64
	deed account.Deed
}{
	{fanotify.Open, account.Open},
	{fanotify.Access, account.Read},
	{fanotify.Modify, account.Modify},
	{fanotify.CloseWrite, account.CloseWrite},
	{fanotify.CloseNoWrite, account.CloseNoWrite},
	{fanotify.Create, account.Create},
	{fanotify.Delete, account.Delete},
	{fanotify.Rename, account.Rename},
}
