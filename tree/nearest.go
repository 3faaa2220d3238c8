package tree

import (
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// nearestMost bounds how many names Nearest looks at.
const nearestMost = 4096

// Nearest returns the path, relative to the root and as raw bytes, of the existing file that was most likely meant by a name that does not exist; "" if
// none is near. In the order of trust: the same path in other letter case; the nearest spelling in the same folder; the same last element in another
// folder. It looks at no more than 4096 names and never at what is not served. It is meant for people, never for the wire.
func (t *Tree) Nearest(name tallyman.Name) string {
	if name.Path() == "" {
		return ""
	}
	s := search{tree: t, base: name.Base(), left: nearestMost}
	if dir, ok := s.folderLike(name.Dir()); ok {
		if best := s.inFolder(dir); best != "" {
			return best
		}
	}
	return s.anywhere()
}

type search struct {
	tree *Tree
	base string
	left int
}

// list returns the files and folders in a folder that may be named to people.
func (s *search) list(dir string) (f *folder, files, folders []string) {
	f, err := s.tree.openFolder(dir, false)
	if err != nil {
		return nil, nil, nil
	}
	_ = f.each(func(name string, sort fs.FileMode) {
		if s.left--; s.left < 0 || reserved.Is(name) {
			return
		}
		switch {
		case sort.IsRegular(), sort == fs.ModeSymlink:
			files = append(files, name)
		case sort.IsDir():
			folders = append(folders, name)
		}
	})
	return f, files, folders
}

// folderLike finds a folder whose path is the same but for letter case.
func (s *search) folderLike(dir string) (string, bool) {
	if fd, _, err := s.tree.root.Resolve(dir, unix.O_PATH|unix.O_DIRECTORY); err == nil {
		_ = unix.Close(fd)
		return dir, true
	}
	at := "."
	for element := range strings.SplitSeq(dir, "/") {
		f, _, folders := s.list(at)
		if f == nil {
			return "", false
		}
		f.close()
		next := ""
		for _, name := range folders {
			if strings.EqualFold(name, element) && (next == "" || name == element) {
				next = f.join(name)
			}
		}
		if next == "" {
			return "", false
		}
		at = next
	}
	return at, true
}

func (s *search) inFolder(dir string) string {
	f, files, _ := s.list(dir)
	if f == nil {
		return ""
	}
	defer f.close()
	best, least := "", max(2, len(s.base)/4)+1
	for _, name := range files {
		d := 0
		if !strings.EqualFold(name, s.base) {
			d = 1 + distance(strings.ToLower(name), strings.ToLower(s.base), least)
		}
		if d < least && s.served(f.join(name)) {
			best, least = f.join(name), d
		}
	}
	return best
}

// anywhere looks for a file of the same last element, folder by folder from the root.
func (s *search) anywhere() string {
	for todo := []string{"."}; len(todo) > 0 && s.left > 0; todo = todo[1:] {
		f, files, folders := s.list(todo[0])
		if f == nil {
			continue
		}
		f.close()
		for _, name := range files {
			if strings.EqualFold(name, s.base) && s.served(f.join(name)) {
				return f.join(name)
			}
		}
		for _, name := range folders {
			todo = append(todo, f.join(name))
		}
	}
	return ""
}

func (s *search) served(path string) bool {
	f, err := s.tree.openFile(path)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// distance counts the bytes to insert, remove, replace or swap with their neighbour to turn a into b, and gives up at most (optimal string alignment).
func distance(a, b string, most int) int {
	if d := len(a) - len(b); d >= most || -d >= most {
		return most
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		least := next[0]
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			d := min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				d = min(d, before[j-1]+1)
			}
			next[j+1] = d
			least = min(least, d)
		}
		if least >= most {
			return most
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
