package host

import (
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/fanotify"
	"tallyman/source/files/host/index"
	"tallyman/source/files/mount"
)

// hollow lists file systems that hold no files of people: they are neither watched nor marked.
var hollow = [...]string{
	"proc", "sysfs", "cgroup", "cgroup2", "devpts", "devtmpfs", "tracefs", "debugfs", "securityfs", "pstore", "bpf", "mqueue", "hugetlbfs", "configfs",
	"fusectl", "binfmt_misc", "nsfs", "efivarfs", "autofs", "rpc_pipefs", "selinuxfs",
}

// look compares the table of mounts with what is watched: file systems that came are marked and looked at, of those that went it is told.
func (w *Watcher) look(at time.Time, first bool) error {
	mounts, refused, err := w.mounts.Read()
	if err != nil {
		return err
	}
	if refused > 0 {
		w.log.Warn("lines of mountinfo not understood", "lines", refused)
	}
	mounts = slices.DeleteFunc(mounts, func(m mount.Mount) bool { return slices.Contains(hollow[:], m.Kind) })
	w.programs(mounts)
	wish := w.wish(mounts)
	old := w.eyes.volumes
	same := func(v volume) func(volume) bool {
		return func(o volume) bool { return o.path == v.path && o.fsid == v.fsid && o.dev == v.dev }
	}
	w.eyes.volumes = slices.DeleteFunc(slices.Clone(old), func(v volume) bool { return !slices.ContainsFunc(wish, same(v)) })
	for _, v := range old {
		if !slices.ContainsFunc(wish, same(v)) {
			w.away[v.fsid] = w.read
			w.gap(w.read, at, -1, "the file system at "+tallyman.Escape(v.path)+" went out of sight")
		}
	}
	for _, v := range wish {
		if !slices.ContainsFunc(old, same(v)) {
			w.enter(v, at, first)
		}
	}
	w.eyes.shut()
	return nil
}

// wish returns the file systems that are to be watched: those of the paths, and what is mounted below them.
func (w *Watcher) wish(mounts []mount.Mount) (out []volume) {
	add := func(path string) {
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(path, &fs) != nil || unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
			w.cannot[path] = "there is no such folder"
			return
		}
		if w.cannot[path] == "there is no such folder" {
			delete(w.cannot, path)
		}
		v := volume{path: path, fsid: uint64(uint32(fs.Fsid.Val[0])) | uint64(uint32(fs.Fsid.Val[1]))<<32, dev: st.Dev}
		if !slices.ContainsFunc(out, func(o volume) bool {
			return o.path == path || o.dev == v.dev && below(path, o.path) && w.through(o.path, path)
		}) {
			out = append(out, v)
		}
	}
	paths := slices.Clone(w.cfg.Paths)
	slices.SortFunc(paths, func(a, b string) int { return len(a) - len(b) }) // a path within another comes after it
	for _, p := range paths {
		add(p)
	}
	for _, m := range mounts {
		if w.scope.wanted(m.Point) {
			add(m.Point)
		}
	}
	return out
}

// through reports whether all folders from one to another are watched: then the second needs no anchor of its own.
func (w *Watcher) through(from, to string) bool {
	for i := len(from); i < len(to); i++ {
		if to[i] == '/' && i > 0 && !w.scope.wanted(to[:i]) {
			return false
		}
	}
	return true
}

// enter begins to watch a file system at a path.
func (w *Watcher) enter(v volume, at time.Time, first bool) {
	h, err := fanotify.HandleOf(v.path)
	if err == nil {
		err = w.group.MarkFilesystem(v.path, mask)
	}
	if err != nil {
		w.cannot[v.path] = err.Error()
		w.gap(w.read, at, -1, tallyman.Escape(v.path)+" cannot be watched: "+err.Error())
		return
	}
	delete(w.cannot, v.path)
	k := keyOf(h)
	known := w.index.Object(k)
	if known != 0 && w.index.Dead(known) {
		known = 0
	}
	if known != 0 && w.index.Parent(known) == 0 && w.index.Name(known) != v.path { // it is mounted elsewhere now
		w.index.Remove(known)
		w.index.Bury()
		known = 0
	}
	id := known
	if known == 0 || w.index.Parent(known) != 0 {
		id, known = w.index.Put(0, v.path, k, index.Facts{Kind: index.Folder, Size: -1}), 0
	}
	v.id = id
	w.index.Keep(id)
	w.eyes.volumes = append(w.eyes.volumes, v)
	switch {
	case first && known != 0: // compared when all are marked
	case known != 0:
		since := w.away[v.fsid]
		if since.IsZero() {
			since = w.read
		}
		w.gap(since, at, -1, "the file system at "+tallyman.Escape(v.path)+" was out of sight")
		w.scan(id, since, at)
	default:
		w.engine.Learn(id)
		if !first {
			w.gap(w.read, at, -1, "a file system came into sight at "+tallyman.Escape(v.path))
		}
	}
	delete(w.away, v.fsid)
}

