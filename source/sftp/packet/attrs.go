package packet

import (
	"encoding/binary"
	"fmt"
)

// Flags of attributes (section 5).
const (
	HasSize     uint32 = 1 << 0
	HasOwner    uint32 = 1 << 1
	HasMode     uint32 = 1 << 2
	HasTimes    uint32 = 1 << 3
	HasExtended uint32 = 1 << 31
)

// Attrs are the attributes of a file. Flags say which count.
type Attrs struct {
	Flags        uint32
	Size         uint64
	UID, GID     uint32
	Mode         uint32 // type and permission bits, as in stat(2)
	ATime, MTime uint32 // seconds since 1970
	Extended     string // pairs as they came, behind their count
	Pairs        uint32
}

func (in *input) attrs() Attrs {
	a := Attrs{Flags: in.uint32()}
	if a.Flags&^(HasSize|HasOwner|HasMode|HasTimes|HasExtended) != 0 && in.err == nil {
		in.err = fmt.Errorf("attributes with the flags %#x are not of version 3", a.Flags)
	}
	if a.Flags&HasSize != 0 {
		a.Size = in.uint64()
	}
	if a.Flags&HasOwner != 0 {
		a.UID, a.GID = in.uint32(), in.uint32()
	}
	if a.Flags&HasMode != 0 {
		a.Mode = in.uint32()
	}
	if a.Flags&HasTimes != 0 {
		a.ATime, a.MTime = in.uint32(), in.uint32()
	}
	if a.Flags&HasExtended != 0 {
		a.Pairs = in.uint32()
		begin := in.left
		for range a.Pairs {
			if in.bytes(); in.err == nil {
				in.bytes()
			}
			if in.err != nil {
				return a
			}
		}
		a.Extended = string(begin[:len(begin)-len(in.left)])
	}
	return a
}

func (a *Attrs) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, a.Flags)
	if a.Flags&HasSize != 0 {
		b = binary.BigEndian.AppendUint64(b, a.Size)
	}
	if a.Flags&HasOwner != 0 {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, a.UID), a.GID)
	}
	if a.Flags&HasMode != 0 {
		b = binary.BigEndian.AppendUint32(b, a.Mode)
	}
	if a.Flags&HasTimes != 0 {
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, a.ATime), a.MTime)
	}
	if a.Flags&HasExtended != 0 {
		b = append(binary.BigEndian.AppendUint32(b, a.Pairs), a.Extended...)
	}
	return b
}
