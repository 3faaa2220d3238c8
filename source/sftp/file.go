package sftp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strconv"
	"time"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/source/sftp/ranges"
	"tallyman/tree"
	"tallyman/user"
)

// download is a file that is being read.
type download struct {
	story
	s      *session
	file   *tree.File
	sent   ranges.Set
	reads  int64
	copied int64 // bytes that went into another file here
	first  int64 // offset of the first read
	err    error // what ended it, if we did
	sum    hash.Hash
	summed int64           // bytes that are in sum
	known  tallyman.Digest // of the same content, from before
	// scattered reads were in too many pieces to keep account of.
	scattered bool
	opened    time.Time
}

// open opens a file for reading, or begins an upload.
func (s *session) open(q *packet.Request) {
	s.c.srv.counts.transfers.Add(1)
	if q.Flags&packet.FlagWrite != 0 || q.Flags&packet.FlagAppend != 0 {
		s.openUpload(q)
		return
	}
	d := &download{story: s.c.newStory(tallyman.OpGet, q.Path), s: s, opened: time.Now()}
	if err := d.begin(q); err != nil {
		d.refused(err)
		s.reply(q.ID, err)
		return
	}
	s.c.busy.Add(1)
	s.add(q.ID, d)
}

func (d *download) begin(q *packet.Request) error {
	s := d.s
	if err := s.full(); err != nil {
		return err
	}
	if !s.c.srv.parts.Policy().Read {
		return refuse(tallyman.Policy, "this server is write-only (serve.sftp.read is false)")
	}
	n, err := name(q.Path)
	if err == nil {
		err = s.may(n.Path(), user.Read)
	}
	if err != nil {
		return err
	}
	if q.Flags&packet.FlagRead == 0 || q.Flags&^packet.FlagRead != 0 {
		return refuse(tallyman.BadRequest, "opened with the flags %#x: neither a read nor a write", q.Flags)
	}
	if d.file, err = s.c.root.Tree.OpenRead(n); err != nil {
		return err
	}
	if err := s.mayReal(d.file.Path(), user.Read); err != nil {
		_ = d.file.Close()
		return err
	}
	id := d.file.Identity()
	d.path, d.story.file = d.file.Path(), handleName(id)
	d.size, d.expected = id.Size, id.Size
	if d.known, _ = s.c.root.Digests.Get(id); d.known == "" && s.c.srv.cfg.Hash {
		d.sum = sha256.New()
	}
	return nil
}

// handleName names a file on one host: device and inode.
func handleName(id tree.Identity) string {
	return strconv.FormatUint(id.Dev, 10) + ":" + strconv.FormatUint(id.Ino, 10)
}

// read answers a READ, of a file or of an upload.
func (s *session) read(q *packet.Request) error {
	n := int(min(q.Length, packet.MaxData))
	from, d := s.readable(q.Handle)
	if from == nil {
		s.status(q.ID, packet.Failure, "no such handle")
		return nil
	}
	if q.Offset > 1<<62 {
		s.status(q.ID, packet.EOF, "end of file")
		return nil
	}
	if err := s.c.login.Down(s.c.ctx, n); err != nil {
		return err
	}
	if len(s.out)+packet.DataHead+n > bigBuffer {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.reserve(packet.DataHead + n)
	at := len(s.out)
	p := s.out[at : at+packet.DataHead+n]
	got, err := from.ReadAt(p[packet.DataHead:], int64(q.Offset))
	if d != nil {
		d.note(p[packet.DataHead:packet.DataHead+got], int64(q.Offset), err)
	}
	switch {
	case got > 0:
		packet.PutData(p, q.ID, got)
		s.out = s.out[:at+packet.DataHead+got]
	case errors.Is(err, io.EOF) || err == nil:
		s.status(q.ID, packet.EOF, "end of file")
	default:
		s.reply(q.ID, err)
	}
	return nil
}

// note remembers what is about to be sent.
func (d *download) note(p []byte, at int64, err error) {
	if d.reads == 0 {
		d.first = at
	}
	d.reads++
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
	case d.err == nil:
		d.err = err
	}
	d.scattered = !d.sent.Add(at, int64(len(p))) || d.scattered
	if d.sum != nil && at == d.summed {
		d.sum.Write(p)
		d.summed += int64(len(p))
	}
	d.goesOn(time.Now(), d.sent.Sum())
}

// end implements handle.
func (d *download) end(closed bool) error {
	defer d.s.c.busy.Add(-1)
	moved, whole := d.sent.Sum(), d.sent.Front() >= d.size
	more := map[string]any{"reads": d.reads}
	if d.first > 0 {
		more["offset"] = d.first
	}
	if d.copied > 0 {
		more["copied"] = d.copied
	}
	reason, text := tallyman.ClosedWell, ""
	switch {
	case d.err != nil:
		r := refusalOf(d.err)
		reason, text = tallyman.IOError, r.Text
		if errors.Is(d.err, io.ErrUnexpectedEOF) {
			text = "the file became shorter while it was read"
		}
	case closed && whole && (d.size > 0 || d.reads > 0):
	case closed && d.reads == 0:
		reason = tallyman.SizeProbe
	case closed:
		reason = tallyman.PartialRead
		if d.scattered {
			text = "it was read in too many pieces to keep account of"
		}
	case whole && d.s.c.why.Load() == nil:
		reason, text = tallyman.DeliveredUnconfirmed, "all was sent, and the handle was never closed"
	default:
		reason = d.s.c.ended()
		sent := moved
		moved = max(0, sent-d.s.c.raw.missing())
		more["sent"] = sent
	}
	digest := d.digest(whole)
	changed, err := d.file.Changed()
	if changed || err != nil {
		digest = ""
		if text == "" {
			text = "the file changed while it was read"
		}
	} else if digest != "" && d.known == "" {
		d.s.c.root.Digests.Put(d.file.Identity(), digest, d.opened)
	}
	_ = d.file.Close() // it was only read
	e := d.story.end(reason, moved, text, more)
	e.Digest = digest
	d.tell(e)
	return nil
}

// digest is that of a content that was sent as a whole.
func (d *download) digest(whole bool) tallyman.Digest {
	switch {
	case !whole:
		return ""
	case d.known != "":
		return d.known
	case d.sum == nil:
		return ""
	case d.summed == d.size:
		return digestOf(d.sum)
	default:
		return ""
	}
}

func digestOf(h hash.Hash) tallyman.Digest {
	return tallyman.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}
