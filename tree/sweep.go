package tree

import (
	"context"
	"io/fs"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// Sweep removes the temporary files that a killed process left anywhere below the root, and says how many. It takes only regular files whose whole name is
// our pattern and which no living process holds: it may run beside uploads, of this process and of others. Links are not followed. A folder that
// cannot be read is passed over; the first such error is returned at the end, and ctx ends the walk early.
func (t *Tree) Sweep(ctx context.Context) (removed int, err error) {
	var first error
	for todo := []string{"."}; len(todo) > 0; {
		if err := ctx.Err(); err != nil {
			return removed, err
		}
		dir := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		n, below, err := t.sweepFolder(dir)
		if err != nil && first == nil && !is(err, unix.ENOENT, unix.ENOTDIR, unix.ELOOP) {
			first = t.refusal(reading, dir, err)
		}
		removed += n
		todo = append(todo, below...)
	}
	return removed, first
}

func (t *Tree) sweepFolder(dir string) (removed int, below []string, err error) {
	f, err := t.openFolder(dir, false)
	if err != nil {
		return 0, nil, err
	}
	defer f.close()
	if f.rel != dir || f.path {
		return 0, nil, unix.ELOOP
	}
	err = f.each(func(name string, sort fs.FileMode) {
		path := f.join(name)
		switch {
		case sort.IsDir() && len(path) <= tallyman.MaxNameLength:
			below = append(below, path)
		case sort.IsRegular() && reserved.IsTemporary(name) && f.sweepFile(name):
			removed++
		}
	})
	return removed, below, err
}

// sweepFile removes a temporary file that nobody holds. Whoever makes one locks it and then looks whether it still has its name.
func (f *folder) sweepFile(name string) bool {
	if f.tree.cfg.Step.Do("unlink", f.join(name)) != nil {
		return false
	}
	fd, err := unix.Openat(f.fd, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }()
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return false
	}
	return unix.Unlinkat(f.fd, name, 0) == nil
}
