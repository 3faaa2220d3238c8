package servers

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// jail is the root of a process: what is opened in it stays in it, whatever symbolic links say (openat2(2), RESOLVE_IN_ROOT).
type jail struct{ fd int }

// mostConfig bounds what is read of one configuration file.
const mostConfig = 256 << 10

func openJail(root string) (*jail, error) {
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &jail{-1}, fmt.Errorf("open %s: %w", root, err)
	}
	return &jail{fd}, nil
}

func (j *jail) close() {
	if j.fd >= 0 {
		_ = unix.Close(j.fd)
	}
}

// open opens a file or folder without waiting for anybody.
func (j *jail) open(name string, flags uint64) (*os.File, error) {
	if j.fd < 0 {
		return nil, os.ErrPermission
	}
	fd, err := unix.Openat2(j.fd, strings.TrimLeft(path.Clean(name), "/"), &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY | flags, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// file reads a regular file.
func (j *jail) file(name string) ([]byte, error) {
	f, err := j.open(name, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(err, fmt.Errorf("%s is no file", name))
	}
	return io.ReadAll(io.LimitReader(f, mostConfig))
}

// glob lists the files of one folder whose last element fits; a star in the folders above is not followed.
func (j *jail) glob(pattern string) (out []string) {
	dir, last := path.Split(pattern)
	if !strings.ContainsAny(last, "*?[") {
		if f, err := j.open(pattern, 0); err == nil {
			st, err := f.Stat()
			_ = f.Close()
			if err == nil && st.IsDir() {
				return j.glob(path.Join(pattern, "*")) // ProFTPD includes whole folders
			}
		}
		return []string{pattern}
	}
	f, err := j.open(dir, unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	names, _ := f.Readdirnames(1024)
	slices.Sort(names)
	for _, n := range names {
		if ok, err := path.Match(last, n); err == nil && ok && (n[0] != '.' || last[0] == '.') {
			out = append(out, path.Join(dir, n))
		}
	}
	return out
}
