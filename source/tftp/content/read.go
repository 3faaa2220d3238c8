package content

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"tallyman"
	"tallyman/source/tftp/netascii"
)

// Reading is the content of a read as it goes onto the wire: the file, or its
// netascii form. It digests each byte of the file once, when it is first read.
type Reading struct {
	File File
	Size int64 // of the file

	digest tallyman.Digest
	sum    hash.Hash
	summed int64 // bytes of the file digested, -1 when the whole digest is known
	text   *text
}

// text converts a file on its way. It keeps what the client has not
// acknowledged, because a wire position says nothing about a file position.
type text struct {
	encoder netascii.Encoder
	read    int64  // position in the file
	kept    []byte // wire bytes from position base on
	base    int64
	end     int64 // wire size, -1 until the end of the file was met
	chunk   []byte
}

// textChunk is how much of a file is converted at a time.
const textChunk = 4 << 10

// NewReading begins to read; ascii asks for the netascii form.
func NewReading(f File, ascii bool) Reading {
	s := Reading{File: f, Size: f.Size(), digest: f.Digest()}
	if s.digest != "" {
		s.summed = -1
	}
	if ascii {
		s.text = &text{end: -1}
	}
	return s
}

// Text reports whether the netascii form is read.
func (s *Reading) Text() bool { return s.text != nil }

// WireSize is how many bytes go onto the wire, -1 while that is not known.
func (s *Reading) WireSize() int64 {
	if s.text != nil {
		return s.text.end
	}
	return s.Size
}

// Load returns up to len(buf) wire bytes from position off on; fewer only at
// the end. They stand in buf or in memory that lasts until the next Load.
// acked is the position up to which nothing is asked for again. When they are
// on their way they go to Sum.
func (s *Reading) Load(buf []byte, off, acked int64) ([]byte, error) {
	if s.text != nil {
		return s.loadText(len(buf), off, acked)
	}
	buf = buf[:min(int64(len(buf)), max(s.Size-off, 0))]
	return buf, s.fill(buf, off)
}

// fill reads file bytes; fewer than len(buf) are an error.
func (s *Reading) fill(buf []byte, off int64) error {
	if len(buf) == 0 {
		return nil
	}
	n, err := s.File.ReadAt(buf, off)
	switch {
	case n == len(buf):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return &Refusal{Reason: tallyman.IOError, Text: "the file became shorter while it was read"}
	}
	return err
}

// Sum digests what Load returned, as far as it is new. It is not part of Load
// because the client need not wait for it.
func (s *Reading) Sum(buf []byte, off int64) {
	if s.text == nil {
		s.add(buf, off)
	}
}

func (s *Reading) add(buf []byte, off int64) {
	end := off + int64(len(buf))
	switch {
	case s.summed < 0 || end <= s.summed || off > s.summed:
	case off == 0 && end == s.Size && s.summed == 0:
		s.digest = sumText(sha256.Sum256(buf))
		s.summed = -1
	default:
		if s.sum == nil {
			s.sum = sha256.New()
		}
		s.sum.Write(buf[s.summed-off:])
		s.summed = end
	}
}

func (s *Reading) loadText(n int, off, acked int64) ([]byte, error) {
	t := s.text
	if drop := acked - t.base; drop > 0 && drop <= int64(len(t.kept)) {
		t.kept = t.kept[:copy(t.kept, t.kept[drop:])]
		t.base = acked
	}
	for t.end < 0 && t.base+int64(len(t.kept)) < off+int64(n) {
		if err := s.convert(); err != nil {
			return nil, err
		}
	}
	from := min(off-t.base, int64(len(t.kept)))
	to := min(from+int64(n), int64(len(t.kept)))
	return t.kept[from:to], nil
}

// convert takes the next chunk of the file.
func (s *Reading) convert() error {
	t := s.text
	if t.chunk == nil {
		t.chunk = make([]byte, textChunk)
	}
	in := t.chunk[:min(textChunk, s.Size-t.read)]
	if err := s.fill(in, t.read); err != nil {
		return err
	}
	s.add(in, t.read)
	t.read += int64(len(in))
	var out [2*textChunk + 1]byte // every byte a pair, and half a pair from before
	written, _ := t.encoder.Encode(out[:], in)
	t.kept = append(t.kept, out[:written]...)
	if t.read == s.Size {
		t.end = t.base + int64(len(t.kept))
	}
	return nil
}

// Close ends the reading. Only with whole, which says that the client has it
// all, and of a file that stayed what it was, there is a digest.
func (s *Reading) Close(whole bool) (digest tallyman.Digest, unchanged bool) {
	if s.summed == s.Size {
		if s.sum == nil {
			s.sum = sha256.New()
		}
		s.digest = sumText([sha256.Size]byte(s.sum.Sum(nil)))
	}
	if !whole {
		s.digest = ""
	}
	unchanged = s.File.Unchanged(s.digest)
	_ = s.File.Close() // it was only read
	if !unchanged {
		return "", false
	}
	return s.digest, true
}

// sumText writes a SHA-256 as records carry it.
func sumText(sum [sha256.Size]byte) tallyman.Digest {
	const prefix = "sha256:"
	var b [len(prefix) + 2*sha256.Size]byte
	copy(b[:], prefix)
	hex.Encode(b[len(prefix):], sum[:])
	return tallyman.Digest(b[:])
}