// programs asks for the start of programs on all file systems.
func (w *Watcher) programs(mounts []mount.Mount) {
	w.eyes.others = w.eyes.others[:0]
	w.eyes.folders = map[string]string{}
	for _, m := range mounts {
		if strings.HasPrefix(m.Kind, "fuse") || strings.HasPrefix(m.Kind, "nfs") || m.Kind == "cifs" { // to ask may wait for a server
			continue
		}
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(m.Point, &fs) != nil || unix.Stat(m.Point, &st) != nil {
			continue
		}
		v := volume{path: m.Point, fsid: uint64(uint32(fs.Fsid.Val[0])) | uint64(uint32(fs.Fsid.Val[1]))<<32, dev: st.Dev}
		if slices.ContainsFunc(w.eyes.others, func(o volume) bool { return o.fsid == v.fsid }) {
			continue
		}
		// Where that is not possible, programs are looked up in /proc.
		if w.group.MarkFilesystem(m.Point, fanotify.OpenExec) == nil {
			w.eyes.others = append(w.eyes.others, v)
		}
	}
}

// program returns the path of a folder that holds a program.
func (y *eyes) program(h fanotify.Handle) string {
	if path, ok := y.folders[string(h)]; ok {
		return path
	}
	if len(y.folders) >= foldersKept {
		clear(y.folders)
	}
	path := y.where(h)
	y.folders[string(h)] = path
	return path
}

// foldersKept bounds the folders of programs that are remembered. A folder of programs that is renamed is known by its old name until the next mount.
const foldersKept = 4096

// canary is a file that this program writes, to see that events still come.
type canary struct {
	path string
	key  index.Key // of its folder
	sent time.Time // zero: it is back
	next time.Time
	bad  bool
}

const canaryName = "canary"

// open makes the folder of the canary and marks it, if there is a state folder.
func (c *canary) open(state string, g *fanotify.Group) error {
	if state == "" {
		return nil
	}
	dir := folderIn(state)
	h, err := fanotify.HandleOf(dir)
	if err == nil {
		err = g.MarkFolder(dir, fanotify.CloseWrite)
	}
	c.path, c.key = dir+"/"+canaryName, keyOf(h)
	return err
}

// is reports whether an event is about the canary.
func (c *canary) is(e *fanotify.Event, counts *Counts) bool {
	if c.path == "" || e.At.Dir == nil || keyOf(e.At.Dir) != c.key {
		return false
	}
	if e.Mask&fanotify.CloseWrite != 0 && string(e.At.Name) == canaryName && !c.sent.IsZero() {
		c.sent, c.bad = time.Time{}, false
		counts.Canaries++
	}
	return true
}

// pass sends the canary when it is time. It returns why something may be missing when one does not come back, once.
func (c *canary) pass(at time.Time, cfg *Config) string {
	if c.path == "" || cfg.Every <= 0 {
		return ""
	}
	if !c.sent.IsZero() && at.Sub(c.sent) > cfg.Late {
		c.sent = time.Time{}
		c.next = at.Add(cfg.Every)
		if was := c.bad; was {
			return ""
		}
		c.bad = true
		return "the canary did not come back: events do not reach this program"
	}
	if !c.sent.IsZero() || at.Before(c.next) {
		return ""
	}
	c.next = at.Add(cfg.Every)
	if err := os.WriteFile(c.path, []byte(at.Format(time.RFC3339)+"\n"), 0o600); err != nil {
		if was := c.bad; was {
			return ""
		}
		c.bad = true
		return "the canary cannot be written: " + err.Error()
	}
	c.sent = at
	return ""
}
