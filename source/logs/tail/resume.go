package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// find opens the files of the kept positions, under whatever name they have now, and those that were begun since. Called once, before anything is read.
func (f *Follower) find() error {
	f.resumed, f.away = true, true
	if len(f.resume) == 0 {
		return nil
	}
	for _, p := range f.resume {
		o := f.reopen(p)
		if o == nil {
			if len(f.gaps) == 0 {
				f.gaps = append(f.gaps, fmt.Sprintf("a log file that was followed as %s is gone or compressed: lines may be lost", f.path))
			}
			continue
		}
		f.old = append(f.old, o)
		if at := time.Unix(0, p.Mod); p.Mod != 0 && at.After(f.lastMod) {
			f.lastMod = at
		}
	}
	// The one that still has the name goes on as such.
	info, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for log file: %w", err)
	}
	dev, ino := identity(info)
	for i, o := range f.old {
		if o.Dev == dev && o.Ino == ino {
			f.now = o
			f.old = slices.Delete(f.old, i, i+1)
			break
		}
	}
	return nil
}

// reopen finds the file of a position: by inode under the name or beside it, or as a copy. A file that was truncated keeps its inode; its
// position is left as it is, and drain finds the copy.
func (f *Follower) reopen(p Position) *open {
	for range attempts {
		candidates := f.siblings()
		current, err := openAt(f.path)
		if err == nil {
			candidates = append(candidates, current)
		}
		var hit *open
		for _, o := range candidates {
			named := o == current
			if hit == nil && o.Dev == p.Dev && o.Ino == p.Ino && (named || p.holds(o.file)) {
				hit = o
				continue
			}
			_ = o.file.Close()
		}
		if hit != nil {
			hit.Position = p
			return hit
		}
		if info, err := os.Stat(f.path); err != nil || current != nil && !moved(current, info) {
			break
		}
	}
	return nil
}

// moved reports whether the name stands for another file than a moment ago.
func moved(current *open, info os.FileInfo) bool {
	dev, ino := identity(info)
	return current.Dev != dev || current.Ino != ino
}

func openAt(path string) (*open, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open log file: %w", err)
	}
	return describe(file)
}
