package sftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"tallyman"
	"tallyman/client/remote"
)

// Get fetches a file into c, behind what c has. The error is a *remote.Failure; then what c wrote is no whole file, but may be resumed unless the
// verdict is contradicted. Cancelling ctx ends the connection.
func Get(ctx context.Context, r Request, c *remote.Content, progress remote.Progress) (remote.Result, error) {
	return run(ctx, r, c, "get", func(s *session) error { return s.get(c, progress) })
}

// Put stores what c reads. size is how much that is, -1 if it is not known. The error is a *remote.Failure. Cancelling ctx ends the connection without
// CLOSE; a reader that blocks delays that.
func Put(ctx context.Context, r Request, c *remote.Content, size int64, progress remote.Progress) (remote.Result, error) {
	return run(ctx, r, c, "put", func(s *session) error { return s.put(c, size, progress) })
}

// session is one transfer on a connection of its own.
type session struct {
	*wire
	request Request
	result  *remote.Result
	stop    func() error // not nil once the caller has given up
}

func run(ctx context.Context, r Request, c *remote.Content, verb string, do func(*session) error) (remote.Result, error) {
	var result remote.Result
	err := play(ctx, r, &result, do)
	return result, result.Close(ctx, fmt.Sprintf("%s %s", verb, r.Place), c, err)
}

func play(ctx context.Context, r Request, result *remote.Result, do func(*session) error) error {
	client, err := dial(ctx, r, result)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // what it had to say came with CLOSE
	channel, err := client.NewSession()
	if err != nil {
		return remote.Ended(tallyman.Refused, tallyman.Policy, "the server opens no session: %v", err)
	}
	out, err := channel.StdinPipe()
	if err != nil {
		return err
	}
	in, err := channel.StdoutPipe()
	if err != nil {
		return err
	}
	if err := channel.RequestSubsystem("sftp"); err != nil {
		return remote.Ended(tallyman.Refused, tallyman.Policy, "the server offers no SFTP: %v", err)
	}
	began := time.Now()
	w, err := greet(in, out)
	if err == nil {
		err = do(&session{w, r, result, ctx.Err})
	}
	result.Took = time.Since(began)
	return err
}

func (s *session) get(c *remote.Content, progress remote.Progress) error {
	if s.request.Check == remote.CheckHash {
		return remote.Ended(tallyman.Refused, tallyman.Policy, "a hash is demanded, and SFTP servers offer none: get without --check hash")
	}
	handle, err := s.open(s.request.Place.Path, toRead)
	if err != nil {
		return err
	}
	before, err := s.fstat(handle)
	if err != nil {
		return err
	}
	s.result.Offset = c.Bytes()
	if before.size >= 0 && before.size < s.result.Offset {
		return remote.Ended(tallyman.Contradicted, tallyman.HashMismatch, "%d bytes are there, and the file of the server has %d: get it anew, without --resume", s.result.Offset, before.size)
	}
	c.Tell(progress, before.size)
	if err := s.fetch(handle, c.From(), c, s.stop); err != nil {
		return err
	}
	s.result.Moved = c.Bytes() - s.result.Offset
	after, err := s.fstat(handle)
	if err != nil {
		return err
	}
	if err := s.closed(handle); err != nil {
		return err
	}
	switch {
	case before.size >= 0 && c.Bytes() < before.size:
		return remote.Ended(tallyman.Failed, tallyman.Truncated, "the server ends after %d of %d bytes", c.Bytes(), before.size)
	case after.size != before.size || after.mtime != before.mtime:
		return remote.Ended(tallyman.Contradicted, tallyman.AnnouncedSize, "the file of the server changed while it was read (%d bytes before, %d behind)", before.size, after.size)
	}
	s.result.Prove("the server gave all up to the end of the file and answered CLOSE")
	if s.result.Offset > 0 {
		s.result.Prove("what was there before is the beginning of it (%d bytes, the last %d compared)", s.result.Offset, len(c.Tail()))
	}
	return s.result.Agree(c, after.size, "")
}

