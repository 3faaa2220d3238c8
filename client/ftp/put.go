package ftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"

	"tallyman"
	"tallyman/client/remote"
)

// Put stores what c reads. size is how much that is, -1 if it is not known. The error is a *remote.Failure. Cancelling ctx aborts the transfer; a
// reader that blocks delays that.
func Put(ctx context.Context, r Request, c *remote.Content, size int64, progress remote.Progress) (remote.Result, error) {
	return run(ctx, r, c, "put", func(s *session, result *remote.Result) error { return s.put(c, size, progress, result) })
}

func (s *session) put(c *remote.Content, size int64, progress remote.Progress, result *remote.Result) error {
	name, verb := s.request.Place.Path, "STOR "
	c.Tell(progress, size)
	if s.request.Resume {
		there, _, err := s.size(name)
		if err != nil {
			return err
		}
		if there > 0 {
			if err := s.compare(c, name, there, result); err != nil {
				return err
			}
			verb, result.Offset = "APPE ", there
		}
	}
	if result.Offset > 0 && result.Offset == size {
		result.Reason = tallyman.SameContent
		result.Prove("the server had the file, and nothing was sent")
		return s.confirm(c, name, result)
	}
	if verb == "STOR " && size > 0 {
		if a, err := s.ask("ALLO " + decimal(size)); err != nil { // a promise that the server can hold us to; who does not know it says so
			return err
		} else if a.code == 452 || a.code == 552 {
			return refused(a, true)
		}
	}
	if err := s.begin(verb+name, 0, true); err != nil {
		return err
	}
	if err := s.transmit(c); err != nil {
		return err
	}
	if size >= 0 && c.Bytes() != size {
		return remote.Ended(tallyman.Failed, tallyman.Truncated, "%d bytes were to be sent, and the file here has %d now", size, c.Bytes())
	}
	if err := s.data.finish(); err != nil {
		return s.because(remote.Ended(tallyman.Failed, tallyman.ServerGone, "the data connection is lost: %v", err))
	}
	drained := make(chan struct{})
	go func() { s.data.drain(); close(drained) }()
	last, err := s.last()
	if err != nil {
		return err
	}
	<-drained
	if !last.good() {
		return broken(last)
	}
	result.Moved = c.Bytes() - result.Offset
	s.proves(result, last)
	return s.confirm(c, name, result)
}

func (s *session) transmit(c *remote.Content) error {
	p := make([]byte, buffer)
	for s.ctx.Err() == nil {
		n, err := c.Read(p)
		if n > 0 {
			if _, err := s.data.Write(p[:n]); err != nil {
				return s.because(remote.Ended(tallyman.Failed, tallyman.ServerGone, "the data connection is lost: %v", err))
			}
		}
		if err == io.EOF { //nolint:errorlint // Content gives it as it is
			return nil
		}
		if err != nil {
			return err
		}
	}
	return s.ctx.Err()
}

// compare skips what the server has, if it is the beginning of the file: by its hash, else by its last bytes.
func (s *session) compare(c *remote.Content, name string, there int64, result *remote.Result) error {
	digest, err := s.digest(name)
	if err != nil {
		return err
	}
	if err := c.Pass(there); err != nil {
		return err
	}
	if digest != "" {
		if digest != c.Digest() {
			return other(there)
		}
		result.Prove("what the server had is the beginning of it (%d bytes, SHA-256 compared)", there)
		return nil
	}
	var tail bytes.Buffer
	if err := s.fetch(name, there-int64(len(c.Tail())), &tail); err != nil {
		return err
	}
	if !bytes.Equal(tail.Bytes(), c.Tail()) {
		return other(there)
	}
	result.Prove("what the server had is the beginning of it (%d bytes, the last %d compared)", there, tail.Len())
	return nil
}

func other(there int64) *remote.End {
	return remote.Ended(tallyman.Contradicted, tallyman.HashMismatch, "the server has a file of %d bytes that is not the beginning of this one: nothing was sent; put it anew, without --resume", there)
}

// fetch reads a file from a place to its end.
func (s *session) fetch(name string, from int64, to io.Writer) error {
	if err := s.begin("RETR "+name, from, false); err != nil {
		return err
	}
	if _, err := io.Copy(to, s.data); err != nil {
		return s.because(remote.Ended(tallyman.Failed, tallyman.ServerGone, "the data connection is lost: %v", err))
	}
	_ = s.data.finish() // as behind any download
	a, err := s.last()
	if err == nil && !a.good() {
		err = broken(a)
	}
	s.data, s.ended = nil, false
	return err
}

// confirm asks what the server has now.
func (s *session) confirm(c *remote.Content, name string, result *remote.Result) error {
	size, gone, err := s.size(name)
	if err != nil {
		return err
	}
	if gone != nil { // a drop box may hide what it took
		result.Prove("the server does not show the file")
	}
	digest, err := s.digest(name)
	if err == nil && digest == "" && s.request.Check == remote.CheckHash {
		done := *result // its end is told, whatever comes of reading it back
		sum := sha256.New()
		if err = s.fetch(name, 0, sum); err == nil {
			digest = tallyman.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
			done.Prove("it was read back")
		}
		*result = done
	}
	if err != nil {
		return err
	}
	return result.Agree(c, size, digest)
}
