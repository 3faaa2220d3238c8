package remote

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"tallyman"
)

// Overlap is how many bytes of what is there are compared when a transfer is resumed.
const Overlap = 64 << 10

// Content counts and hashes what passes between the caller and the server. It is for one transfer and one goroutine.
type Content struct {
	sum     hash.Hash
	bytes   int64
	w       io.Writer
	r       io.Reader
	tail    []byte // the last bytes of what is there
	overlap []byte // what of the tail is still to come again
	total   int64
	told    Progress
}

// NewDownload writes to w. have is what is there already, from its beginning to its end, or nil.
func NewDownload(w io.Writer, have io.Reader) (*Content, error) {
	c := &Content{sum: sha256.New(), w: w, total: -1}
	if have == nil {
		return c, nil
	}
	c.r = have
	_, err := c.hash(1<<63 - 1)
	c.overlap = c.tail
	return c, err
}

// NewUpload reads from r.
func NewUpload(r io.Reader) *Content { return &Content{sum: sha256.New(), r: r, total: -1} }

// Tell reports progress towards a total, -1 if unknown.
func (c *Content) Tell(p Progress, total int64) { c.told, c.total = p, total }

// Bytes is how many are there: written, read or passed.
func (c *Content) Bytes() int64 { return c.bytes }

// From is the offset to ask the server for: what comes from there is compared with the overlap before it is stored.
func (c *Content) From() int64 { return c.bytes - int64(len(c.overlap)) }

// Whole reports whether all of the overlap has come again.
func (c *Content) Whole() bool { return len(c.overlap) == 0 }

// Tail is the last bytes of what was passed or is there, at most Overlap.
func (c *Content) Tail() []byte { return c.tail }

// Digest is that of all bytes so far.
func (c *Content) Digest() tallyman.Digest {
	return tallyman.Digest("sha256:" + hex.EncodeToString(c.sum.Sum(nil)))
}

// Pass goes over the first n bytes of an upload, which the server has.
func (c *Content) Pass(n int64) error {
	got, err := c.hash(n)
	if err == nil && got < n {
		return Ended(tallyman.Contradicted, tallyman.HashMismatch, "the server has %d bytes, and the file here only %d: it is not the beginning of it", n, got)
	}
	return err
}

// hash takes up to n bytes of the reader and keeps the last ones.
func (c *Content) hash(n int64) (int64, error) {
	got, err := io.Copy(tailWriter{c}, io.LimitReader(c.r, n))
	if err != nil {
		return got, fmt.Errorf("read what is there: %w", err)
	}
	return got, nil
}

type tailWriter struct{ c *Content }

func (t tailWriter) Write(p []byte) (int, error) {
	t.c.sum.Write(p)
	t.c.bytes += int64(len(p))
	t.c.tail = append(t.c.tail, p...)
	t.c.tail = bytes.Clone(t.c.tail[max(0, len(t.c.tail)-Overlap):])
	return len(p), nil
}

// Write takes what the server sends. What differs from the overlap is an *End.
func (c *Content) Write(p []byte) (int, error) {
	n := min(len(p), len(c.overlap))
	if !bytes.Equal(p[:n], c.overlap[:n]) {
		return 0, Ended(tallyman.Contradicted, tallyman.HashMismatch, "what is there is not the beginning of the server's file: get it anew, without --resume")
	}
	c.overlap = c.overlap[n:]
	if n == len(p) {
		return n, nil
	}
	more, err := c.w.Write(p[n:])
	c.count(p[n : n+more])
	return n + more, err
}

// Read gives what is to be sent.
func (c *Content) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.count(p[:n])
	if err != nil && !errors.Is(err, io.EOF) {
		err = Local("read the content", err)
	}
	return n, err
}

func (c *Content) count(p []byte) {
	c.sum.Write(p)
	c.bytes += int64(len(p))
	if c.told != nil {
		c.told(c.bytes, c.total)
	}
}
