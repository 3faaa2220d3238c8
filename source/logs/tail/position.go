package tail

import (
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"syscall"
)

// Position is a place in a file: what stands before it has been delivered. Head is a hash of the first HeadLen bytes: an inode is used again.
type Position struct {
	Dev     uint64 `json:"dev"`
	Ino     uint64 `json:"ino"`
	Offset  int64  `json:"offset"`
	HeadLen int64  `json:"head_len"`
	Head    uint64 `json:"head"`
	Mod     int64  `json:"mod"` // when what was read was written, in nanoseconds
}

// headMost is how many bytes at the start of a file tell it from another.
const headMost = 512

// describe takes a file that was opened just now.
func describe(f *os.File) (*open, error) {
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("look at %s: %w", f.Name(), err)
	}
	o := &open{file: f, info: info}
	o.Dev, o.Ino = identity(info)
	return o, nil
}

func identity(info os.FileInfo) (dev, ino uint64) {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Dev, s.Ino
	}
	return 0, 0
}

// headOf hashes the first n bytes; false if the file has not so many.
func headOf(f io.ReaderAt, n int64) (uint64, bool) {
	var buf [headMost]byte
	if m, err := f.ReadAt(buf[:n], 0); int64(m) < n || err != nil && err != io.EOF {
		return 0, false
	}
	return sum(buf[:n]), true
}

func sum(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b)
	return h.Sum64()
}

// holds reports whether the file still begins as it did when the position was taken, and reaches to it.
func (p *Position) holds(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() < p.Offset {
		return false
	}
	head, ok := headOf(f, p.HeadLen)
	return ok && (p.HeadLen == 0 || head == p.Head)
}

// beginsLike reports whether both files begin with the same bytes now, as far as the shorter one reaches.
func (o *open) beginsLike(other *open) bool {
	a, errA := o.file.Stat()
	b, errB := other.file.Stat()
	if errA != nil || errB != nil {
		return false
	}
	n := min(a.Size(), b.Size(), headMost)
	sumA, okA := headOf(o.file, n)
	sumB, okB := headOf(other.file, n)
	return n > 0 && okA && okB && sumA == sumB
}
