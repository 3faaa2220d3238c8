package files

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman/source/files/fanotify"
	"tallyman/source/files/mount"
)

// anchor is a folder by which a file system is entered: a root, or what is mounted below one.
type anchor struct {
	path string
	fsid uint64
	dev  uint64
}

// place is a folder, found by its handle: which root it lies below, if any.
type place struct {
	root int // index of the root; outside, -1
	path string
	only map[string]int // of a folder outside: the names in it to which symbolic links of a root lead, with their root
}

const outside = -1

// placesKept is how many folders are remembered by their handle, about 250 bytes each. When there are more, all are forgotten and found again.
const placesKept = 65536

// atlas finds folders by their handles. Folders inside and outside are remembered alike: on a busy file system most events are of no interest, and
// that must cost one look into a map.
type atlas struct {
	roots   []Root // with real paths
	links   map[string]map[string]int
	anchors []anchor
	places  map[string]place
	pinned  map[string]place // of folders whose handles the kernel cannot open: they are known from walking
	doors   map[string]int   // descriptors of anchors, while a batch is read

	// known holds the handles of all folders below the roots: another one that is gone before it could be found was none of ours. It is nil when there
	// are too many.
	known map[string]struct{}
}

// knownKept bounds known, about 100 bytes each.
const knownKept = 200_000

// knows takes a folder below a root into known.
func (a *atlas) knows(h fanotify.Handle) {
	if a.known == nil {
		return
	}
	if len(a.known) >= knownKept {
		a.known = nil
		return
	}
	a.known[string(h)] = struct{}{}
}

// stranger reports that a folder was surely not below a root.
func (a *atlas) stranger(h fanotify.Handle) bool {
	if a.known == nil || h == nil {
		return false
	}
	_, ours := a.known[string(h)]
	return !ours
}

func newAtlas(roots []Root) *atlas {
	return &atlas{roots: roots, links: map[string]map[string]int{}, places: map[string]place{}, pinned: map[string]place{}, doors: map[string]int{}, known: map[string]struct{}{}}
}

// inside returns the root below which a path lies, the deepest one.
func (a *atlas) inside(path string) int {
	best := outside
	for i := range a.roots {
		if below(path, a.roots[i].Path) && (best < 0 || len(a.roots[i].Path) > len(a.roots[best].Path)) {
			best = i
		}
	}
	return best
}

// lookup returns the place of a folder. ok is false when the folder was gone before anybody knew where it was.
func (a *atlas) lookup(h fanotify.Handle) (p place, ok bool) {
	if h == nil { // the other end of a rename, in a folder that is not watched
		return place{root: outside}, false
	}
	if p, ok = a.places[string(h)]; ok {
		return p, true
	}
	if p, ok = a.pinned[string(h)]; ok {
		return p, true
	}
	p, ok = a.resolve(h)
	if ok {
		a.remember(h, p)
	}
	return p, ok
}

func (a *atlas) remember(h fanotify.Handle, p place) {
	if len(a.places) >= placesKept {
		clear(a.places)
	}
	a.places[string(h)] = p
}

// made remembers a folder from the event that told of its making: it may be gone before the first event in it is read.
func (a *atlas) made(h fanotify.Handle, in place, name []byte) {
	if in.root == outside && in.only == nil {
		a.remember(h, place{root: outside})
		return
	}
	path := join(in.path, name)
	root := in.root
	if n, ok := in.only[string(name)]; ok {
		root = n
	}
	a.knows(h)
	a.remember(h, place{root: root, path: path, only: a.links[path]})
}

// forget makes all folders be found again.
func (a *atlas) forget() { clear(a.places) }

// moved makes folders be found again after one was moved from one folder to another, and with it all below it. What is moved about outside stays
// outside.
func (a *atlas) moved(from, to place, known bool) {
	switch {
	case known && from.root == outside && to.root == outside:
	case known && from.root != outside:
		maps.DeleteFunc(a.places, func(_ string, p place) bool { return p.root != outside })
	default:
		clear(a.places)
	}
}

// resolve asks the kernel where a folder is. A file system may be seen through several mounts: the one through which the folder lies below a root
// counts.
func (a *atlas) resolve(h fanotify.Handle) (p place, ok bool) {
	for _, c := range a.anchors {
		if c.fsid != h.FSID() {
			continue
		}
		path, found := a.pathOf(c, h)
		if !found {
			continue
		}
		ok = true
		if root := a.inside(path); root != outside {
			return place{root: root, path: path, only: nil}, true
		}
		if only := a.links[path]; only != nil {
			p = place{root: outside, path: path, only: only}
		}
	}
	if p.path == "" {
		p.root = outside
	}
	return p, ok
}

