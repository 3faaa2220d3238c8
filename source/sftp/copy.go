package sftp

import (
	"errors"
	"io"

	"tallyman"
	"tallyman/source/sftp/packet"
)

// copyData copies from one open file into another (draft-ietf-secsh-filexfer-extensions-00, section 7): what each may was asked when it was opened, and what is
// written counts as a write does. No bytes go by the network; a length of 0 means up to the end.
func (s *session) copyData(q *packet.Request) {
	u, ok := s.handleAt(q.To).(*upload)
	from, d := s.readable(q.Handle)
	switch {
	case !ok || from == nil:
		s.status(q.ID, packet.Failure, "no such handle")
		return
	case q.Handle == q.To:
		s.status(q.ID, packet.Failure, "a file is not copied into itself")
		return
	case q.Offset > 1<<62 || q.ToOffset > 1<<62 || q.Bytes > 1<<62:
		s.status(q.ID, packet.Failure, "bad request")
		return
	}
	n, err := s.copyFrom(from, q, u)
	u.copied += n
	if d != nil {
		d.copied += n
	}
	switch {
	case errors.Is(err, io.EOF) && q.Bytes > 0:
		s.status(q.ID, packet.EOF, "the file ended before")
	case errors.Is(err, io.EOF):
		s.status(q.ID, packet.OK, "")
	default:
		s.reply(q.ID, err)
	}
}

// readable is what may be read of a handle, and the download if it is one.
func (s *session) readable(handle string) (io.ReaderAt, *download) {
	switch h := s.handleAt(handle).(type) {
	case *download:
		return h.file, h
	case *upload:
		if h.readable && h.failed == nil {
			return h.up, nil
		}
	}
	return nil, nil
}

// copyFrom copies until so many bytes are there, or the file or the connection ends. io.EOF says that the file has.
func (s *session) copyFrom(from io.ReaderAt, q *packet.Request, u *upload) (n int64, err error) {
	buf := s.c.srv.bufs.Get().(*[]byte)
	defer s.c.srv.bufs.Put(buf)
	for q.Bytes == 0 || n < int64(q.Bytes) {
		if s.c.ctx.Err() != nil {
			return n, refuse(tallyman.ClientGone, "the connection ended while it was copied")
		}
		p := (*buf)[:packet.MaxData]
		if left := int64(q.Bytes) - n; q.Bytes > 0 && left < int64(len(p)) {
			p = p[:left]
		}
		got, err := from.ReadAt(p, int64(q.Offset)+n)
		if got > 0 {
			if err := u.write(q.ToOffset+uint64(n), p[:got]); err != nil {
				return n, err
			}
			n += int64(got)
		}
		switch {
		case err == nil && got == 0:
			return n, io.EOF
		case err == nil || q.Bytes > 0 && n == int64(q.Bytes):
		case errors.Is(err, io.EOF):
			return n, err
		default:
			return n, u.fail(err) // else a client that closes it all the same would have a part stored
		}
	}
	return n, nil
}
