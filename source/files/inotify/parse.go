package inotify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by what Next says of bytes that are no event.
var ErrMalformed = errors.New("malformed inotify event")

// What an event tells (inotify.h).
const (
	Access       = 0x1
	Modify       = 0x2
	CloseWrite   = 0x8
	CloseNoWrite = 0x10
	Open         = 0x20
	MovedFrom    = 0x40
	MovedTo      = 0x80
	Create       = 0x100
	Delete       = 0x200
	Overflow     = 0x4000
	Ignored      = 0x8000
	IsDir        = 0x40000000
)

// headLen is watch 4, mask 4, cookie 4, length of the name 4.
const headLen = 16

// Event is one event. The name points into the buffer.
type Event struct {
	Watch  int32
	Mask   uint32
	Cookie uint32 // the same for both halves of a rename
	Name   []byte // in the watched folder; empty: the folder itself
}

// Next takes one event off b. It returns what follows.
func Next(b []byte, e *Event) (rest []byte, err error) {
	*e = Event{}
	if len(b) < headLen {
		return nil, fmt.Errorf("%w: %d bytes for a head of %d", ErrMalformed, len(b), headLen)
	}
	n := binary.NativeEndian.Uint32(b[12:])
	if uint64(n) > uint64(len(b)-headLen) {
		return nil, fmt.Errorf("%w: a name of %d in %d bytes", ErrMalformed, n, len(b)-headLen)
	}
	e.Watch, e.Mask, e.Cookie = int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[8:])
	e.Name, _, _ = bytes.Cut(b[headLen:headLen+n], []byte{0}) // filled up with NUL
	return b[headLen+n:], nil
}
