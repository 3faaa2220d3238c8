// Package disk is the folder of a spool: every operation on it, and what its errors mean.
//
// Each operation asks the step first, so that a test can count it, fail it or die at it, and each sync is counted. A failed sync is marked as final (ErrSync):
// fsync(2) may report success for pages that the kernel has dropped. Nothing is tried again here but an interrupted call; what an error is followed by is the
// spool's to decide, and so is what the bytes mean. Small files are replaced as a whole, durably, and carry their sum.
package disk

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"tallyman"
)

// ErrSync marks the failure of an fsync or fdatasync, which is final.
var ErrSync = errors.New("what was written may not be on the disk")

// passing are the errors of a disk or process that is full.
var passing = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}

// Passes reports whether the error is one of being full: the same bytes may be written later.
func Passes(err error) bool {
	if errors.Is(err, ErrSync) {
		return false
	}
	for _, p := range passing {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// Folder is the folder. Dir and Step are set before its first use; its methods may be called by many goroutines.
type Folder struct {
	Dir   string
	Step  tallyman.Step
	syncs atomic.Uint64
}

// Path is the path of a name in the folder.
func (d *Folder) Path(name string) string { return filepath.Join(d.Dir, name) }

// Syncs counts the calls of fsync and fdatasync.
func (d *Folder) Syncs() uint64 { return d.syncs.Load() }

// Make makes the folder if it is missing, and its name durable.
func (d *Folder) Make() error {
	if err := d.Step.Do("mkdir", d.Dir); err != nil {
		return &os.PathError{Op: "mkdir", Path: d.Dir, Err: err}
	}
	if err := os.MkdirAll(d.Dir, 0o700); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(filepath.Clean(d.Dir)))
}

// Open opens a file, never through a symbolic link, and waits for no other end of a pipe. A new one has mode 0600.
func (d *Folder) Open(name string, flags int) (*os.File, error) {
	op := "open"
	if flags&os.O_CREATE != 0 {
		op = "create"
	}
	path := d.Path(name)
	if err := d.Step.Do(op, path); err != nil {
		return nil, &os.PathError{Op: op, Path: path, Err: err}
	}
	return os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
}

// Write writes all bytes at the offset.
func (d *Folder) Write(f *os.File, b []byte, off int64) error {
	if err := d.Step.Do("write", f.Name()); err != nil {
		return &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	_, err := f.WriteAt(b, off)
	return err
}

// Sync makes the bytes of a file durable, and its size as far as reading them needs it (fdatasync(2)).
func (d *Folder) Sync(f *os.File) error {
	d.syncs.Add(1)
	err := d.Step.Do("sync", f.Name())
	if err == nil {
		err = fdatasync(f)
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w: %w", f.Name(), ErrSync, err)
	}
	return nil
}

// SyncDir makes names in the folder durable that were made, moved or removed.
func (d *Folder) SyncDir() error { return d.syncDir(d.Dir) }

func (d *Folder) syncDir(dir string) error {
	d.syncs.Add(1)
	err := d.Step.Do("syncdir", dir)
	if err == nil {
		err = fsyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w: %w", dir, ErrSync, err)
	}
	return nil
}

// Rename gives a file another name; SyncDir makes it durable.
func (d *Folder) Rename(from, to string) error {
	if err := d.Step.Do("rename", d.Path(from)); err != nil {
		return &os.LinkError{Op: "rename", Old: d.Path(from), New: d.Path(to), Err: err}
	}
	return os.Rename(d.Path(from), d.Path(to))
}

// Remove removes a file or an empty folder; SyncDir makes it durable.
func (d *Folder) Remove(name string) error {
	if err := d.Step.Do("remove", d.Path(name)); err != nil {
		return &os.PathError{Op: "remove", Path: d.Path(name), Err: err}
	}
	return os.Remove(d.Path(name))
}

// Cut gives back the space that was reserved behind size.
func (d *Folder) Cut(f *os.File, size int64) error {
	if err := d.Step.Do("truncate", f.Name()); err != nil {
		return &os.PathError{Op: "truncate", Path: f.Name(), Err: err}
	}
	return f.Truncate(size)
}

// Reserve gives the file its full size before it is written, so that fdatasync need not store a new size each time. Where the
// file system cannot, the file grows by its writes. What a full disk gave of the space is given back: the marks need some too.
func (d *Folder) Reserve(f *os.File, size int64) {
	if d.Step.Do("reserve", f.Name()) != nil {
		return
	}
	st, err := f.Stat()
	if err != nil {
		return
	}
	if fallocate(f, size) != nil {
		_ = f.Truncate(st.Size())
	}
}

// probe reads a file through the step.
type probe struct {
	d *Folder
	f *os.File
}

func (p probe) ReadAt(b []byte, off int64) (int, error) {
	if err := p.d.Step.Do("read", p.f.Name()); err != nil {
		return 0, &os.PathError{Op: "read", Path: p.f.Name(), Err: err}
	}
	return p.f.ReadAt(b, off)
}

// Reading reads a file of the folder. Where the disk cannot read a block (EIO, twice), it gives zeros: the scan finds its way behind it.
func (d *Folder) Reading(f *os.File) io.ReaderAt { return patient{probe{d, f}} }

type patient struct{ probe }

func (p patient) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.probe.ReadAt(b, off)
	if n > 0 || err == nil || !errors.Is(err, syscall.EIO) {
		return n, err
	}
	block := b[:min(len(b), 4096-int(off%4096))]
	if n, err := p.probe.ReadAt(block, off); n > 0 || !errors.Is(err, syscall.EIO) {
		return n, err
	}
	clear(block)
	return len(block), nil
}

// Save replaces a small file as a whole: sum, space, JSON, newline. After an error or a crash the old one stands.
func (d *Folder) Save(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line := append(sumOf(text), text...)
	f, err := d.Open(name+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	err = d.Write(f, append(line, '\n'), 0)
	if err == nil {
		err = d.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.Rename(name+".tmp", name); err != nil {
		return err
	}
	return d.SyncDir()
}

// Load reads what Save wrote. It reports false for a file that is missing or damaged, and damaged for the latter.
func (d *Folder) Load(name string, v any) (ok, damaged bool) {
	f, err := d.Open(name, os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return false, false
	}
	if err != nil {
		return false, true
	}
	defer func() { _ = f.Close() }()
	b := make([]byte, 1<<20)
	n, _ := probe{d, f}.ReadAt(b, 0)
	if b = b[:n]; n < 10 || b[n-1] != '\n' || string(b[:9]) != string(sumOf(b[9:n-1])) || json.Unmarshal(b[9:n-1], v) != nil {
		return false, true
	}
	return true, false
}

func sumOf(text []byte) []byte {
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(text, crc32.MakeTable(crc32.Castagnoli)))
	return append(hex.AppendEncode(nil, sum), ' ')
}
