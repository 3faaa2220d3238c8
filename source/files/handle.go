package files

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"tallyman/source/files/fanotify"
)

// identity is what a file is called whatever its name: MAJOR:MINOR:INODE:GENERATION. The generation tells a file from one that got the same inode
// after it. Of file systems whose handles we do not know it is MAJOR:MINOR:TYPE:HANDLE, both in hexadecimal.
func identity(dev uint64, h fanotify.Handle) string {
	b := make([]byte, 0, 40)
	b = append(strconv.AppendUint(b, uint64(unix.Major(dev)), 10), ':')
	b = append(strconv.AppendUint(b, uint64(unix.Minor(dev)), 10), ':')
	ino, gen, ok := apart(h.Type(), h.Bytes())
	if !ok {
		b = append(strconv.AppendUint(b, uint64(uint32(h.Type())), 16), ':')
		return string(hex.AppendEncode(b, h.Bytes()))
	}
	b = append(strconv.AppendUint(b, ino, 10), ':')
	return string(strconv.AppendUint(b, gen, 10))
}

// Types of handles (the kernel's enum fid_type).
const (
	ino32Gen = 0x01 // ext2, ext3, ext4; with 12 bytes tmpfs (mm/shmem.c)
	ino64Gen = 0x81 // xfs, f2fs on some kernels
	btrfs    = 0x4d
)

// nameless is the identity of a file whose file system gives no handles: its generation is not known.
func nameless(dev, ino uint64) string {
	return fmt.Sprintf("%d:%d:%d:?", unix.Major(dev), unix.Minor(dev), ino)
}

// identityAt names what lies at a path and was just looked at.
func identityAt(path string, st *unix.Stat_t) string {
	h, err := fanotify.HandleOf(path)
	if err != nil {
		return nameless(st.Dev, st.Ino)
	}
	return identity(st.Dev, h)
}

// apart takes inode and generation out of a handle.
func apart(kind int32, h []byte) (ino, gen uint64, ok bool) {
	word := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(h[at:])) }
	switch {
	case kind == ino32Gen && len(h) == 8:
		return word(0), word(4), true
	case kind == ino32Gen && len(h) == 12:
		return word(4) | word(8)<<32, word(0), true
	case kind == ino64Gen && len(h) == 12:
		return binary.NativeEndian.Uint64(h), word(8), true
	case kind == btrfs && len(h) == 20:
		return binary.NativeEndian.Uint64(h), word(16), true
	}
	return 0, 0, false
}
