package tail

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sibling opens the first other file beside ours, the newest first, that fits.
func (f *Follower) sibling(fits func(*open) bool) (first *open) {
	for _, o := range f.siblings() {
		if first == nil && !f.reads(o) && fits(o) {
			first = o
			continue
		}
		_ = o.file.Close()
	}
	return first
}

// reads reports whether the file is one that we have open.
func (f *Follower) reads(o *open) bool {
	same := func(p *open) bool { return p.Dev == o.Dev && p.Ino == o.Ino }
	return f.now != nil && same(f.now) || slices.ContainsFunc(f.old, same)
}

// attempts is how often a folder is read that changes meanwhile: a rotation renames many files, one after the other.
const attempts = 100

// siblings opens the files into which ours is rotated, the newest first: NAME.1, NAME-20261120. Compressed ones are left out. The caller closes them.
func (f *Follower) siblings() (all []*open) {
	for range attempts {
		before := f.list()
		for _, name := range before {
			if o, err := openAt(name.path); err == nil && o.info.Mode().IsRegular() {
				all = append(all, o)
			}
		}
		if after := f.list(); slices.Equal(before, after) && f.same(all, after) {
			break
		}
		for _, o := range all {
			_ = o.file.Close()
		}
		all = nil
	}
	slices.SortStableFunc(all, func(a, b *open) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	return all
}

// named is a file under a name.
type named struct {
	path string
	file
}

// list reads the folder.
func (f *Follower) list() (all []named) {
	dir, base := filepath.Split(f.path)
	if dir == "" {
		dir = "."
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, d := range entries {
		if rest, ok := strings.CutPrefix(d.Name(), base); !ok || !rotated(rest) {
			continue
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			dev, ino := identity(info)
			all = append(all, named{filepath.Join(dir, d.Name()), file{dev, ino}})
		}
	}
	return all
}

// same reports whether what was opened is what the names stand for.
func (f *Follower) same(all []*open, list []named) bool {
	return slices.EqualFunc(all, list, func(o *open, n named) bool { return o.Dev == n.dev && o.Ino == n.ino })
}

// rotated reports what log rotation appends to a name: ".1", "-20261120", ".old"; not ".log", and not ".1.gz".
func rotated(end string) bool {
	for _, packed := range [...]string{".gz", ".xz", ".zst", ".bz2"} {
		if strings.HasSuffix(end, packed) {
			return false
		}
	}
	return end == ".old" || end == ".bak" || len(end) > 1 && strings.ContainsAny(end[:1], ".-_") && strings.ContainsAny(end, "0123456789")
}
