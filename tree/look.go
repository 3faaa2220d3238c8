package tree

import "golang.org/x/sys/unix"

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); !is(err, unix.EINTR) {
			return err
		}
	}
}

func sameFile(a, b *unix.Stat_t) bool { return a.Dev == b.Dev && a.Ino == b.Ino }

// lstat looks at a name in an open folder without following it.
func lstat(dir int, name string) (unix.Stat_t, error) {
	var st unix.Stat_t
	err := again(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return st, err
}

// sortOf says what sort of thing a mode is, for sentences: "a folder".
func sortOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFDIR:
		return "a folder"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	default:
		return "a device"
	}
}
