package tree

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree/reserved"
)

// Mode says what happens to a file that an upload finds under its name.
type Mode uint8

// The modes. Keep is the default.
const (
	Keep      Mode = iota // the old version moves to .kept
	Create                // the upload is refused: exists
	Overwrite             // the old version goes
)

// UploadOptions bound one upload. Zero means no bound.
type UploadOptions struct {
	Mode      Mode
	MaxSize   int64 // bytes of the file
	MinFree   int64 // bytes that must stay free on the file system
	Announced int64 // bytes that the client says it will send; 0 or less: not said
	Resume    int64 // the file begins with so many bytes of the one that stands there; ToEnd means all of them
}

// ToEnd of UploadOptions.Resume appends.
const ToEnd int64 = -1

const (
	tempTries  = 16
	spaceEvery = 1 << 20 // bytes between two looks at the free space
)

// Upload is a file that is being written under a temporary name in the folder where it will stand. One goroutine uses it. Exactly one of Commit
// and Abort ends it; Abort after Commit does nothing, so that it may be deferred.
type Upload struct {
	tree *Tree
	opt  UploadOptions
	name tallyman.Name
	dir  *folder
	real string // relative to the root, without links
	base string
	temp string // "" before it is made and when the name is given up
	path string // of temp, relative to the root
	fd   int
	size int64
	next int64 // size at which free space is looked at again
	done bool

	published bool  // the final name is ours
	gone      int64 // bytes of what was replaced and not kept, -1 = none
	mode      fs.FileMode
	modified  time.Time
	resumed   Identity
}

// Stored says what a Commit has done.
type Stored struct {
	Path string // absolute, all links resolved
	Size int64
	Kept string // absolute path of the version that was replaced; "" if there was none or it was not kept
	Gone int64  // bytes of the version that was replaced and not kept; -1 if there was none
}

// Create begins an upload. Before the first byte it refuses what cannot end well: a name that is taken (mode Create), a folder that does not exist, a name that
// is a link, folder or device, an announced size above MaxSize or above what may be used of the disk. The error is a *Refusal: exists, not-found,
// not-writable, quota, disk-full, bad-request, io-error.
func (t *Tree) Create(name tallyman.Name, opt UploadOptions) (*Upload, error) {
	path := name.Path()
	if path == "" {
		return nil, refuse(tallyman.BadRequest, "the name is empty")
	}
	if reserved.In(path) {
		return nil, refuse(tallyman.NotWritable, "%s is reserved for kept versions and unfinished uploads: choose another name", tallyman.Escape(t.abs(path)))
	}
	dir, err := t.openFolder(name.Dir(), t.cfg.MakeDirs)
	if err != nil {
		return nil, t.refusal(writing, path, err)
	}
	u := &Upload{tree: t, opt: opt, name: name, dir: dir, base: name.Base(), real: dir.join(name.Base()), fd: -1, gone: -1}
	if err := u.begin(); err != nil {
		u.discard()
		return nil, t.refusal(writing, path, err)
	}
	return u, nil
}

func (u *Upload) begin() error {
	if reserved.In(u.real) {
		return refuse(tallyman.NotWritable, "%s leads to a reserved name: choose another", u.shown())
	}
	if _, _, err := u.old(); err != nil {
		return err
	}
	if u.opt.MaxSize > 0 && u.opt.Announced > u.opt.MaxSize {
		return u.tooLarge(u.opt.Announced)
	}
	if err := u.space(max(u.opt.Announced, 0)); err != nil {
		return err
	}
	if err := u.makeTemp(); err != nil {
		return err
	}
	return u.resume()
}

// old looks at what stands under the final name, and refuses what an upload may not replace.
func (u *Upload) old() (st unix.Stat_t, exists bool, err error) {
	err = u.tree.do("stat", u.real, func() (err error) {
		st, err = lstat(u.dir.fd, u.base)
		return err
	})
	switch {
	case is(err, unix.ENOENT):
		return st, false, nil
	case err != nil:
		return st, false, err
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return st, true, refuse(tallyman.NotWritable, "%s is %s: only a regular file is replaced", u.shown(), sortOf(st.Mode))
	case u.opt.Mode == Create:
		return st, true, u.exists()
	}
	return st, true, nil
}

func (u *Upload) exists() *Refusal {
	return refuse(tallyman.Exists, "%s exists, and the mode is create: choose another name, or set write: keep", u.shown())
}

func (u *Upload) tooLarge(size int64) *Refusal {
	return refuse(tallyman.Quota, "%s: %s is above max_size %s", u.shown(), bytes(size), bytes(u.opt.MaxSize))
}

// space refuses when, with more bytes, less than MinFree would be left.
func (u *Upload) space(more int64) error {
	var st unix.Statfs_t
	if err := u.tree.do("statfs", u.real, func() error { return unix.Fstatfs(u.dir.fd, &st) }); err != nil {
		return err
	}
	if st.Blocks == 0 { // statfs(2): a file system without figures, as many of FUSE
		return nil
	}
	// f_bavail is what an unprivileged user may take.
	free := int64(min(st.Bavail, uint64(1)<<62/uint64(max(st.Bsize, 1)))) * st.Bsize
	if more > 0 && more > free-u.opt.MinFree || free < u.opt.MinFree {
		return refuse(tallyman.DiskFull, "%s: %s free, %s announced, and min_free keeps %s: free some space or lower min_free",
			u.shown(), bytes(free), bytes(more), bytes(u.opt.MinFree))
	}
	return nil
}

