package segment

import (
	"hash/crc32"
	"io"
)

// window is how many bytes a scan reads at once, if there are so many: any entry fits. What a reader is given at once stands in one window, so that a large one lets
// a reader with a backlog take thousands of entries together.
const window = 2 * MaxPayload

// Found is what a step of a scan met.
type Found int

// What Next met.
const (
	Whole Found = iota // an entry
	Short              // it needs more bytes: call Fill and go on; payloads handed out before become invalid
	End                // nothing more
)

// Scan walks the entries of one segment between two offsets. What is no entry it steps over, byte by byte, to the next one that is whole; a
// seq that does not grow is no entry. Its cost is linear in the bytes, its memory one window.
type Scan struct {
	file io.ReaderAt
	seed uint32
	end  int64

	buf []byte // bytes of the file from off on, begun at buf[at]
	at  int
	off int64

	seq      uint64 // the highest that any sound head named, whether its payload was whole or not
	dirtFrom int64  // since that head: bytes that are neither zero nor entry
	dirtTo   int64
	Damaged  int64 // all such bytes, and those of entries with a bad payload
	Used     int64 // behind the last byte that is not padding
}

// Reset begins a segment, and keeps the memory of the one before. Only entries above the seq given count. Nothing at or after end is looked at.
func (s *Scan) Reset(file io.ReaderAt, seed uint32, above uint64, end int64) {
	*s = Scan{file: file, seed: seed, seq: above, end: end, off: HeadSize, Used: HeadSize, buf: s.buf[:0]}
}

// Extend moves the end after the file has grown.
func (s *Scan) Extend(end int64) { s.end = end }

// Next returns the next whole entry. The payload is valid until Fill.
func (s *Scan) Next() (uint64, []byte, Found) {
	for {
		left, have := s.end-s.off, s.buf[s.at:]
		if left <= 0 {
			return 0, nil, End
		}
		if int64(len(have)) < min(left, EntryHead) {
			return 0, nil, Short
		}
		if left < EntryHead {
			s.stepOver(have[:left])
			continue
		}
		h, ok := parseHead(have, s.seed)
		if !ok || h.seq <= s.seq {
			s.stepOver(have[:1])
			continue
		}
		total := EntryHead + h.size
		if int64(total) > left {
			s.lose(h.seq, left)
			continue
		}
		if len(have) < total {
			return 0, nil, Short
		}
		if payload := have[EntryHead:total:total]; crc32.Checksum(payload, castagnoli) == h.sum {
			s.seq, s.dirtFrom, s.dirtTo = h.seq, 0, 0
			s.forward(int64(total))
			s.Used = s.off
			return h.seq, payload, Whole
		}
		s.lose(h.seq, int64(total))
	}
}

// stepOver skips bytes that begin no entry, and zeros after them.
func (s *Scan) stepOver(b []byte) {
	for i, c := range b {
		if c != 0 {
			if s.dirtTo == 0 {
				s.dirtFrom = s.off + int64(i)
			}
			s.dirtTo = s.off + int64(i) + 1
			s.Used = s.dirtTo
			s.Damaged++
		}
	}
	s.forward(int64(len(b)))
	// Twenty zeros are no head, so a run of zeros is left behind at once but for its last 19, in which a head may begin.
	rest, zeros := s.buf[s.at:], 0
	for zeros < len(rest) && rest[zeros] == 0 {
		zeros++
	}
	if zeros >= EntryHead {
		s.forward(int64(zeros - EntryHead + 1))
	}
}

// lose skips an entry whose head is sound and whose payload is not.
func (s *Scan) lose(seq uint64, n int64) {
	s.seq, s.dirtFrom, s.dirtTo = seq, 0, 0
	s.Damaged += n
	s.forward(n)
	s.Used = s.off
}

func (s *Scan) forward(n int64) {
	s.off += n
	s.at = int(min(int64(s.at)+n, int64(len(s.buf))))
}

// Fill reads on. After an error it may be called again.
func (s *Scan) Fill() error {
	kept := copy(s.buf, s.buf[s.at:])
	s.buf, s.at = s.buf[:kept], 0
	size := int(min(window, s.end-s.off))
	if cap(s.buf) < size {
		s.buf = append(make([]byte, 0, size), s.buf...)
	}
	size = min(cap(s.buf), int(min(int64(cap(s.buf)), s.end-s.off)))
	n, err := s.file.ReadAt(s.buf[kept:size], s.off+int64(kept))
	s.buf = s.buf[:kept+n]
	if n > 0 {
		return nil
	}
	if err == io.EOF {
		s.end = s.off + int64(kept)
		return nil
	}
	return err
}

// Run walks to the end and returns the seq of the last whole entry, 0 if there is none. What lies behind a read error counts as lost.
func (s *Scan) Run() (whole uint64, err error) {
	for {
		seq, _, what := s.Next()
		switch what {
		case Whole:
			whole = seq
		case Short:
			if err := s.Fill(); err != nil {
				left := s.end - s.off
				s.lose(s.seq+uint64(left/EntryHead)+1, left)
				return whole, err
			}
		case End:
			return whole, nil
		}
	}
}

// Reach is the highest seq that the bytes seen so far may have held. Bytes that could not be read are taken for as many entries as fit
// into them: a seq must not be used twice, a hole may be told too large.
func (s *Scan) Reach() uint64 {
	if s.dirtTo == 0 {
		return s.seq
	}
	return s.seq + uint64((s.dirtTo-s.dirtFrom)/EntryHead) + 1
}
