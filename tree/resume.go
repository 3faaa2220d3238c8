package tree

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"tallyman"
)

// copyAtOnce bounds one call of copy_file_range(2), so that a step is asked now and then.
const copyAtOnce = 64 << 20

// resume fills the temporary file with the beginning of the file that stands under the final name, which stays as it is. Where the file system can, the
// two share their blocks (copy_file_range(2)).
func (u *Upload) resume() error {
	if u.opt.Resume == 0 {
		return nil
	}
	old, err := u.tree.openFile(u.real)
	if is(err, unix.ENOENT) && u.opt.Resume == ToEnd {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = old.Close() }() // it was only read
	u.resumed = old.Identity()
	want := u.opt.Resume
	switch {
	case want == ToEnd:
		want = old.Size()
	case want > old.Size():
		return refuse(tallyman.BadRequest, "%s has %d bytes and cannot be resumed at %d: send it from the start", u.shown(), old.Size(), want)
	}
	if u.opt.MaxSize > 0 && want > u.opt.MaxSize {
		return u.tooLarge(want)
	}
	if err := u.space(want); err != nil {
		return err
	}
	for u.size < want {
		n, err := u.copyFrom(old, want-u.size)
		if err != nil {
			return err
		}
		u.size += n
	}
	return nil
}

func (u *Upload) copyFrom(old *File, most int64) (int64, error) {
	n := 0
	err := u.tree.do("copy", u.path, func() (err error) {
		off := u.size
		n, err = unix.CopyFileRange(int(old.fd.Load()), &off, u.fd, nil, int(min(most, copyAtOnce)), 0)
		return err
	})
	switch {
	case err == nil && n > 0:
		return int64(n), nil
	case err == nil:
		return 0, io.ErrUnexpectedEOF
	case !is(err, unix.ENOSYS, unix.EXDEV, unix.EINVAL, unix.EOPNOTSUPP):
		return 0, err
	}
	// copy_file_range(2): not every file system knows it.
	buf := make([]byte, min(most, spaceEvery))
	n, err = old.ReadAt(buf, u.size)
	if err != nil && (!errors.Is(err, io.EOF) || n == 0) {
		return 0, err
	}
	if _, err := unix.Write(u.fd, buf[:n]); err != nil {
		return 0, err
	}
	return int64(n), nil
}

// ReadAt reads what was written so far; whoever digests a resumed file needs its beginning.
func (u *Upload) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	err := u.tree.do("read", u.path, func() (err error) {
		n, err = unix.Pread(u.fd, p, off)
		return err
	})
	switch {
	case err != nil:
		return max(n, 0), u.tree.refusal(writing, u.real, err)
	case n < len(p):
		return n, io.EOF
	}
	return n, nil
}