// makeTemp makes the temporary file and locks it: Sweep takes only what nobody holds. A file that a Sweep took before it was locked has no link left.
func (u *Upload) makeTemp() error {
	for range tempTries {
		var draw [8]byte
		_, _ = rand.Read(draw[:]) // never fails (crypto/rand)
		temp := reserved.Temporary(draw)
		err := u.tree.do("create", u.dir.join(temp), func() (err error) {
			const flags = unix.O_RDWR | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_LARGEFILE
			u.fd, err = unix.Openat(u.dir.fd, temp, flags, 0o600)
			return err
		})
		if is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return err
		}
		u.temp, u.path = temp, u.dir.join(temp)
		var st unix.Stat_t
		err = unix.Flock(u.fd, unix.LOCK_EX|unix.LOCK_NB)
		if !is(err, unix.EWOULDBLOCK) && unix.Fstat(u.fd, &st) == nil && st.Nlink > 0 {
			return nil // flock(2): a file system without locks says ENOLCK or EOPNOTSUPP; Sweep leaves such files alone
		}
		_ = unix.Close(u.fd)
		u.fd, u.temp = -1, ""
	}
	return errors.New("no temporary name could be had")
}

// Size returns the bytes of the file so far, with those that were there before.
func (u *Upload) Size() int64 { return u.size }

// Path returns the absolute path under which the file will stand.
func (u *Upload) Path() string { return u.tree.abs(u.real) }

func (u *Upload) shown() string { return tallyman.Escape(u.Path()) }

// Write appends; each call is one system call. After an error, a *Refusal (quota, disk-full, not-writable, io-error), the upload can only be aborted.
func (u *Upload) Write(p []byte) (int, error) {
	if u.done {
		return 0, os.ErrClosed
	}
	n, err := u.write(p)
	if err != nil {
		return n, u.tree.refusal(writing, u.real, err)
	}
	return n, nil
}

func (u *Upload) write(p []byte) (int, error) {
	if err := u.room(u.size + int64(len(p))); err != nil {
		return 0, err
	}
	if err := u.tree.cfg.Step.Do("write", u.path); err != nil {
		return 0, err
	}
	for n := 0; n < len(p); {
		m, err := unix.Write(u.fd, p[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return n, err
		}
		n += m
		u.size += int64(m)
	}
	return len(p), nil
}

// Commit makes the upload durable and gives it its name. When it returns nil the file, its name and the kept old version are on stable
// storage. After an error, a *Refusal, nothing is left of the upload and the old file stands, with one exception that the text names: the
// file has its name, but a folder could not be synced.
func (u *Upload) Commit() (Stored, error) {
	if u.done {
		return Stored{}, os.ErrClosed
	}
	defer u.discard()
	kept, err := u.commit()
	if err != nil {
		return Stored{}, u.tree.refusal(writing, u.real, err)
	}
	return Stored{Path: u.Path(), Size: u.size, Kept: kept, Gone: u.gone}, nil
}

func (u *Upload) commit() (kept string, err error) {
	if err := u.seal(); err != nil {
		return "", err
	}
	if err := u.dir.stillThere(); err != nil {
		return "", err
	}
	kept, err = u.publish()
	if err == nil {
		err = u.dir.sync(u.fd)
	}
	if err != nil && u.published {
		r := u.tree.refusal(writing, u.real, err)
		return "", &Refusal{Reason: r.Reason, Err: err, Text: fmt.Sprintf("%s is stored, but the disk did not confirm it: a power cut may undo it, or lose what it replaced: %v", u.shown(), err)}
	}
	return kept, err
}

// seal gives the temporary file its owner and mode and puts its content on stable storage. After fsync has said EIO it may say nothing the
// second time (fsync(2)): it is not asked again.
func (u *Upload) seal() error {
	t, path := u.tree, u.path
	if t.chowns() {
		if err := t.do("chown", path, func() error { return unix.Fchown(u.fd, t.cfg.UID, t.cfg.GID) }); err != nil {
			return err
		}
	}
	if err := t.do("chmod", path, func() error { return unix.Fchmod(u.fd, uint32(u.Mode())) }); err != nil {
		return err
	}
	if err := u.stamp(); err != nil {
		return err
	}
	return t.do("sync", path, func() error { return unix.Fsync(u.fd) })
}

// Abort ends the upload and leaves nothing of it.
func (u *Upload) Abort() { u.discard() }

func (u *Upload) discard() {
	if u.done {
		return
	}
	u.done = true
	if u.temp != "" {
		_ = u.tree.do("unlink", u.path, func() error { return unix.Unlinkat(u.dir.fd, u.temp, 0) })
	}
	if u.fd >= 0 {
		_ = unix.Close(u.fd)
	}
	u.dir.close()
}

func bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", f), ".0") + " " + units[i:i+1] + "iB"
}
