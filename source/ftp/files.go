package ftp

import (
	"context"
	"io"
	"io/fs"
	"net/netip"
	"time"

	"tallyman"
	"tallyman/source/ftp/engine"
	"tallyman/source/ftp/listing"
)

// Info is what is told of one name.
type Info = listing.Info

// Refusal is the error of Files and Accounts that says why; any other error is an io-error.
type Refusal = engine.Refusal

// ToEnd is the offset of an upload that appends.
const ToEnd = engine.ToEnd

// Accounts says who may log in. It is called by many goroutines.
type Accounts interface {
	// Login returns the account, or an error when name or password is wrong. It may hold the answer back until ctx ends. Wrong passwords and names that
	// nobody has take the same time.
	Login(ctx context.Context, user, password string, from netip.Addr, secure bool) (Account, error)
}

// Account is somebody who is logged in. The functions may be nil.
type Account struct {
	Name    string
	Files   Files
	NoReuse bool // the data connections need not resume the TLS session of their control connection
	// Up and Down wait until the account may send, or be sent, so many bytes more. The error is that of ctx.
	Up, Down func(ctx context.Context, bytes int) error
	// Close is called when the session ends.
	Close func()
}

// Files is what an account sees, and what it may do there: what is not allowed is refused with policy. Its methods are called by many goroutines, those of a
// File or Upload by one at a time. The zero Name is the root.
type Files interface {
	Open(name tallyman.Name) (File, error)
	Create(name tallyman.Name, c Creation) (Upload, error)
	Stat(name tallyman.Name) (Info, error)
	// List tells what is in a folder, sorted by name.
	List(name tallyman.Name) ([]Info, error)
	// Available is how many bytes an upload into a folder may have by now.
	Available(dir tallyman.Name) (bytes int64, err error)
	Mkdir(name tallyman.Name) error
	Rmdir(name tallyman.Name) error
	Remove(name tallyman.Name) error
	Rename(from, to tallyman.Name) error
	SetModified(name tallyman.Name, at time.Time) error
	SetMode(name tallyman.Name, mode fs.FileMode) error
	// Path is the absolute path of a name, for records.
	Path(name tallyman.Name) string
}

// Creation says how an upload begins.
type Creation struct {
	Announced int64 // bytes, -1 when not known
	Offset    int64 // the file begins with so many bytes of the one that is there; ToEnd: all of them
	Unique    bool  // refuse a name that is taken
	Client    netip.Addr
}

// File is an open file. Its size is the one it had when it was opened.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
	Path() string
	// Handle names device and inode.
	Handle() string
	// Send hands at most n bytes from off on to a socket, without a copy in this process: what it takes at once. The error is EAGAIN when that is nothing,
	// and io.ErrUnexpectedEOF when the file became shorter.
	Send(socket int, off int64, n int) (int, error)
	// Digest is known when the same content was digested before, else "".
	Digest() tallyman.Digest
	// Unchanged looks again: false when the file was written to since it was opened. A digest of the whole content may be kept.
	Unchanged(whole tallyman.Digest) bool
}

// Upload is a file under its temporary name.
type Upload interface {
	io.Writer
	io.ReaderAt
	// Size is how many bytes it has by now.
	Size() int64
	// Path is the absolute final path.
	Path() string
	// Handle names device and inode, which stay when the file gets its name.
	Handle() string
	// Sync puts the content on stable storage.
	Sync() error
	// Commit gives the file its name.
	Commit() error
	// Abort removes it. After Commit it does nothing.
	Abort()
}

// Gate says whether an address may connect, and if not why: one sentence for the record that names the setting.
type Gate func(client netip.Addr) (ok bool, why string)
