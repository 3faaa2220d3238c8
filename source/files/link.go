package files

import (
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// linksKept bounds how many symbolic links out of the roots are followed. More are not, and Says says so.
	linksKept = 1024
	// linksLooked bounds how many entries are searched for links at the start. The search ends there, and Says says so.
	linksLooked = 100_000
)

// followLinks finds symbolic links that lead out of the roots: servers follow them, and events carry the real path.
func (w *Watcher) followLinks() {
	looked := 0
	for i := range w.cfg.Roots {
		_ = filepath.WalkDir(w.atlas.roots[i].Path, func(path string, d fs.DirEntry, err error) error {
			if looked++; looked > linksLooked {
				w.cut = true
				return fs.SkipAll
			}
			if err == nil && d.Type()&fs.ModeSymlink != 0 {
				w.link(path, i)
			}
			return nil
		})
	}
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
