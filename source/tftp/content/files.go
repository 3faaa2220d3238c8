// Package content is what goes out of files and into them, between the served
// tree and the machines that count blocks:
//
//	File ──> Reading: wire bytes at any position, each file byte digested once
//	Writing <── payloads in order ──> chunks ──> Workers ──> Upload: write, sync, rename, record
//
// It promises that a Reading holds no buffer (in netascii: what is not
// acknowledged), that there is a digest only of a whole content that did not
// change meanwhile, that an Upload is worked on by one worker at a time and in
// order, and that a stored upload has its closing evidence on stable storage
// before anybody is told (promise 1 of the design). Nothing here waits for a disk
// but Reading.Load and the workers. Names, policies and temporary
// files it leaves to Files.
package content

import (
	"errors"
	"io"
	"net/netip"
	"strings"

	"tallyman"
)

// Files is the served tree. Its methods are called by one goroutine, those of
// an Upload by one goroutine at a time. An error that is not a
// *Refusal is an io-error.
type Files interface {
	// Open opens a regular file that everybody may read. It must not wait for anything but the disk.
	Open(name tallyman.Name) (File, error)
	// Create begins an upload of a client. announced is the size it will have, -1 when it is not known; a size that can
	// not be stored is refused here, before the first byte.
	Create(name tallyman.Name, announced int64, client netip.Addr) (Upload, error)
}

// File is an open file. Its size is the one it had when it was opened. Several
// goroutines may read it.
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

// TrimName takes off what boot ROMs append to names: 0xFF and control bytes.
func TrimName(raw string) string {
	return strings.TrimRightFunc(raw, func(r rune) bool { return r < 0x20 || r == 0x7f || r == '\uFFFD' })
}

// RefusalOf makes a Refusal of any error.
func RefusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return &Refusal{Reason: tallyman.IOError, Text: err.Error()}
}
