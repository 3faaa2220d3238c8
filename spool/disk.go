package spool

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"tallyman"
)

// errSync marks the failure of an fsync or fdatasync, which is final.
var errSync = errors.New("what was written may not be on the disk")

// passing are the errors of a disk or process that is full: the same bytes may be written later. All others poison the spool.
var passing = []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}

func passes(err error) bool {
	if errors.Is(err, errSync) {
		return false
	}
	for _, p := range passing {
		if errors.Is(err, p) {
			return true
		}
	}
	return false
}

// disk is the folder. Every operation asks the step first.
type disk struct {
	dir   string
	step  tallyman.Step
	syncs atomic.Uint64
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *disk) open(name string, flags int) (*os.File, error) {
	op := "open"
	if flags&os.O_CREATE != 0 {
		op = "create"
	}
	path := d.path(name)
	if err := d.step.Do(op, path); err != nil {
		return nil, &os.PathError{Op: op, Path: path, Err: err}
	}
	return os.OpenFile(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
}

func (d *disk) write(f *os.File, b []byte, off int64) error {
	if err := d.step.Do("write", f.Name()); err != nil {
		return &os.PathError{Op: "write", Path: f.Name(), Err: err}
	}
	_, err := f.WriteAt(b, off)
	return err
}

// sync makes the bytes of a file durable, and its size as far as reading them needs it (fdatasync(2)).
func (d *disk) sync(f *os.File) error {
	d.syncs.Add(1)
	err := d.step.Do("sync", f.Name())
	if err == nil {
		err = fdatasync(f)
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w: %w", f.Name(), errSync, err)
	}
	return nil
}

// syncDir makes names durable that were made, moved or removed.
func (d *disk) syncDir(dir string) error {
	d.syncs.Add(1)
	err := d.step.Do("syncdir", dir)
	if err == nil {
		err = fsyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w: %w", dir, errSync, err)
	}
	return nil
}

func (d *disk) rename(from, to string) error {
	if err := d.step.Do("rename", d.path(from)); err != nil {
		return &os.LinkError{Op: "rename", Old: d.path(from), New: d.path(to), Err: err}
	}
	return os.Rename(d.path(from), d.path(to))
}

func (d *disk) remove(name string) error {
	if err := d.step.Do("remove", d.path(name)); err != nil {
		return &os.PathError{Op: "remove", Path: d.path(name), Err: err}
	}
	return os.Remove(d.path(name))
}

// cut gives back the space that was reserved behind size.
func (d *disk) cut(f *os.File, size int64) error {
	if err := d.step.Do("truncate", f.Name()); err != nil {
		return &os.PathError{Op: "truncate", Path: f.Name(), Err: err}
	}
	return f.Truncate(size)
}

// reserve gives the file its full size before it is written, so that fdatasync need not store a new size each time. Where the
// file system cannot, the file grows by its writes.
func (d *disk) reserve(f *os.File, size int64) {
	if d.step.Do("reserve", f.Name()) == nil {
		_ = fallocate(f, size)
	}
}

// probe reads a file through the step.
type probe struct {
	d *disk
	f *os.File
}

func (p probe) ReadAt(b []byte, off int64) (int, error) {
	if err := p.d.step.Do("read", p.f.Name()); err != nil {
		return 0, &os.PathError{Op: "read", Path: p.f.Name(), Err: err}
	}
	return p.f.ReadAt(b, off)
}

// patient reads like the probe, and puts zeros where the disk cannot read a block: the scan finds its way behind it.
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

// save replaces a small file as a whole: sum, space, JSON, newline. After an error or a crash the old one stands.
func (d *disk) save(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line := append(sumOf(text), text...)
	f, err := d.open(name+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY)
	if err != nil {
		return err
	}
	err = d.write(f, append(line, '\n'), 0)
	if err == nil {
		err = d.sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.rename(name+".tmp", name); err != nil {
		return err
	}
	return d.syncDir(d.dir)
}

// load reads what save wrote. It reports false for a file that is missing or damaged, and damaged for the latter.
func (d *disk) load(name string, v any) (ok, damaged bool) {
	f, err := d.open(name, os.O_RDONLY)
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
	sum := binary.BigEndian.AppendUint32(nil, crc32.Checksum(text, castagnoli))
	return append(hex.AppendEncode(nil, sum), ' ')
}