// pathOf opens the handle through an anchor and reads its path. A path that leads elsewhere by now (the folder lies under another mount) is none
// of ours.
func (a *atlas) pathOf(c anchor, h fanotify.Handle) (string, bool) {
	fd, err := a.open(c, h)
	if err != nil {
		return "", false
	}
	defer func() { _ = unix.Close(fd) }() // it is only a path
	var st, by unix.Stat_t
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil || unix.Fstat(fd, &st) != nil {
		return "", false
	}
	if st.Nlink == 0 {
		return strings.TrimSuffix(path, " (deleted)"), true
	}
	if a.inside(path) != outside && (unix.Lstat(path, &by) != nil || by.Ino != st.Ino || by.Dev != st.Dev) {
		return "", true
	}
	return path, true
}

func (a *atlas) open(c anchor, h fanotify.Handle) (int, error) {
	door, ok := a.doors[c.path]
	if !ok {
		var err error
		// A descriptor of O_PATH is refused by open_by_handle_at(2).
		if door, err = unix.Open(c.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
			return -1, err
		}
		a.doors[c.path] = door
	}
	return fanotify.OpenHandle(door, h)
}

// shut closes the descriptors of anchors: as long as one is open, its file system cannot be unmounted.
func (a *atlas) shut() {
	for path, fd := range a.doors {
		_ = unix.Close(fd)
		delete(a.doors, path)
	}
}

// stat looks at a file by its handle, else by its path, which may by now name another file: then its identity does not fit.
func (a *atlas) stat(h fanotify.Handle, path string, st *unix.Stat_t) bool {
	for _, c := range a.anchors {
		if c.fsid != h.FSID() {
			continue
		}
		fd, err := a.open(c, h)
		if err == nil {
			err = unix.Fstat(fd, st)
			_ = unix.Close(fd)
			return err == nil
		}
		if !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.EOPNOTSUPP) {
			continue
		}
		now, err := fanotify.HandleOf(path)
		return err == nil && string(now) == string(h) && unix.Lstat(path, st) == nil
	}
	return false
}

// dev is the device of the file system of a handle.
func (a *atlas) dev(h fanotify.Handle) uint64 {
	for _, c := range a.anchors {
		if c.fsid == h.FSID() {
			return c.dev
		}
	}
	return 0
}

// newAnchor is an anchor that was not known. It is strange if no other was known on its file system.
type newAnchor struct {
	anchor
	strange bool
}

// anchored makes the anchors anew: the roots, and what is mounted below them. It returns those that are new.
func (a *atlas) anchored(mounts []mount.Mount) (fresh []newAnchor) {
	old := a.anchors
	a.anchors = nil
	add := func(path string) {
		var fs unix.Statfs_t
		var st unix.Stat_t
		if unix.Statfs(path, &fs) != nil || unix.Stat(path, &st) != nil {
			return
		}
		c := anchor{path: path, dev: st.Dev, fsid: uint64(uint32(fs.Fsid.Val[0])) | uint64(uint32(fs.Fsid.Val[1]))<<32}
		if slices.Contains(a.anchors, c) {
			return
		}
		a.anchors = append(a.anchors, c)
		if !slices.Contains(old, c) {
			met := slices.ContainsFunc(old, func(o anchor) bool { return o.fsid == c.fsid })
			fresh = append(fresh, newAnchor{c, !met})
		}
	}
	for _, r := range a.roots {
		add(existing(r.Path))
	}
	for dir := range a.links {
		add(existing(dir))
	}
	for _, m := range mounts {
		if m.Kind != "autofs" && a.inside(m.Point) != outside { // to look at autofs mounts it
			add(m.Point)
		}
	}
	return fresh
}

// existing is the nearest folder of a path that is there.
func existing(path string) string {
	for path != "/" {
		if st, err := os.Stat(path); err == nil && st.IsDir() {
			break
		}
		path = filepath.Dir(path)
	}
	return path
}

// real follows the symbolic links of a path as far as it exists.
func real(path string) string {
	path = filepath.Clean(path)
	there := existing(path)
	to, err := filepath.EvalSymlinks(there)
	if err != nil {
		return path
	}
	return filepath.Join(to, strings.TrimPrefix(path, there))
}

func join(dir string, name []byte) string {
	if dir == "/" {
		return dir + string(name)
	}
	return dir + "/" + string(name)
}
