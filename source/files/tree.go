package files

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/inotify"
	"tallyman/source/files/mount"
)

// tree gets events by inotify, folder by folder.
type tree struct {
	w       *Watcher
	queue   *inotify.Queue
	folders map[int32]string  // by watch
	watches map[string]int32  // by path
	names   map[string]string // identities by path: when a file is gone, nobody can be asked for it
	buf     []byte
	moved   half // the first half of a rename
}

type half struct {
	cookie uint32
	path   string
	dir    bool
	at     time.Time
}

func openTree(w *Watcher) (*tree, error) {
	q, err := inotify.New()
	if err != nil {
		return nil, err
	}
	t := &tree{w: w, queue: q, folders: map[int32]string{}, watches: map[string]int32{}, names: map[string]string{}, buf: make([]byte, bufferSize)}
	if err := t.watchAll(nil); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return t, nil
}

// watchAll watches the roots, and the folders to which their links lead.
func (t *tree) watchAll(found func(string)) error {
	for _, r := range t.w.atlas.roots {
		if err := walk(r.Path, t.enter, found); err != nil {
			return err
		}
	}
	for dir := range t.w.atlas.links {
		if err := t.enter(dir); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) enter(dir string) error {
	n, err := t.queue.Add(dir)
	if err == nil {
		t.folders[n], t.watches[dir] = dir, n
	}
	return err
}

func (t *tree) mode() Mode   { return Inotify }
func (t *tree) fd() int      { return t.queue.FD() }
func (t *tree) close() error { return t.queue.Close() }

func (t *tree) drain(at time.Time) (more bool, err error) {
	b, err := t.queue.Read(t.buf)
	if err != nil {
		return false, err
	}
	more = len(b) > len(t.buf)/2
	var e inotify.Event
	for len(b) > 0 {
		rest, err := inotify.Next(b, &e)
		if err != nil {
			t.w.gap(at, at, -1, fmt.Sprintf("%v: the rest of %d bytes was not read", err, len(b)))
			t.again(at)
			break
		}
		t.w.counts.Events++
		t.take(&e, at)
		b = rest
	}
	return more, nil
}

func (t *tree) take(e *inotify.Event, at time.Time) {
	if e.Mask&inotify.Overflow != 0 {
		t.w.gap(t.w.read, at, -1, "the kernel's queue of file events was full")
		t.again(at)
		return
	}
	folder, ok := t.folders[e.Watch]
	if !ok {
		return
	}
	if e.Mask&inotify.Ignored != 0 { // the folder is gone
		delete(t.folders, e.Watch)
		if t.watches[folder] == e.Watch {
			delete(t.watches, folder)
		}
		return
	}
	dir := e.Mask&inotify.IsDir != 0
	if len(e.Name) == 0 || dir && e.Mask&(inotify.Create|inotify.Delete|inotify.MovedFrom|inotify.MovedTo) == 0 {
		return
	}
	path := join(folder, e.Name)
	if t.moved.path != "" && (e.Mask&inotify.MovedTo == 0 || e.Cookie != t.moved.cookie) {
		t.movedOut()
	}
	switch {
	case e.Mask&inotify.MovedFrom != 0:
		t.moved = half{e.Cookie, path, dir, at}
	case e.Mask&inotify.MovedTo != 0:
		t.movedIn(path, dir, at)
	case dir && e.Mask&inotify.Create != 0:
		t.grew(path, at)
	default:
		t.event(deedsOf(uint64(e.Mask)), path, "", dir, at)
	}
}

// movedIn is the second half of a rename, or a file from outside.
func (t *tree) movedIn(path string, dir bool, at time.Time) {
	from := t.moved.path
	t.moved = half{}
	if from != "" && dir {
		for n, old := range t.folders {
			if below(old, from) {
				delete(t.watches, old)
				t.folders[n] = path + old[len(from):]
				t.watches[t.folders[n]] = n
			}
		}
	}
	if name, ok := t.names[from]; ok && !dir {
		delete(t.names, from)
		t.names[path] = name
	}
	t.event(account.Rename, path, from, dir, at)
	if dir && from == "" {
		t.grew(path, at)
	}
}

// movedOut is a rename without a second half: the file has left the watched folders.
func (t *tree) movedOut() {
	m := t.moved
	t.moved = half{}
	if m.dir {
		for n, path := range t.folders {
			if below(path, m.path) {
				t.queue.Remove(n)
				delete(t.folders, n)
				delete(t.watches, path)
			}
		}
	}
	t.event(account.Delete, m.path, "", m.dir, m.at)
}

func (t *tree) grew(dir string, at time.Time) {
	err := walk(dir, t.enter, func(path string) { t.w.found(path, at) })
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.w.gap(at, at, -1, "a new folder cannot be watched: "+err.Error())
	}
}

func (t *tree) event(deeds account.Deed, path, from string, dir bool, at time.Time) {
	w := t.w
	root := w.atlas.rootOf(path)
	if root == outside {
		w.counts.Outside++
		return
	}
	ev := account.Event{At: at, Deeds: deeds, Path: path, From: from, Proto: w.atlas.roots[root].Proto, Size: -1, Held: -1, Dir: dir}
	const light = account.Read | account.Modify
	if deeds&^light == 0 && w.account.Touch(0, t.names[path], deeds, at) {
		return
	}
	var st unix.Stat_t
	if unix.Lstat(path, &st) == nil {
		if st.Mode&unix.S_IFMT == unix.S_IFLNK && deeds&account.Create != 0 {
			w.link(path, root)
		}
		if st.Mode&unix.S_IFMT != unix.S_IFREG && !dir {
			return
		}
		if deeds&account.Delete == 0 {
			ev.Size = st.Size
			ev.File = t.identity(path, &st)
		}
	}
	if ev.File == "" {
		ev.File = t.names[path] // it is gone, but may still be open
	}
	w.out = w.account.Add(&ev, w.out)
}

// identity names a file, and remembers it for when it is gone.
func (t *tree) identity(path string, st *unix.Stat_t) string {
	if len(t.names) >= namesKept {
		clear(t.names)
	}
	name := identityAt(path, st)
	t.names[path] = name
	return name
}

func (t *tree) tick(at time.Time) bool {
	if t.moved.path != "" {
		if at.Sub(t.moved.at) < beat {
			return true
		}
		t.movedOut()
	}
	if t.w.relink {
		t.w.relink = false
		if err := t.watchAll(nil); err != nil {
			t.w.gap(at, at, -1, "what a link leads to cannot be watched: "+err.Error())
		}
	}
	return false
}

func (t *tree) mounted(at time.Time, mounts []mount.Mount) {
	for _, m := range mounts {
		if m.Kind == "autofs" || t.w.atlas.inside(m.Point) == outside {
			continue
		}
		old, was := t.watches[m.Point]
		n, err := t.queue.Add(m.Point)
		if err == nil && was && n == old {
			continue
		}
		why := "a file system came into sight at " + tallyman.Escape(m.Point)
		if err == nil {
			err = walk(m.Point, t.enter, nil)
		}
		if err != nil {
			why += ", and it cannot be watched: " + err.Error()
		}
		t.w.gap(t.w.read, at, -1, why)
	}
}

func (t *tree) again(at time.Time) {
	t.w.account.Blind(at)
	if err := t.watchAll(nil); err != nil {
		t.w.log.Warn("folders not all watched", "err", err)
	}
	t.w.present(at)
}
