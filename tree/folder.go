package tree

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman"
)

// readdirBatch is how many names are read at once: what a folder of any size costs in memory.
const readdirBatch = 1024

// folder is an open folder below the root. Work in it goes through its descriptor, so that nobody can swap a link into the path.
type folder struct {
	tree  *Tree
	asked string // as the name says, possibly through links
	rel   string // relative to the root, without links; "." is the root
	fd    int
	path  bool // opened with O_PATH: it may be written but not read, and fsync refuses it
}

func (t *Tree) openFolder(dir string, make bool) (*folder, error) {
	if err := t.cfg.Step.Do("open", dir); err != nil {
		return nil, err
	}
	f := &folder{tree: t, asked: dir}
	var err error
	f.fd, f.rel, err = t.root.Resolve(dir, unix.O_RDONLY|unix.O_DIRECTORY)
	if is(err, unix.EACCES) {
		f.path = true
		f.fd, f.rel, err = t.root.Resolve(dir, unix.O_PATH|unix.O_DIRECTORY)
	}
	if is(err, unix.ENOENT) && make && dir != "." {
		return t.makeFolder(dir)
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// makeFolder makes a folder and those above it.
func (t *Tree) makeFolder(dir string) (*folder, error) {
	above, base := ".", dir
	if i := strings.LastIndexByte(dir, '/'); i >= 0 {
		above, base = dir[:i], dir[i+1:]
	}
	up, err := t.openFolder(above, true)
	if err != nil {
		return nil, err
	}
	defer up.close()
	f, err := up.enter(base, 0o755)
	if err != nil {
		return nil, err
	}
	f.asked = dir
	return f, nil
}

// enter opens a folder inside this one, without following a link, and makes it with the given mode if it is missing.
func (f *folder) enter(name string, mode uint32) (*folder, error) {
	in := &folder{tree: f.tree, rel: f.join(name), fd: -1}
	in.asked = in.rel
	for made := false; ; {
		err := f.tree.do("open", in.rel, func() (err error) {
			in.fd, err = unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
			return err
		})
		switch {
		case err == nil && !made:
			return in, nil
		case err == nil:
			if err = in.dress(mode); err == nil {
				err = f.sync(in.fd)
			}
			if err != nil {
				in.close()
				return nil, err
			}
			return in, nil
		case is(err, unix.ENOTDIR, unix.ELOOP):
			return nil, refuse(tallyman.NotWritable, "%s is no folder: move it away", tallyman.Escape(f.tree.abs(in.rel)))
		case !is(err, unix.ENOENT):
			return nil, err
		}
		err = f.tree.do("mkdir", in.rel, func() error { return unix.Mkdirat(f.fd, name, mode) })
		if made = err == nil; !made && !is(err, unix.EEXIST) {
			return nil, err
		}
	}
}

// dress gives a folder that was just made its owner and its mode, whatever the umask.
func (f *folder) dress(mode uint32) error {
	cfg := &f.tree.cfg
	if f.tree.chowns() {
		if err := f.tree.do("chown", f.rel, func() error { return unix.Fchown(f.fd, cfg.UID, cfg.GID) }); err != nil {
			return err
		}
	}
	return f.tree.do("chmod", f.rel, func() error { return unix.Fchmod(f.fd, mode) })
}

// join returns the path, relative to the root, of a name in this folder.
func (f *folder) join(name string) string {
	if f.rel == "." {
		return name
	}
	return f.rel + "/" + name
}

// stillThere refuses when the folder was moved or removed since it was opened: what is put into it would not stand where the client was told.
func (f *folder) stillThere() error {
	if err := f.tree.cfg.Step.Do("stat", f.rel); err != nil {
		return err
	}
	var was, now unix.Stat_t
	fd, _, err := f.tree.root.Resolve(f.asked, unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		defer func() { _ = unix.Close(fd) }()
		err = unix.Fstat(fd, &now)
	}
	if err == nil {
		err = unix.Fstat(f.fd, &was)
	}
	if err == nil && !sameFile(&was, &now) || is(err, unix.ENOENT, unix.ENOTDIR) {
		return refuse(tallyman.NotFound, "the folder %s was moved while the upload ran: send the file again", tallyman.Escape(f.tree.abs(f.rel)))
	}
	return err
}

// sync puts the names in the folder on stable storage. A folder that cannot be read cannot be synced alone: then the whole file system is,
// through any open file or folder on it.
func (f *folder) sync(file int) error {
	return f.tree.do("sync", f.rel, func() error {
		if f.path {
			return unix.Syncfs(file)
		}
		return unix.Fsync(f.fd)
	})
}

func (f *folder) close() { _ = unix.Close(f.fd) }

// each calls look with the names in the folder and their type, in the order of the disk.
func (f *folder) each(look func(name string, sort fs.FileMode)) error {
	if err := f.tree.cfg.Step.Do("readdir", f.rel); err != nil {
		return err
	}
	fd, err := unix.Openat(f.fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	// Where readdir(3) says DT_UNKNOWN, package os looks at the entry by the name of the file it was given.
	d := os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd))
	defer func() { _ = d.Close() }() // it was only read
	for {
		entries, err := d.ReadDir(readdirBatch)
		for _, e := range entries {
			look(e.Name(), e.Type())
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
