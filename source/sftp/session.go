package sftp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"tallyman"
	"tallyman/source/sftp/packet"
	"tallyman/tree"
	"tallyman/user"
)

const (
	smallBuffer = 32 << 10 // what a session keeps while it has nothing to do
	bigBuffer   = packet.MaxPacket + 4096
	flushAt     = 128 << 10 // bytes of replies that are gathered while more requests wait
)

// session is one SFTP conversation. It belongs to one goroutine.
type session struct {
	c       *connection
	channel io.ReadWriter
	in      *bufio.Reader // reads from pace
	pace    *pace
	out     []byte  // replies that have not left
	big     *[]byte // the buffer that out lies in when it is a large one
	handles map[uint32]handle
	next    uint32
	begun   bool // the client has said Init
}

// handle is an open file or folder. end is called once, with closed when the client has said so; it records how it went and returns what
// to tell the client.
type handle interface {
	end(closed bool) error
}

func newSession(c *connection, channel io.ReadWriter) *session {
	p := &pace{from: channel, stall: c.srv.cfg.Stall, giveUp: func() { c.end(tallyman.ClientSilent) }}
	return &session{c: c, channel: channel, pace: p, in: bufio.NewReaderSize(p, smallBuffer), handles: map[uint32]handle{}}
}

// run answers requests until the client ends, and then ends what it left open.
func (s *session) run() {
	err := s.answer()
	if flush := s.flush(); err == nil {
		err = flush
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.c.srv.log.Debug("session ended", "client", s.c.peer.String(), "err", tallyman.Escape(err.Error()))
	}
	for _, h := range s.handles {
		_ = h.end(false) // nobody is there to be told
	}
	s.release()
}

// answer answers one request after the other. The replies leave when no whole request waits.
func (s *session) answer() error {
	var head [4]byte
	for {
		if s.c.srv.stopping.Load() && s.c.busy.Load() == 0 {
			return s.flush()
		}
		if s.in.Buffered() < len(head) {
			if err := s.flush(); err != nil {
				return err
			}
			s.release()
		}
		if _, err := io.ReadFull(s.in, head[:]); err != nil {
			return err
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		if n < 5 || n > packet.MaxPacket {
			return fmt.Errorf("a packet of %d bytes: 5 to %d are taken", n, packet.MaxPacket)
		}
		if s.in.Buffered() < n || len(s.out) >= flushAt {
			if err := s.flush(); err != nil {
				return err
			}
		}
		if err := s.one(n); err != nil {
			return err
		}
	}
}

// one reads and answers one request of n bytes.
func (s *session) one(n int) error {
	var into []byte
	if n > smallBuffer {
		buf := s.c.srv.bufs.Get().(*[]byte)
		defer s.c.srv.bufs.Put(buf)
		into = (*buf)[:n]
	}
	body, err := s.whole(n, into)
	if err != nil {
		return err
	}
	if into == nil {
		defer func() { _, _ = s.in.Discard(n) }() // it was peeked at
	}
	q, err := packet.Parse(body)
	switch {
	case err != nil && n >= 5 && s.begun:
		s.status(q.ID, packet.BadMessage, err.Error())
		return nil
	case err != nil:
		return err
	case !s.begun && q.Type != packet.Init, s.begun && q.Type == packet.Init:
		return errors.New("a conversation begins with one INIT")
	case q.Type == packet.Init:
		if s.begun = true; q.ID < 3 {
			return fmt.Errorf("the client speaks version %d: 3 is the oldest that is spoken here", q.ID)
		}
		s.out = packet.AppendVersion(s.out)
		return nil
	}
	return s.dispatch(&q)
}

// whole waits for a request of n bytes: it reads it, or without a place to read into looks at it.
func (s *session) whole(n int, into []byte) ([]byte, error) {
	if s.in.Buffered() < n {
		s.pace.begin()
		defer s.pace.end()
	}
	if into == nil {
		return s.in.Peek(n)
	}
	_, err := io.ReadFull(s.in, into)
	return into, err
}

// dispatch does what is asked. An error ends the session; whatever can be told to the client is told.
func (s *session) dispatch(q *packet.Request) error {
	switch q.Type {
	case packet.Open:
		s.open(q)
	case packet.Close:
		s.close(q)
	case packet.Read:
		return s.read(q)
	case packet.Write:
		return s.write(q)
	case packet.Stat, packet.Lstat:
		s.stat(q)
	case packet.Fstat:
		s.fstat(q)
	case packet.Setstat:
		s.setstat(q)
	case packet.Fsetstat:
		s.fsetstat(q)
	case packet.Opendir:
		s.opendir(q)
	case packet.Readdir:
		s.readdir(q)
	case packet.Realpath:
		at := clean(q.Path)
		s.out = packet.AppendNames(s.out, q.ID, []packet.Entry{{Name: at, Long: tallyman.Escape(at)}})
	case packet.Remove, packet.Mkdir, packet.Rmdir, packet.Rename:
		s.change(q)
	case packet.Extended:
		s.extended(q)
	default: // links: they may lead out, and are followed where they stay inside
		s.status(q.ID, packet.Unsupported, "links are not made or shown here")
	}
	return nil
}

func (s *session) extended(q *packet.Request) {
	switch q.Extension {
	case packet.PosixRename, packet.Hardlink:
		s.change(q)
	case packet.Limits:
		s.out = packet.AppendNumbers(s.out, q.ID, packet.MaxPacket, packet.MaxData, packet.MaxData, uint64(s.c.srv.cfg.Handles))
	case packet.StatVFS, packet.FStatVFS:
		s.statvfs(q)
	case packet.Fsync:
		u, ok := s.handleOf(q).(*upload)
		if !ok {
			s.status(q.ID, packet.Failure, "no such handle")
			return
		}
		s.reply(q.ID, u.sync())
	case packet.CopyData:
		s.copyData(q)
	default:
		s.status(q.ID, packet.Unsupported, "no such extension")
	}
}

// reserve makes room for n bytes behind the replies that wait.
func (s *session) reserve(n int) {
	if len(s.out)+n <= cap(s.out) {
		return
	}
	if s.big == nil && len(s.out)+n <= bigBuffer {
		s.big = s.c.srv.bufs.Get().(*[]byte)
		s.out = append((*s.big)[:0], s.out...)
		return
	}
	s.out = slices.Grow(s.out, n)
}

// flush sends the replies that wait.
func (s *session) flush() error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := s.channel.Write(s.out)
	s.out = s.out[:0]
	return err
}

