package ftp

import (
	"context"
	"io"
	"strconv"
	"time"

	"tallyman"
	"tallyman/client/remote"
)

const buffer = 256 << 10 // bytes

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// Get fetches a file into c, behind what c has. The error is a *remote.Failure; then what c wrote is no whole file, but may be resumed unless the
// verdict is contradicted. Cancelling ctx aborts the transfer.
func Get(ctx context.Context, r Request, c *remote.Content, progress remote.Progress) (remote.Result, error) {
	return run(ctx, r, c, "get", func(s *session, result *remote.Result) error { return s.get(c, progress, result) })
}

// run plays one transfer in a session of its own.
func run(ctx context.Context, r Request, c *remote.Content, verb string, do func(*session, *remote.Result) error) (remote.Result, error) {
	var result remote.Result
	s, err := open(ctx, r, &result)
	if err != nil {
		return result, result.Close(ctx, verb+" "+r.Place.String(), c, err)
	}
	defer s.close()
	release := context.AfterFunc(ctx, func() { _ = s.tcp.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	began := time.Now()
	err = do(s, &result)
	result.Took = time.Since(began)
	return result, result.Close(ctx, s.act(verb), c, err)
}

func (s *session) get(c *remote.Content, progress remote.Progress, result *remote.Result) error {
	name := s.request.Place.Path
	if s.request.Check == remote.CheckHash && !s.offersHash() {
		return remote.Ended(tallyman.Refused, tallyman.Policy, "a hash is demanded, and the server offers none (HASH, XSHA256)")
	}
	size, gone, err := s.size(name)
	if err != nil {
		return err
	}
	if gone != nil {
		return gone
	}
	result.Offset = c.Bytes()
	if size >= 0 && size < result.Offset {
		return remote.Ended(tallyman.Contradicted, tallyman.HashMismatch, "%d bytes are there, and the file of the server has %d: get it anew, without --resume", result.Offset, size)
	}
	c.Tell(progress, size)
	if err := s.begin("RETR "+name, c.From(), false); err != nil {
		return err
	}
	if err := s.receive(c); err != nil {
		return err
	}
	result.Moved = c.Bytes() - result.Offset
	last, err := s.last()
	if err != nil {
		return err
	}
	switch {
	case !last.good():
		return broken(last)
	case !c.Whole():
		return remote.Ended(tallyman.Contradicted, tallyman.HashMismatch, "the file of the server is shorter than the %d bytes that are there: get it anew, without --resume", result.Offset)
	case size >= 0 && c.Bytes() < size:
		return remote.Ended(tallyman.Failed, tallyman.Truncated, "the server says %q after %d of %d bytes", last.text(), c.Bytes(), size)
	case size >= 0 && c.Bytes() > size:
		return remote.Ended(tallyman.Contradicted, tallyman.AnnouncedSize, "the server announced %d bytes and sent %d: the file may have changed", size, c.Bytes())
	case s.data.cut() && size < 0:
		return remote.Ended(tallyman.Failed, tallyman.NoCloseNotify, "the data connection ended without close_notify, and the server tells no size: it may be cut")
	}
	s.proves(result, last)
	if result.Offset > 0 {
		result.Prove("what was there before is the beginning of it (%d bytes, the last %d compared)", result.Offset, len(c.Tail()))
	}
	digest, err := s.digest(name)
	if err != nil {
		return err
	}
	return result.Agree(c, size, digest)
}

// receive reads the data connection to its end.
func (s *session) receive(c *remote.Content) error {
	p := make([]byte, buffer)
	for s.ctx.Err() == nil {
		n, err := s.data.Read(p)
		if n > 0 {
			if _, err := c.Write(p[:n]); err != nil {
				return remote.Local("store the content", err)
			}
		}
		if err == io.EOF { //nolint:errorlint // a wrapped EOF is a cut
			_ = s.data.finish() // vsftpd waits for our close_notify before it says 226; who is gone already does not
			return nil
		}
		if err != nil {
			return s.because(remote.Ended(tallyman.Failed, tallyman.ServerGone, "the data connection is lost: %v", err))
		}
	}
	return s.ctx.Err()
}

// last is the reply behind the data.
func (s *session) last() (reply, error) {
	a, err := s.read(finishing)
	if err != nil {
		return a, err
	}
	s.ended = true
	_ = s.data.tcp.Close() // both sides have said their last word
	return a, nil
}

// proves notes how the transfer ended.
func (s *session) proves(result *remote.Result, last reply) {
	result.Reason = tallyman.ReplyAcknowledged
	result.Prove("the server said %d when all had moved", last.code)
	if s.secrets == nil {
		return
	}
	if !s.data.cut() {
		result.Reason = tallyman.CloseNotify
		result.Prove("the encrypted data ended in order (close_notify)")
	}
	if s.data.resumed {
		result.Secured += ", resumed for data"
	}
}

// digest is the server's hash of a file, as far as it is to be checked.
func (s *session) digest(name string) (tallyman.Digest, error) {
	if s.request.Check == remote.CheckSize {
		return "", nil
	}
	return s.hash(name)
}
