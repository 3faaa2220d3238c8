package fanotify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by what Next says of bytes that are no event. What follows them cannot be found.
var ErrMalformed = errors.New("malformed fanotify event")

// What an event tells, as bits (fanotify.h).
const (
	Access       = 0x1
	Modify       = 0x2
	Attrib       = 0x4
	CloseWrite   = 0x8
	CloseNoWrite = 0x10
	Open         = 0x20
	Create       = 0x100
	Delete       = 0x200
	OpenExec     = 0x1000
	Overflow     = 0x4000
	Rename       = 0x10000000
	OnDir        = 0x40000000
)

// The layout of fanotify(7): a head of 24 bytes, then records that begin with type and length.
const (
	version  = 3
	headLen  = 24
	infoHead = 4
	fidHead  = 20 // infoHead, fsid 8, handle length 4, handle type 4

	infoFID     = 1
	infoDirName = 2
	infoDir     = 3
	infoOldName = 10
	infoNewName = 12
)

// Handle is a file handle as the event holds it: file system id, length, type and handle of name_to_handle_at(2), in one piece, so that it serves as
// a key. It is valid until the buffer is used again.
type Handle []byte

// FSID is the id of the file system, as statfs(2) gives it.
func (h Handle) FSID() uint64 { return binary.NativeEndian.Uint64(h) }

// Type is the type of the handle, which is the file system's own affair.
func (h Handle) Type() int32 { return int32(binary.NativeEndian.Uint32(h[12:])) }

// Bytes is the handle itself.
func (h Handle) Bytes() []byte { return h[fidHead-infoHead:] }

// MakeHandle puts the parts together as an event holds them.
func MakeHandle(fsid uint64, kind int32, handle []byte) Handle {
	h := binary.NativeEndian.AppendUint64(make([]byte, 0, fidHead-infoHead+len(handle)), fsid)
	h = binary.NativeEndian.AppendUint32(h, uint32(len(handle)))
	h = binary.NativeEndian.AppendUint32(h, uint32(kind))
	return append(h, handle...)
}

// Entry is a name in a folder. The name is empty where the event has none.
type Entry struct {
	Dir  Handle
	Name []byte
}

// Event is one event. The slices point into the buffer.
type Event struct {
	Mask uint64
	PID  int32  // of the process; 0 if it is outside our pid namespace
	At   Entry  // where it happened; of a folder itself the name is "."
	From Entry  // of a rename: the old name
	To   Entry  // of a rename: the new name
	File Handle // the file or folder itself; nil if not told
}

// Next takes one event off b. It returns what follows.
func Next(b []byte, e *Event) (rest []byte, err error) {
	*e = Event{}
	if len(b) < headLen {
		return nil, fmt.Errorf("%w: %d bytes for a head of %d", ErrMalformed, len(b), headLen)
	}
	n, head := int(binary.NativeEndian.Uint32(b)), int(binary.NativeEndian.Uint16(b[6:]))
	if b[4] != version {
		return nil, fmt.Errorf("%w: version %d, not %d", ErrMalformed, b[4], version)
	}
	if head < headLen || n < head || n > len(b) {
		return nil, fmt.Errorf("%w: head of %d in an event of %d in %d bytes", ErrMalformed, head, n, len(b))
	}
	e.Mask = binary.NativeEndian.Uint64(b[8:])
	e.PID = int32(binary.NativeEndian.Uint32(b[20:]))
	for info := b[head:n]; len(info) > 0; {
		if len(info) < infoHead {
			return nil, fmt.Errorf("%w: %d bytes after the last record", ErrMalformed, len(info))
		}
		size := int(binary.NativeEndian.Uint16(info[2:]))
		if size < infoHead || size > len(info) {
			return nil, fmt.Errorf("%w: a record of %d in %d bytes", ErrMalformed, size, len(info))
		}
		if err := e.take(info[0], info[:size]); err != nil {
			return nil, err
		}
		info = info[size:]
	}
	return b[n:], nil
}

// take reads one record. Types that were not asked for are passed over.
func (e *Event) take(kind byte, b []byte) error {
	var to *Entry
	switch kind {
	case infoFID:
	case infoDirName, infoDir:
		to = &e.At
	case infoOldName:
		to = &e.From
	case infoNewName:
		to = &e.To
	default:
		return nil
	}
	if len(b) < fidHead {
		return fmt.Errorf("%w: a handle in %d bytes", ErrMalformed, len(b))
	}
	n := binary.NativeEndian.Uint32(b[12:])
	if uint64(n) > uint64(len(b)-fidHead) {
		return fmt.Errorf("%w: a handle of %d in %d bytes", ErrMalformed, n, len(b)-fidHead)
	}
	h := Handle(b[infoHead : fidHead+n])
	if to == nil {
		e.File = h
		return nil
	}
	name, _, ended := bytes.Cut(b[fidHead+n:], []byte{0}) // filled up with NUL to four bytes
	if !ended && kind != infoDir {
		return fmt.Errorf("%w: a name without end", ErrMalformed)
	}
	to.Dir, to.Name = h, name
	return nil
}
