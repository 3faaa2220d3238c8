package tree

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"tallyman"
)

// Refusal is the error of this package: why a file is not served or not taken. The text is one escaped line for people, with a remedy where
// one is known; it names absolute paths and is not meant for the wire.
type Refusal struct {
	Reason tallyman.Reason // not-found not-readable not-writable exists bad-request quota disk-full io-error
	Text   string
	Err    error // what the system said, if it said anything
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Unwrap returns what the system said.
func (r *Refusal) Unwrap() error { return r.Err }

// ReasonOf returns the reason of an error of this package; io-error for one that carries none.
func ReasonOf(err error) tallyman.Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return tallyman.IOError
}

func refuse(reason tallyman.Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// act is what was tried: it decides what a permission error means.
type act uint8

const (
	reading act = iota
	writing
)

// refusal turns what the system said into a Refusal. path is relative to the root. A Refusal passes through.
func (t *Tree) refusal(a act, path string, err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	shown := tallyman.Escape(t.abs(path))
	r = &Refusal{Reason: tallyman.IOError, Err: err, Text: fmt.Sprintf("%s: %v", shown, err)}
	switch {
	case is(err, unix.ENOENT, unix.ENOTDIR):
		r.Reason, r.Text = tallyman.NotFound, shown+" does not exist"
		if a == writing {
			r.Text = fmt.Sprintf("the folder of %s does not exist: make it with mkdir", shown)
		}
	case is(err, unix.ELOOP, unix.EXDEV):
		// openat2(2): EXDEV is an escape from the root, ELOOP a magic link or too many links.
		r.Reason, r.Text = denied(a), shown+" leads out of the served root by a symbolic link: put the file itself there, or a relative link that stays inside"
	case is(err, unix.EACCES, unix.EPERM):
		r.Reason = denied(a)
		if a == reading {
			r.Text = fmt.Sprintf("%s may not be read by this process: chmod o+r it, and chmod o+x its folders", shown)
		} else {
			r.Text = fmt.Sprintf("the folder of %s may not be written by this process: chown it to the serving user", shown)
		}
	case is(err, unix.EROFS):
		r.Reason, r.Text = tallyman.NotWritable, fmt.Sprintf("%s lies on a read-only file system: remount it rw (a disk error may have made it so: see dmesg)", shown)
	case is(err, unix.ENAMETOOLONG, unix.EINVAL, unix.EILSEQ):
		r.Reason, r.Text = tallyman.BadRequest, fmt.Sprintf("the file system cannot hold the name %s: %v", shown, err)
	case is(err, unix.ENOSPC):
		r.Reason, r.Text = tallyman.DiskFull, fmt.Sprintf("no space (or no inode) left for %s: free some, see df and df -i", shown)
	case is(err, unix.EDQUOT):
		r.Reason, r.Text = tallyman.DiskFull, fmt.Sprintf("the disk quota of the serving user is used up at %s: see quota", shown)
	case is(err, unix.EFBIG):
		r.Reason, r.Text = tallyman.Quota, fmt.Sprintf("%s grew larger than the file system or ulimit -f allows", shown)
	case is(err, unix.EMFILE, unix.ENFILE):
		r.Text = fmt.Sprintf("%s: too many open files: raise LimitNOFILE or ulimit -n", shown)
	}
	return r
}

func denied(a act) tallyman.Reason {
	if a == writing {
		return tallyman.NotWritable
	}
	return tallyman.NotReadable
}

func is(err error, any ...unix.Errno) bool {
	for _, e := range any {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