// closed gives a handle back; many servers tell only now that they could not store.
func (s *session) closed(handle string) error {
	a, err := s.ask(fxClose, handle)
	if err != nil {
		return err
	}
	s.result.Reason = tallyman.ClosedWell
	return good(a, "CLOSE")
}

func (s *session) put(c *remote.Content, size int64, progress remote.Progress) error {
	c.Tell(progress, size)
	path, flags := s.request.Place.Path, uint32(toWrite|toCreate|toCut)
	if s.request.Resume {
		if err := s.compare(c, path); err != nil {
			return err
		}
		if s.result.Offset > 0 {
			flags = toWrite
		}
	}
	if s.result.Offset > 0 && s.result.Offset == size {
		s.result.Prove("the server had the file, and nothing was sent")
		err := s.confirm(c, path, size)
		s.result.Reason = tallyman.SameContent
		return err
	}
	handle, err := s.open(path, flags)
	if err != nil {
		return err
	}
	if err := s.store(handle, s.result.Offset, c, s.stop); err != nil {
		return err
	}
	if size >= 0 && c.Bytes() != size {
		return remote.Ended(tallyman.Failed, tallyman.Truncated, "%d bytes were to be sent, and the file here has %d now", size, c.Bytes())
	}
	s.result.Moved = c.Bytes() - s.result.Offset
	synced := false
	if _, ok := s.extensions["fsync@openssh.com"]; ok {
		a, err := s.ask(fxExtended, "fsync@openssh.com", handle)
		if err != nil {
			return err
		}
		if err := good(a, "fsync"); err != nil {
			return err
		}
		synced = true
	}
	stored, err := s.fstat(handle)
	if err != nil {
		return err
	}
	if err := s.closed(handle); err != nil {
		return err
	}
	if s.result.Prove("the server answered every write and CLOSE"); synced {
		s.result.Prove("it synced the file (fsync)")
	}
	return s.confirm(c, path, stored.size)
}

// compare skips what the server has, if it is the beginning of the file. SFTP has no hash: the last bytes are read back, or all with a check by hash.
func (s *session) compare(c *remote.Content, path string) error {
	handle, err := s.open(path, toRead)
	if e, ok := err.(*remote.End); ok && e.Reason == tallyman.NotFound { //nolint:errorlint // open makes it
		return nil
	} else if err != nil {
		return err
	}
	there, err := s.fstat(handle)
	if err != nil || there.size <= 0 {
		return err
	}
	if err := c.Pass(there.size); err != nil {
		return err
	}
	var tail bytes.Buffer
	if err := s.fetch(handle, there.size-int64(len(c.Tail())), &tail, s.stop); err != nil {
		return err
	}
	if err := s.closed(handle); err != nil {
		return err
	}
	if !bytes.Equal(tail.Bytes(), c.Tail()) {
		return remote.Ended(tallyman.Contradicted, tallyman.HashMismatch, "the server has a file of %d bytes that is not the beginning of this one: nothing was sent; put it anew, without --resume", there.size)
	}
	s.result.Offset = there.size
	s.result.Prove("what the server had is the beginning of it (%d bytes, the last %d compared)", there.size, tail.Len())
	return nil
}

// confirm compares sizes, and reads the file back if a hash is demanded.
func (s *session) confirm(c *remote.Content, path string, size int64) error {
	var digest tallyman.Digest
	if s.request.Check == remote.CheckHash {
		sum := sha256.New()
		if err := s.readBack(path, sum); err != nil {
			return err
		}
		digest = tallyman.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil)))
		s.result.Prove("it was read back")
	}
	return s.result.Agree(c, size, digest)
}

func (s *session) readBack(path string, to io.Writer) error {
	handle, err := s.open(path, toRead)
	if err != nil {
		return err
	}
	if err := s.fetch(handle, 0, to, s.stop); err != nil {
		return err
	}
	return s.closed(handle)
}
