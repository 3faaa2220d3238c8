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
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	shown := tallyman.Escape(t.abs(path))
	r := &Refusal{Reason: tallyman.IOError, Err: err, Text: fmt.Sprintf("%s: %v", shown, err)}
	switch {
	case is(err, unix.ENOENT, unix.ENOTDIR):
		r.Reason, r.Text = tallyman.NotFound, shown+" does not exist"
		if a == writing {
			r.Text = "the folder of " + shown + " does not exist: make it with mkdir"
		}
	case is(err, unix.ELOOP, unix.EXDEV):
		// openat2(2): EXDEV is an escape from the root, ELOOP a magic link or too many links.
		r.Reason, r.Text = denied(a), shown+" leads out of the served root by a symbolic link: put the file itself there, or a relative link that stays inside"
	case is(err, unix.EACCES, unix.EPERM):
		r.Reason = denied(a)
		if a == reading {
			r.Text = shown + " may not be read by this process: chmod o+r it, and chmod o+x its folders"
		} else {
			r.Text = "the folder of " + shown + " may not be written by this process: chown it to the serving user"
		}
	case is(err, unix.EROFS):
		r.Reason, r.Text = tallyman.NotWritable, shown+" lies on a read-only file system: remount it rw (a disk error may have made it so: see dmesg)"
	case is(err, unix.ENAMETOOLONG, unix.EINVAL, unix.EILSEQ):
		r.Reason, r.Text = tallyman.BadRequest, fmt.Sprintf("the file system cannot hold the name %s: %v", shown, err)
	case is(err, unix.ENOSPC):
		r.Reason, r.Text = tallyman.DiskFull, "no space (or no inode) left for "+shown+": free some, see df and df -i"
	case is(err, unix.EDQUOT):
		r.Reason, r.Text = tallyman.DiskFull, "the disk quota of the serving user is used up at "+shown+": see quota"
	case is(err, unix.EFBIG):
		r.Reason, r.Text = tallyman.Quota, shown+" grew larger than the file system or ulimit -f allows"
	case is(err, unix.EMFILE, unix.ENFILE):
		r.Text = shown + ": too many open files: raise LimitNOFILE or ulimit -n"
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
