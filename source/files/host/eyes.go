package host

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman/source/files/fanotify"
	"tallyman/source/files/host/engine"
	"tallyman/source/files/host/index"
)

// volume is a file system, seen at a folder that is watched.
type volume struct {
	path string
	fsid uint64
	dev  uint64
	id   index.ID
}

// eyes look at the disk. Descriptors by which file systems are entered are open while a batch is taken, no longer.
type eyes struct {
	volumes []volume
	others  []volume          // file systems that hold programs
	doors   map[string]int    // by path
	folders map[string]string // of programs, by handle
	failed  int64             // handles that could not be opened and were not gone
	why     error
}

func (y *eyes) shut() {
	for path, fd := range y.doors {
		_ = unix.Close(fd)
		delete(y.doors, path)
	}
}

// open opens what a handle names.
func (y *eyes) open(h fanotify.Handle) (int, error) {
	err := error(unix.ESTALE)
	for _, list := range [...][]volume{y.volumes, y.others} {
		for i := range list {
			v := &list[i]
			if v.fsid != h.FSID() {
				continue
			}
			door, ok := y.doors[v.path]
			if !ok {
				// A descriptor of O_PATH is refused by open_by_handle_at(2).
				if door, err = unix.Open(v.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0); err != nil {
					continue
				}
				y.doors[v.path] = door
			}
			var fd int
			if fd, err = fanotify.OpenHandle(door, h); err == nil {
				return fd, nil
			}
		}
	}
	return -1, err
}

// Object looks at an object by its handle.
func (y *eyes) Object(handle string) (f index.Facts, ok bool) {
	if handle == "" {
		return f, false
	}
	fd, err := y.open(fanotify.Handle(handle))
	if err != nil {
		// ENOMEM is what iget_locked (fs/inode.c) makes of an inode that is just being created: another one has the number, this one is gone.
		if !errors.Is(err, unix.ESTALE) && !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.ENOMEM) {
			y.failed++
			y.why = err
		}
		return f, false
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	_ = unix.Close(fd)
	return factsOf(&st), err == nil && st.Nlink > 0
}

// Name looks at a path.
func (y *eyes) Name(path string) (k index.Key, f index.Facts, ok bool) {
	k, f, _, ok = y.at(unix.AT_FDCWD, path)
	return k, f, ok
}

func (y *eyes) at(dir int, name string) (k index.Key, f index.Facts, dev uint64, ok bool) {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT) != nil {
		return k, f, 0, false
	}
	h, _, err := unix.NameToHandleAt(dir, name, 0)
	if err != nil {
		return k, f, st.Dev, false
	}
	fsid, known := y.fsidOf(st.Dev)
	return index.MakeKey(fsid, h.Type(), h.Bytes()), factsOf(&st), st.Dev, known
}

func (y *eyes) fsidOf(dev uint64) (uint64, bool) {
	for i := range y.volumes {
		if y.volumes[i].dev == dev {
			return y.volumes[i].fsid, true
		}
	}
	return 0, false
}

// List looks at all in a folder.
func (y *eyes) List(path string) ([]engine.Entry, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }() // it is only read
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	fd := int(dir.Fd())
	var own unix.Stat_t
	if err := unix.Fstat(fd, &own); err != nil {
		return nil, err
	}
	out := make([]engine.Entry, 0, len(names))
	for _, n := range names {
		k, f, dev, ok := y.at(fd, n)
		switch {
		case dev != 0 && dev != own.Dev:
			out = append(out, engine.Entry{Name: n, Over: true})
		case ok:
			out = append(out, engine.Entry{Name: n, Key: k, Facts: f})
		}
	}
	return out, nil
}

// where asks the kernel for the path of a folder.
func (y *eyes) where(h fanotify.Handle) string {
	if h == nil {
		return ""
	}
	fd, err := y.open(h)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }() // it is only a path
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil || !strings.HasPrefix(path, "/") {
		return ""
	}
	return strings.TrimSuffix(path, " (deleted)")
}

func factsOf(st *unix.Stat_t) index.Facts {
	f := index.Facts{
		Size: st.Size, Mtime: st.Mtim.Nano(), Ctime: st.Ctim.Nano(), Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, Links: uint32(st.Nlink),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR: // what changes in it is told of what it holds
		f = index.Facts{Kind: index.Folder, Mode: f.Mode, UID: f.UID, GID: f.GID, Size: -1}
	case unix.S_IFLNK:
		f.Kind = index.Symlink
	default:
		f.Kind = index.Other
	}
	return f
}

// keyOf is the key of a handle as an event bears it.
func keyOf(h fanotify.Handle) index.Key {
	if h == nil {
		return index.Key{}
	}
	return index.MakeKey(h.FSID(), h.Type(), h.Bytes())
}
