package sftp

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"time"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/source/sftp/ranges"
	"tallyman/tree"
)

// catchUp is how much is read back at one write to go on with the digest; the rest waits for the next, or for the end.
const catchUp = 4 << 20

func asked(mode uint32) fs.FileMode { return fs.FileMode(mode&0o777 | 0o600) }

// write answers a WRITE. An error ends the session.
func (s *session) write(q *packet.Request) error {
	u, ok := s.handleOf(q).(*upload)
	if !ok {
		s.status(q.ID, packet.Failure, "no such handle")
		return nil
	}
	if err := s.c.login.Up(s.c.ctx, len(q.Data)); err != nil {
		return err
	}
	s.reply(q.ID, u.write(q.Offset, q.Data))
	return nil
}

// write takes bytes. After an error nothing more is taken, and nothing will be stored.
func (u *upload) write(offset uint64, p []byte) error {
	if u.failed != nil {
		return u.failed
	}
	if offset > 1<<62 {
		return u.fail(refuse(tallyman.BadRequest, "a write at %d", offset))
	}
	at := int64(offset)
	if u.appends { // SSH_FXF_APPEND: the offset does not count (section 6.3)
		at = u.up.Size()
	}
	if err := u.grow(at + int64(len(p))); err != nil {
		return u.fail(err)
	}
	if _, err := u.up.WriteAt(p, at); err != nil {
		return u.fail(err)
	}
	if !u.has.Add(at, int64(len(p))) {
		return u.fail(refuse(tallyman.Hole, "more than %d separate pieces: write the file from its begin on", ranges.Most))
	}
	u.writes++
	u.came += int64(len(p))
	u.digest(p, at)
	u.goesOn(time.Now(), u.moved())
	return nil
}

// fail notes the first thing that went wrong, and frees what the file takes.
func (u *upload) fail(err error) error {
	if u.failed == nil {
		u.failed = err
		u.up.Abort()
	}
	return err
}

// moved is how many bytes the client has put into the file.
func (u *upload) moved() int64 { return max(0, min(u.has.Sum()-u.base, u.came)) }

// digest goes on with the digest: with what came, if it is the next, and with what stands behind it already.
func (u *upload) digest(p []byte, at int64) {
	if !u.s.c.srv.cfg.Hash {
		return
	}
	switch {
	case u.spoilt:
	case at < u.summed:
		u.spoilt = true
	case at == u.summed:
		u.sum.Write(p)
		u.summed += int64(len(p))
	}
	if front := u.has.Front(); !u.spoilt && front > u.summed {
		_ = u.readBack(min(front, u.summed+catchUp)) // what cannot be read now is tried at the end
	}
}

