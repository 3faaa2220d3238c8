package tftp

import (
	"io"
	"net/netip"

	"tallyman"
)

// Files is the served tree. Its methods are called by one goroutine, those of
// a File or an Upload by one goroutine at a time. An error that is not a
// *Refusal is an io-error.
type Files interface {
	// Open opens a regular file that everybody may read. It must not wait for anything but the disk.
	Open(name tallyman.Name) (File, error)
	// Create begins an upload of a client. announced is the size it will have, -1 when it is not known; a size that can
	// not be stored is refused here, before the first byte.
	Create(name tallyman.Name, announced int64, client netip.Addr) (Upload, error)
}

// File is an open file. Its size is the one it had when it was opened.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
	// Path is absolute. Handle names device, inode and generation.
	Path() string
	Handle() string
	// Digest is known when the same content was digested before, else "".
	Digest() tallyman.Digest
	// Unchanged looks again: it is false when the file was written to since it was opened. A digest of the whole
	// content, if there is one, may be kept for the next reader.
	Unchanged(whole tallyman.Digest) bool
}

// Upload is a file under its temporary name.
type Upload interface {
	io.Writer
	// Path is the absolute final path. Handle names device and inode, which stay when the file gets its final name: a program that
	// starts again finds out by it whether the upload had come that far.
	Path() string
	Handle() string
	// Commit syncs the file and gives it its final name.
	Commit() error
	// Abort removes it and what Commit may have left. After a successful Commit it does nothing.
	Abort()
}

// Refusal is the error of Files that says why a file is not served or not taken.
type Refusal struct {
	Reason tallyman.Reason // not-found not-readable not-writable exists bad-request policy quota disk-full io-error
	Text   string          // one line for the record; it never goes onto the wire
}

// Error returns the text.
func (r *Refusal) Error() string { return r.Text }

// Gate says whether an address may ask, and if not why: one sentence for the
// record that names the setting. silent leaves the client without an answer.
type Gate func(client netip.Addr) (ok bool, why string, silent bool)
