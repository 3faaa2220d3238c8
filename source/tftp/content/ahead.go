package content

// readAhead is how much an Ahead reads at a time, or one block if that is more.
const readAhead = 64 << 10

// headLen is what stands before the payload in a packet of DATA (RFC 1350).
const headLen = 4

// Ahead hands out the blocks of a file one after the other, each behind a head
// in one piece of memory, for a reader in lockstep. The head is written over the
// end of the block before, which the client has acknowledged.
type Ahead struct {
	of    *Reading
	size  int64  // of a block
	buf   []byte // headLen spare bytes, then file bytes from position base on
	base  int64
	held  int64  // how many
	fresh []byte // of them not digested
}

// NewAhead reads the file of s, which must not be netascii, in blocks of size bytes.
func NewAhead(s *Reading, size int) *Ahead {
	return &Ahead{of: s, size: int64(size), buf: make([]byte, headLen+max(readAhead, size))}
}

// Packet returns block number block, counted from 1, behind its head. It is
// valid until the next call; the same block can be had again, the one before costs reading.
func (a *Ahead) Packet(head [headLen]byte, block uint64) ([]byte, error) {
	off := int64(block-1) * a.size
	want := min(a.size, a.of.Size-off)
	if off < a.base || off+want > a.base+a.held {
		a.Sum()
		data, err := a.of.Load(a.buf[headLen:], off, off)
		if err != nil {
			return nil, err
		}
		a.base, a.held, a.fresh = off, int64(len(data)), data
	}
	at := off - a.base
	p := a.buf[at : at+headLen+want]
	if at > 0 {
		a.Sum() // before its bytes are written over
	}
	copy(p, head[:])
	return p, nil
}

// Sum digests what was read, best when the packet has left.
func (a *Ahead) Sum() {
	a.of.Sum(a.fresh, a.base)
	a.fresh = nil
}
