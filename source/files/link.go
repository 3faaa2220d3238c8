package files

import (
	"io/fs"
	"os"
	"path/filepath"

	"tallyman/source/files/fanotify"
)

const (
	// linksKept bounds how many symbolic links out of the roots are followed. More are not, and Says says so.
	linksKept = 1024
	// linksLooked bounds how many entries are searched for links and folders. The search ends there, and Says says so.
	linksLooked = 100_000
)

// explore finds the folders below the roots, and the symbolic links that lead out of them: servers follow them, and events carry the real path.
func (w *Watcher) explore() {
	w.atlas.known = map[string]struct{}{}
	looked := 0
	for i := 0; i < len(w.atlas.roots); i++ { // links to folders add to them
		looked = w.exploreFolder(w.atlas.roots[i].Path, i, looked)
	}
}

func (w *Watcher) exploreFolder(dir string, root, looked int) int {
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch looked++; {
		case looked > linksLooked:
			w.cut, w.atlas.known = true, nil
			return fs.SkipAll
		case err != nil:
		case d.IsDir():
			if h, err := fanotify.HandleOf(path); err == nil {
				w.atlas.knows(h)
			}
		case d.Type()&fs.ModeSymlink != 0:
			w.link(path, root)
		}
		return nil
	})
	return looked
}

// link follows one symbolic link: to a folder, which becomes a root, or to a file, of which the name is watched.
func (w *Watcher) link(path string, root int) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil || w.atlas.rootOf(target) != outside {
		return
	}
	st, err := os.Stat(target)
	if err != nil || target == "/" {
		return
	}
	if w.linked >= linksKept {
		w.cut = true
		return
	}
	w.linked++
	w.relink = true
	if st.IsDir() {
		r := w.atlas.roots[root]
		r.Path = target
		w.atlas.roots = append(w.atlas.roots, r)
		return
	}
	dir, name := split(target)
	if w.atlas.links[dir] == nil {
		w.atlas.links[dir] = map[string]int{}
	}
	w.atlas.links[dir][name] = root
}
