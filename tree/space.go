package tree

import (
	"context"
	"io/fs"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Space is what a file system says of itself (statvfs(3)).
type Space struct {
	BlockSize           uint64 // bytes; the counts below are in these
	Blocks, Free, Avail uint64
	Files, FilesFree    uint64
	Flags, NameMax      uint64
}

// Space looks at the file system below a name; the zero Name is the root. The error is a *Refusal.
func (t *Tree) Space(name tallyman.Name) (Space, error) {
	path := inside(name)
	if _, err := t.Stat(name); err != nil {
		return Space{}, err
	}
	fd, _, err := t.root.Resolve(path, unix.O_PATH)
	if err != nil {
		return Space{}, t.refusal(reading, path, err)
	}
	defer func() { _ = unix.Close(fd) }() // it was only looked at
	var st unix.Statfs_t
	if err := t.do("statfs", path, func() error { return unix.Fstatfs(fd, &st) }); err != nil {
		return Space{}, t.refusal(reading, path, err)
	}
	return Space{
		BlockSize: uint64(st.Bsize), Blocks: st.Blocks, Free: st.Bfree, Avail: st.Bavail, Files: st.Files, FilesFree: st.Ffree,
		Flags: uint64(st.Flags), NameMax: uint64(st.Namelen),
	}, nil
}

// Usage counts the bytes and files below the root, kept versions and unfinished uploads too, without following links. What cannot be read is passed
// over. It walks through all folders.
func (t *Tree) Usage(ctx context.Context) (bytes, files int64, err error) {
	for todo := []string{"."}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return bytes, files, err
		}
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		f, err := t.openFolder(dir, false)
		if err != nil || f.rel != dir || f.path {
			if err == nil {
				f.close()
			}
			continue
		}
		_ = f.each(func(name string, sort fs.FileMode) {
			switch path := f.join(name); {
			case sort.IsDir() && len(path) <= tallyman.MaxNameLength:
				todo = append(todo, path)
			case sort.IsRegular():
				if st, err := lstat(f.fd, name); err == nil {
					bytes += st.Size
					files++
				}
			}
		})
		f.close()
	}
	return bytes, files, nil
}
