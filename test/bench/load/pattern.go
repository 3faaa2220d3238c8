package load

import "bytes"

// A prime, so that a block which stands at the wrong place differs from the one
// that belongs there unless it is off by a multiple of period blocks.
const period = 1_000_003

// Pattern is the endless content of every file of the benchmark: pseudo-random bytes
// that repeat with a prime period, kept so that each block is one slice of memory.
type Pattern struct{ bytes []byte }

// NewPattern makes the pattern, about 1 MiB.
func NewPattern() *Pattern {
	b := make([]byte, period+maxBlock)
	x := uint64(0x9E3779B97F4A7C15)
	for i := range b[:period] {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	copy(b[period:], b)
	return &Pattern{b}
}

// At returns the n bytes at offset; n is at most 65,464. The caller must not write.
func (p *Pattern) At(offset int64, n int) []byte {
	i := int(offset % period)
	return p.bytes[i : i+n]
}

// Holds reports whether b is what stands at offset; b has at most 65,464 bytes.
func (p *Pattern) Holds(offset int64, b []byte) bool {
	return bytes.Equal(b, p.At(offset, len(b)))
}

// Fill returns the first size bytes of the pattern.
func (p *Pattern) Fill(size int64) []byte {
	out := make([]byte, 0, size)
	for int64(len(out)) < size {
		n := min(size-int64(len(out)), maxBlock)
		out = append(out, p.At(int64(len(out)), int(n))...)
	}
	return out
}
