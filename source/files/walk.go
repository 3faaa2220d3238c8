package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files/account"
	"tallyman/source/files/fanotify"
)

// walk calls enter for a folder and all folders below it, each before it is read: what is made in it from then on is seen. If found is set, files
// that are there already are told to it. What goes away meanwhile is passed over.
func walk(dir string, enter func(dir string) error, found func(path string)) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case d.IsDir():
			if err := enter(path); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) {
				return err
			}
		case d.Type().IsRegular() && found != nil:
			found(path)
		}
		return nil
	})
}

// found takes a file that was made in a new folder before that was watched.
func (w *Watcher) found(path string, at time.Time) {
	root := w.atlas.rootOf(path)
	var st unix.Stat_t
	if root == outside || unix.Lstat(path, &st) != nil {
		return
	}
	w.account.Found(&account.Event{
		At: at, Proc: tallyman.Proc{}, Proto: w.atlas.roots[root].Proto, Path: path, File: identityAt(path, &st), Size: st.Size,
	})
}

// walk marks all folders below dir.
func (k *kernel) walk(dir string, at time.Time, tell bool) error {
	found := func(path string) { k.w.found(path, at) }
	if !tell {
		found = nil
	}
	if k.w.atlas.inside(dir) == outside {
		return k.enter(dir)
	}
	return walk(dir, k.enter, found)
}

// enter marks one folder: below a root, or one that holds what a link leads to.
func (k *kernel) enter(dir string) error {
	p := place{root: k.w.atlas.inside(dir), path: dir, only: k.w.atlas.links[dir]}
	if p.root == outside && p.only == nil {
		return nil
	}
	if err := k.group.MarkFolder(dir, mask); err != nil {
		return err
	}
	h, err := fanotify.HandleOf(dir)
	if err == nil {
		k.w.atlas.pinned[string(h)] = p
	}
	return err
}

// grew marks a folder that has come, and all below it.
func (k *kernel) grew(dir string) {
	at := now()
	if err := k.walk(dir, at, true); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.w.gap(at, at, -1, "a new folder cannot be watched: "+err.Error())
	}
}

// below reports whether path is the folder or lies in it.
func below(path, folder string) bool {
	if folder == "/" {
		return strings.HasPrefix(path, "/")
	}
	rest, ok := strings.CutPrefix(path, folder)
	return ok && (rest == "" || rest[0] == '/')
}