// readBack digests what was written, up to a place.
func (u *upload) readBack(to int64) error {
	buf := u.s.c.srv.bufs.Get().(*[]byte)
	defer u.s.c.srv.bufs.Put(buf)
	for u.summed < to {
		p := (*buf)[:min(int64(cap(*buf)), to-u.summed)]
		n, err := u.up.ReadAt(p, u.summed)
		if n == 0 {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		u.sum.Write(p[:n])
		u.summed += int64(n)
	}
	return nil
}

// wholeDigest is that of the file as it will stand.
func (u *upload) wholeDigest() (tallyman.Digest, error) {
	if !u.s.c.srv.cfg.Hash {
		return "", nil
	}
	if u.spoilt || u.summed > u.up.Size() {
		u.sum, u.summed, u.spoilt = sha256.New(), 0, false
	}
	if err := u.readBack(u.up.Size()); err != nil {
		return "", err
	}
	return digestOf(u.sum), nil
}

// truncate sets the size. Zeros that the client asked for in this way are no hole.
func (u *upload) truncate(size uint64) error {
	if u.failed != nil {
		return u.failed
	}
	if size > 1<<62 {
		return refuse(tallyman.BadRequest, "a size of %d", size)
	}
	was := u.up.Size()
	if err := u.grow(int64(size)); err != nil {
		return u.fail(err)
	}
	if err := u.up.Truncate(int64(size)); err != nil {
		return u.fail(err)
	}
	if now := int64(size); now > was {
		u.has.Add(was, now-was)
	} else {
		u.has.Cut(now)
		u.base = min(u.base, now)
		u.spoilt = u.spoilt || u.summed > now
	}
	return nil
}

func (u *upload) sync() error {
	if u.failed != nil {
		return u.failed
	}
	u.synced = true
	return u.up.Sync()
}

// end implements handle: the file gets its name if the client has closed it and nothing is missing.
func (u *upload) end(closed bool) error {
	defer u.s.c.busy.Add(-1)
	moved, size := u.moved(), u.up.Size()
	var err error
	switch {
	case u.failed != nil:
		err = u.failed
	case !closed:
		err = refuse(u.s.c.ended(), "the connection ended before the file was closed")
	default:
		err = u.store(moved)
		if err == nil {
			return nil
		}
	}
	r := refusalOf(err)
	u.up.Abort()
	if u.meter != nil {
		u.meter.Give(u.taken, u.fresh)
	}
	u.size = size
	u.tell(u.story.end(failure(r.Reason), moved, r.Text, u.facts()))
	return err
}

// failure is a reason that an upload which had begun may end with.
func failure(r tallyman.Reason) tallyman.Reason {
	if tallyman.Legal(tallyman.Failed, r) || tallyman.Legal(tallyman.Aborted, r) {
		return r
	}
	if r == tallyman.BadRequest {
		return tallyman.ClientError
	}
	return tallyman.NotWritable
}

func (u *upload) facts() map[string]any {
	more := map[string]any{"writes": u.writes}
	if u.copied > 0 {
		more["copied"] = u.copied
	}
	if u.base > 0 {
		more["offset"] = u.base
	}
	if again := u.came - u.moved(); again > 0 {
		more["rewritten"] = again
	}
	if u.synced {
		more["fsync"] = true
	}
	return more
}

// store gives the file its name. When it returns nil, file, name and closing evidence are on stable storage. What is appended is appended to the
// file as it is now: one after the other.
func (u *upload) store(moved int64) error {
	size := u.up.Size()
	if from, to, ok := u.has.Hole(size); ok {
		return refuse(tallyman.Hole, "bytes %d to %d of %d were never written", from, to-1, size)
	}
	if u.behind {
		defer u.s.c.srv.locks.take(u.path)()
		if err := u.rebase(); err != nil {
			return err
		}
	}
	digest, err := u.wholeDigest()
	if err != nil {
		return err
	}
	// That it began is on stable storage before the file gets its name: whoever finds it there after a kill finds a record too.
	if err := u.s.c.to.Commit(context.Background()); err != nil {
		return refuse(tallyman.DiskFull, "not stored, because it could not be recorded: %v", err)
	}
	stored, err := u.up.Commit()
	if err != nil {
		return err
	}
	u.settle(stored)
	u.size = stored.Size
	more := u.facts()
	if stored.Kept != "" {
		more["kept"] = tallyman.Escape(stored.Kept)
	}
	e := u.story.end(tallyman.ClosedWell, moved, "", more)
	e.Digest = digest
	if err := u.s.c.to.Commit(context.Background(), e); err != nil {
		return refuse(tallyman.DiskFull, "stored, but the record of it is not: %v", err)
	}
	return nil
}

// settle makes what was taken of the quota part of what lies there.
func (u *upload) settle(stored tree.Stored) {
	if u.meter == nil {
		return
	}
	gone, files := int64(0), int64(0)
	if stored.Gone >= 0 {
		gone, files = stored.Gone, 1
	}
	u.meter.Settle(u.taken, gone, files)
	u.meter = nil
}

// rebase puts what was appended behind the file that stands there now, if that is another one than the one that was copied. The lock of the path is held.
func (u *upload) rebase() error {
	now, err := tree.Identify(u.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case now == u.up.Resumed():
		return nil
	}
	opt := u.opt
	opt.Resume = tree.ToEnd
	next, err := u.s.c.root.Tree.Create(u.at, opt)
	if err != nil {
		return err
	}
	base := next.Size()
	if err := u.grow(base + u.up.Size() - u.base); err != nil {
		next.Abort()
		return err
	}
	if _, err := io.Copy(struct{ io.Writer }{&offsetWriter{next, base}}, io.NewSectionReader(u.up, u.base, u.up.Size()-u.base)); err != nil {
		next.Abort()
		return err
	}
	u.up.Abort()
	u.up, u.base = next, base
	u.file = handleName(next.Identity())
	u.sum, u.summed, u.spoilt = sha256.New(), 0, false
	return nil
}

// offsetWriter writes from a place on.
type offsetWriter struct {
	to *tree.Upload
	at int64
}

func (w *offsetWriter) Write(p []byte) (int, error) {
	n, err := w.to.WriteAt(p, w.at)
	w.at += int64(n)
	return n, err
}
