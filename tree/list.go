package tree

import (
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// Info is what is told of one name. Links are followed where they stay inside the root.
type Info struct {
	Name     string // last element, raw bytes; "" of the root
	Dir      bool
	Mode     fs.FileMode // permission bits
	Size     int64       // bytes; 0 of a folder
	Modified time.Time   // UTC
	Dev, Ino uint64
	UID, GID uint32
}

func info(name string, st *unix.Stat_t) (Info, bool) {
	i := Info{
		Name: name, Dir: st.Mode&unix.S_IFMT == unix.S_IFDIR, Mode: fs.FileMode(st.Mode & 0o777),
		Modified: time.Unix(st.Mtim.Unix()).UTC(), Dev: st.Dev, Ino: st.Ino, UID: st.Uid, GID: st.Gid,
	}
	if !i.Dir {
		i.Size = st.Size
	}
	return i, i.Dir || st.Mode&unix.S_IFMT == unix.S_IFREG
}

// Stat looks at a file or folder; the zero Name is the root. The error is a *Refusal: not-found, not-readable, io-error. What is neither a regular
// file nor a folder does not exist for it.
func (t *Tree) Stat(name tallyman.Name) (Info, error) {
	path := inside(name)
	i, err := t.stat(path, name)
	if err != nil {
		return Info{}, t.refusal(reading, path, err)
	}
	return i, nil
}

// inside is the path of a name below the root, "." for the root itself.
func inside(name tallyman.Name) string {
	if name.Path() == "" {
		return "."
	}
	return name.Path()
}

func (t *Tree) stat(path string, name tallyman.Name) (Info, error) {
	if reserved.In(path) {
		return Info{}, unix.ENOENT
	}
	if err := t.cfg.Step.Do("stat", path); err != nil {
		return Info{}, err
	}
	fd, real, err := t.root.Resolve(path, unix.O_PATH)
	if err != nil {
		return Info{}, err
	}
	defer func() { _ = unix.Close(fd) }() // it was only looked at
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Info{}, err
	}
	base := ""
	if path != "." {
		base = name.Base()
	}
	i, served := info(base, &st)
	if !served || real != path && reserved.In(real) {
		return Info{}, unix.ENOENT
	}
	if t.cfg.WorldReadableOnly {
		if err := t.othersEnter(real); err != nil {
			return Info{}, err
		}
	}
	return i, nil
}

// List tells what is in a folder, sorted by name; the zero Name is the root. Reserved names, devices, sockets, and links that lead nowhere or out of the root are
// not told. The memory that it needs grows with the folder. The error is a *Refusal: not-found, not-readable, io-error.
func (t *Tree) List(name tallyman.Name) ([]Info, error) {
	path := inside(name)
	out, err := t.list(path)
	if err != nil {
		return nil, t.refusal(reading, path, err)
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (t *Tree) list(path string) ([]Info, error) {
	if reserved.In(path) {
		return nil, unix.ENOENT
	}
	f, err := t.openFolder(path, false)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if f.path {
		return nil, unix.EACCES
	}
	if reserved.In(f.rel) {
		return nil, unix.ENOENT
	}
	if t.cfg.WorldReadableOnly {
		if err := t.othersList(f); err != nil {
			return nil, err
		}
	}
	var out []Info
	err = f.each(func(name string, _ fs.FileMode) {
		if reserved.Is(name) {
			return
		}
		if i, ok := f.entry(name); ok {
			out = append(out, i)
		}
	})
	return out, err
}

// entry looks at one name in the folder. What has gone meanwhile is not told.
func (f *folder) entry(name string) (Info, bool) {
	st, err := lstat(f.fd, name)
	if err != nil {
		return Info{}, false
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		fd, real, err := f.tree.root.Resolve(f.join(name), unix.O_PATH)
		if err != nil {
			return Info{}, false
		}
		err = unix.Fstat(fd, &st)
		_ = unix.Close(fd) // it was only looked at
		if err != nil || reserved.In(real) {
			return Info{}, false
		}
	}
	return info(name, &st)
}

// othersList refuses a folder that others may not list or not reach.
func (t *Tree) othersList(f *folder) error {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return err
	}
	if f.rel == "." {
		return nil // whoever serves it has decided
	}
	if st.Mode&(unix.S_IROTH|unix.S_IXOTH) != unix.S_IROTH|unix.S_IXOTH {
		return refuse(tallyman.NotReadable, "the folder %s is closed to others (mode %04o): chmod o+rx it", tallyman.Escape(t.abs(f.rel)), st.Mode&0o7777)
	}
	return t.othersEnter(f.rel)
}

// RealPath is the path of a file or folder below the root with all links resolved, "." for the root.
func (t *Tree) RealPath(name tallyman.Name) (string, error) {
	path := inside(name)
	fd, real, err := t.root.Resolve(path, unix.O_PATH)
	if err != nil {
		return "", t.refusal(reading, path, err)
	}
	_ = unix.Close(fd) // it was only looked at
	return real, nil
}

// RealFolder is RealPath of the folder that a name lies in.
func (t *Tree) RealFolder(name tallyman.Name) (string, error) {
	dir := name.Dir()
	fd, real, err := t.root.Resolve(dir, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return "", t.refusal(reading, dir, err)
	}
	_ = unix.Close(fd) // it was only looked at
	return real, nil
}

// RealName is the path of a name with the links in its folder followed. What cannot be reached stays as it is.
func (t *Tree) RealName(name tallyman.Name) string {
	real, err := t.RealFolder(name)
	switch {
	case err != nil:
		return name.Path()
	case real == ".":
		return name.Base()
	}
	return real + "/" + name.Base()
}