// release gives a large buffer back while there is nothing to do.
func (s *session) release() {
	if len(s.out) > 0 {
		return
	}
	if s.big != nil {
		s.c.srv.bufs.Put(s.big)
		s.big, s.out = nil, nil
	} else if cap(s.out) > smallBuffer {
		s.out = nil
	}
}

func (s *session) status(id uint32, code packet.Code, text string) {
	s.out = packet.AppendStatus(s.out, id, code, text)
}

// reply says how something went, without a word about our folders.
func (s *session) reply(id uint32, err error) {
	if err == nil {
		s.status(id, packet.OK, "")
		return
	}
	code, text := told(refusalOf(err).Reason)
	s.status(id, code, text)
}

// told is what a client is told of a reason.
func told(r tallyman.Reason) (packet.Code, string) {
	switch r {
	case tallyman.NotFound:
		return packet.NoSuchFile, "no such file"
	case tallyman.NotReadable:
		return packet.PermissionDenied, "it is not readable"
	case tallyman.NotWritable:
		return packet.PermissionDenied, "it is not writable"
	case tallyman.Policy:
		return packet.PermissionDenied, "not allowed here"
	case tallyman.Exists:
		return packet.Failure, "the name is taken"
	case tallyman.DiskFull:
		return packet.Failure, "the disk is full"
	case tallyman.Quota:
		return packet.Failure, "the quota is used up"
	case tallyman.BadRequest:
		return packet.Failure, "bad request"
	case tallyman.Hole:
		return packet.Failure, "a part of the file was never written: nothing was stored"
	case tallyman.Shutdown:
		return packet.Failure, "the server stops"
	default:
		return packet.Failure, "input or output error"
	}
}

// refusalOf names the reason of an error.
func refusalOf(err error) *tree.Refusal {
	if r, ok := errors.AsType[*tree.Refusal](err); ok {
		return r
	}
	return &tree.Refusal{Reason: tallyman.IOError, Text: tallyman.Escape(err.Error()), Err: err}
}

func refuse(reason tallyman.Reason, format string, args ...any) error {
	return &tree.Refusal{Reason: reason, Text: fmt.Sprintf(format, args...)}
}

// clean resolves a path as a client means it, from its root on. Nothing of ".." is left.
func clean(raw string) string { return path.Clean("/" + raw) }

// name makes a name of a path of a client; the zero Name is the root. It is parsed once, here.
func name(raw string) (tallyman.Name, error) {
	at := clean(raw)
	if at == "/" {
		return tallyman.Name{}, nil
	}
	n, err := tallyman.ParseName(at)
	if err != nil {
		return n, refuse(tallyman.BadRequest, "%s: %v", tallyman.Escape(raw), err)
	}
	return n, nil
}

// may refuses what the account may not do to a path, given from the root on.
func (s *session) may(at string, right user.Right) error {
	if s.c.login.May(at, right) {
		return nil
	}
	return refuse(tallyman.Policy, "%s may not %s %s (permissions in the file of accounts)", s.c.login.Name, right, tallyman.Escape("/"+at))
}

// mayReal is may for the place where something really lies: a link does not lead around permissions.
func (s *session) mayReal(abs string, right user.Right) error {
	root := s.c.root.Tree.Path()
	return s.may(strings.TrimPrefix(strings.TrimPrefix(abs, root), "/"), right)
}

// add names an open file to the client.
func (s *session) add(id uint32, h handle) {
	s.next++
	s.handles[s.next] = h
	s.out = packet.AppendHandle(s.out, id, string(binary.BigEndian.AppendUint32(nil, s.next)))
}

// full refuses one handle too many.
func (s *session) full() error {
	if len(s.handles) >= s.c.srv.cfg.Handles {
		return refuse(tallyman.RateLimited, "%d files are open in one session, and no more are opened", len(s.handles))
	}
	return nil
}

func (s *session) handleOf(q *packet.Request) handle { return s.handleAt(q.Handle) }

func (s *session) handleAt(name string) handle {
	if len(name) != 4 {
		return nil
	}
	return s.handles[binary.BigEndian.Uint32([]byte(name))]
}

func (s *session) close(q *packet.Request) {
	h := s.handleOf(q)
	if h == nil {
		s.status(q.ID, packet.Failure, "no such handle")
		return
	}
	delete(s.handles, binary.BigEndian.Uint32([]byte(q.Handle)))
	s.reply(q.ID, h.end(true))
}
