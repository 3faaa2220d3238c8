package tree

import (
	"golang.org/x/sys/unix"

	"tallyman"
)

// Identity names the file under its temporary name; device and inode stay when it gets its final one.
func (u *Upload) Identity() Identity {
	var st unix.Stat_t
	if err := unix.Fstat(u.fd, &st); err != nil {
		return Identity{}
	}
	return identify(&st)
}

// Identify looks at a file by its absolute path, which must come from our own records, never from the network. Links are not followed.
func Identify(path string) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return Identity{}, err
	}
	return identify(&st), nil
}

// DiskSize returns the size in bytes of the file system that the root stands on.
func (t *Tree) DiskSize() (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(t.root.FD(), &st); err != nil {
		return 0, &Refusal{Reason: tallyman.IOError, Text: "the size of the disk below " + tallyman.Escape(t.Path()) + " is not known: " + err.Error(), Err: err}
	}
	return st.Blocks * uint64(st.Bsize), nil
}
