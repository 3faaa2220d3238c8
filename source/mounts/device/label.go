package device

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf16"

	"golang.org/x/sys/unix"
)

// marks is what a superblock says.
type marks struct{ label, uuid string }

// readFor bounds how long a device may take to say its label: a broken stick hangs.
const readFor = 250 * time.Millisecond

// superblock reads label and UUID from the block device itself, where no udev has done it. That does not keep it from being unmounted.
func (f *Finder) superblock(node string) (m marks, found bool) {
	name := ""
	for l := range strings.Lines(read(filepath.Join(node, "uevent"))) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "DEVNAME="); ok {
			name = v
		}
	}
	if name == "" || strings.Contains(name, "..") {
		return m, false
	}
	fd, err := unix.Open(filepath.Join(f.Dev, name), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return m, false // not root, or gone
	}
	answer := make(chan marks, 1)
	file := os.NewFile(uintptr(fd), name)
	go func() {
		defer func() { _ = file.Close() }()
		m, ok := marksIn(file)
		if ok {
			answer <- m
		}
		close(answer)
	}()
	late := time.NewTimer(readFor)
	defer late.Stop()
	select {
	case m, found = <-answer:
		return m, found
	case <-late.C:
		return m, false
	}
}

// numberOf returns the number of a device node.
func numberOf(path string) (major, minor uint32, ok bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return 0, 0, false
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), true
}

// marksIn knows the superblocks of ext2/3/4, XFS, Btrfs, F2FS, FAT, NTFS, exFAT and ISO 9660 (util-linux: libblkid/src/superblocks). Of exFAT and NTFS it reads
// the serial number alone: their label is a file.
func marksIn(r io.ReaderAt) (m marks, ok bool) {
	at := func(offset int64, n int) []byte {
		b := make([]byte, n)
		if _, err := r.ReadAt(b, offset); err != nil {
			return nil
		}
		return b
	}
	boot := at(0, 512)
	if boot == nil {
		return m, false
	}
	if string(boot[:4]) == "XFSB" {
		return marks{text(boot[108:120]), dashed(boot[32:48])}, true
	}
	if b := at(1024, 2048); b != nil {
		switch {
		case binary.LittleEndian.Uint16(b[0x38:]) == 0xEF53:
			return marks{text(b[0x78:0x88]), dashed(b[0x68:0x78])}, true
		case binary.LittleEndian.Uint32(b) == 0xF2F52010:
			return marks{wide(b[0x7c : 0x7c+1024]), dashed(b[0x6c:0x7c])}, true
		}
	}
	if b := at(65536, 1024); b != nil && string(b[0x40:0x48]) == "_BHRfS_M" {
		return marks{text(b[0x12b:0x22b]), dashed(b[0x20:0x30])}, true
	}
	if b := at(32768, 128); b != nil && string(b[1:6]) == "CD001" {
		return marks{text(b[40:72]), ""}, true
	}
	switch {
	case string(boot[3:11]) == "EXFAT   ":
		return marks{"", serial(boot[100:104])}, true
	case string(boot[3:11]) == "NTFS    ":
		b := []byte{boot[0x4f], boot[0x4e], boot[0x4d], boot[0x4c], boot[0x4b], boot[0x4a], boot[0x49], boot[0x48]}
		return marks{"", strings.ToUpper(hex.EncodeToString(b))}, true
	case boot[510] != 0x55 || boot[511] != 0xAA:
	case string(boot[82:87]) == "FAT32":
		return marks{named(boot[71:82]), serial(boot[67:71])}, true
	case string(boot[54:57]) == "FAT":
		return marks{named(boot[43:54]), serial(boot[39:43])}, true
	}
	return m, false
}

// text is a name that ends at a NUL or is padded with spaces.
func text(b []byte) string {
	s, _, _ := strings.Cut(string(b), "\x00")
	return strings.ToValidUTF8(strings.TrimSpace(s), "\uFFFD")
}

// named is the label of a FAT: mkfs writes NO NAME for none.
func named(b []byte) string {
	if s := text(b); s != "NO NAME" {
		return s
	}
	return ""
}

func wide(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return strings.TrimSpace(string(utf16.Decode(u)))
}

func dashed(b []byte) string {
	h := hex.EncodeToString(b)
	if strings.Trim(h, "0") == "" {
		return ""
	}
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// serial is the number of a FAT, as 1A2B-3C4D.
func serial(b []byte) string {
	h := strings.ToUpper(hex.EncodeToString([]byte{b[3], b[2], b[1], b[0]}))
	return h[:4] + "-" + h[4:]
}
