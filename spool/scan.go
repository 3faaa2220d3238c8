package spool

import (
	"hash/crc32"
	"io"
)

// window is how many bytes a scan reads at once, if no longer entry asks for more.
const window = 256 << 10

// found is what a step of a scan met.
type found int

const (
	foundEntry found = iota
	foundShort       // call fill, then go on; payloads handed out before become invalid
	foundEnd
)

// scan walks the entries of one segment between two offsets. What is no entry it steps over, byte by byte, to the next one that is whole; a
// seq that does not grow is no entry. Its cost is linear in the bytes, its memory the longest entry or one window.
type scan struct {
	file io.ReaderAt
	seed uint32
	end  int64 // nothing at or after it is looked at; it may grow

	buf  []byte // bytes of the file from off on, begun at buf[at]
	at   int
	off  int64
	want int // bytes that the entry at off needs

	seq      uint64 // the highest that any sound head named, whether its payload was whole or not
	dirtFrom int64  // since that head: bytes that are neither zero nor entry
	dirtTo   int64
	damaged  int64 // all such bytes, and those of entries with a bad payload
	used     int64 // behind the last byte that is not padding
}

func newScan(file io.ReaderAt, seed uint32, end int64, buf []byte) scan {
	return scan{file: file, seed: seed, end: end, off: segmentHead, used: segmentHead, buf: buf[:0], want: entryHead}
}

// next returns the next whole entry. The payload is valid until fill.
func (s *scan) next() (uint64, []byte, found) {
	for {
		left, have := s.end-s.off, s.buf[s.at:]
		if left <= 0 {
			return 0, nil, foundEnd
		}
		if int64(len(have)) < min(left, entryHead) {
			s.want = entryHead
			return 0, nil, foundShort
		}
		if left < entryHead {
			s.stepOver(have[:left])
			continue
		}
		h, ok := parseHead(have, s.seed)
		if !ok || h.seq <= s.seq {
			s.stepOver(have[:1])
			continue
		}
		total := entryHead + h.size
		if int64(total) > left {
			s.lose(h.seq, left)
			continue
		}
		if len(have) < total {
			s.want = total
			return 0, nil, foundShort
		}
		if payload := have[entryHead:total:total]; crc32.Checksum(payload, castagnoli) == h.sum {
			s.seq, s.dirtFrom, s.dirtTo = h.seq, 0, 0
			s.forward(int64(total))
			s.used = s.off
			return h.seq, payload, foundEntry
		}
		s.lose(h.seq, int64(total))
	}
}

// stepOver skips bytes that begin no entry, and zeros after them.
func (s *scan) stepOver(b []byte) {
	for i, c := range b {
		if c != 0 {
			if s.dirtTo == 0 {
				s.dirtFrom = s.off + int64(i)
			}
			s.dirtTo = s.off + int64(i) + 1
			s.used = s.dirtTo
			s.damaged++
		}
	}
	s.forward(int64(len(b)))
	// Twenty zeros are no head, so a run of zeros is left behind at once but for its last 19, in which a head may begin.
	rest, zeros := s.buf[s.at:], 0
	for zeros < len(rest) && rest[zeros] == 0 {
		zeros++
	}
	if zeros >= entryHead {
		s.forward(int64(zeros - entryHead + 1))
	}
}

// lose skips an entry whose head is sound and whose payload is not.
func (s *scan) lose(seq uint64, n int64) {
	s.seq, s.dirtFrom, s.dirtTo = seq, 0, 0
	s.damaged += n
	s.forward(n)
	s.used = s.off
}

func (s *scan) forward(n int64) {
	s.off += n
	s.at = int(min(int64(s.at)+n, int64(len(s.buf))))
}

// fill reads on. After an error it may be called again.
func (s *scan) fill() error {
	kept := copy(s.buf, s.buf[s.at:])
	s.buf, s.at = s.buf[:kept], 0
	size := int(min(int64(max(window, s.want)), s.end-s.off))
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

// run walks to the end and returns the seq of the last whole entry, 0 if there is none.
func (s *scan) run() (whole uint64, err error) {
	for {
		seq, _, what := s.next()
		switch what {
		case foundEntry:
			whole = seq
		case foundShort:
			if err := s.fill(); err != nil {
				return whole, err
			}
		case foundEnd:
			return whole, nil
		}
	}
}

// reach is the highest seq that the bytes seen so far may have held. Bytes that could not be read are taken for as many entries as fit
// into them: a seq must not be used twice, a hole may be told too large.
func (s *scan) reach() uint64 {
	if s.dirtTo == 0 {
		return s.seq
	}
	return s.seq + uint64((s.dirtTo-s.dirtFrom)/entryHead) + 1
}
