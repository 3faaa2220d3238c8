package ftp

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tallyman"
	"tallyman/source/ftp/ascii"
	"tallyman/source/ftp/data"
	"tallyman/source/ftp/engine"
)

// pieceSize is how many bytes go from a file to a connection, or back, at once. Each running transfer holds one piece, two in ASCII.
const pieceSize = 256 << 10

// mover moves the content of one transfer over one data connection.
type mover struct {
	op      tallyman.Op
	ascii   bool
	offset  int64
	file    File
	upload  Upload
	list    []byte
	port    *data.Port
	aim     netip.AddrPort
	local   netip.Addr
	private *tls.Config // nil: clear
	reuse   bool
	hash    bool
	wait    time.Duration
	stall   time.Duration
	up      func(context.Context, int) error
	down    func(context.Context, int) error
	pieces  *sync.Pool
	moved   *atomic.Int64 // payload
	control *control

	conn *data.Conn
	sum  hash.Hash
}

// littleSize is how many bytes a new connection takes at once, whatever its peer does: half of the room that the kernel makes (tcp(7), tcp_wmem, default).
const littleSize = 8 << 10

// little reports whether all can be handed to the kernel without waiting for anybody, so that no goroutine needs to be woken for it.
func (m *mover) little() bool {
	return m.op == tallyman.OpGet && !m.ascii && m.private == nil && m.down == nil && m.port != nil && m.port.Came() && m.file.Size()-m.offset <= littleSize
}

// run moves it all. ctx ends it early. The connection of a download that went well stays open, so that its end can be proven; all others are closed.
func (m *mover) run(ctx context.Context) engine.Ending {
	e := engine.Ending{Delivered: -1}
	m.moved.Store(0)
	tcp, how := m.connect(ctx, &e)
	if tcp == nil {
		e.How = how
		return m.end(ctx, e)
	}
	e.Peer, e.Local = data.Ends(tcp)
	if e.How = m.guard(ctx, tcp, &e); e.How != engine.Whole {
		m.conn.Close()
		m.conn = nil
		return m.end(ctx, e)
	}
	stop := context.AfterFunc(ctx, m.conn.Halt)
	defer stop()
	if m.op == tallyman.OpPut || m.op == tallyman.OpAppend {
		m.receive(ctx, &e)
	} else {
		m.send(ctx, &e)
	}
	e.Bytes = m.moved.Load()
	switch {
	case e.How == engine.Whole && m.op == tallyman.OpGet:
	case e.How == engine.Whole:
		_ = m.conn.End() // the peer has said all that it will
		m.conn.Close()
		m.conn = nil
	default:
		if m.op == tallyman.OpGet {
			e.Delivered = data.Delivered(tcp, e.Bytes)
		}
		m.conn.Reset()
		m.conn = nil
	}
	return m.end(ctx, e)
}

func (m *mover) end(ctx context.Context, e engine.Ending) engine.Ending {
	if ctx.Err() != nil && e.How != engine.Whole {
		e.How = engine.Halted
	}
	seen := m.control.look()
	e.Alive = !seen.Reset && !seen.Closed
	return e
}

// connect gets the data connection.
func (m *mover) connect(ctx context.Context, e *engine.Ending) (*net.TCPConn, engine.How) {
	var c *net.TCPConn
	var err error
	if m.port != nil {
		c, err = m.port.Wait(ctx, m.wait)
	} else {
		c, err = data.Dial(ctx, m.local, m.aim, m.wait)
	}
	switch {
	case errors.Is(err, data.ErrForeign):
		e.ErrText = err.Error()
		return nil, engine.Foreign
	case err != nil:
		e.ErrText = err.Error()
		return nil, engine.NoPeer
	}
	return c, engine.Whole
}

// guard begins TLS where it is due.
func (m *mover) guard(ctx context.Context, tcp *net.TCPConn, e *engine.Ending) engine.How {
	if m.private == nil {
		m.conn = data.Plain(tcp, m.stall)
		return engine.Whole
	}
	var err error
	if m.conn, err = data.Guard(ctx, tcp, m.private, m.wait); err != nil {
		e.ErrText = err.Error()
		return engine.NoTLS
	}
	e.TLS, e.Resumed = m.conn.Version(), m.conn.Resumed()
	if m.reuse && !e.Resumed {
		return engine.Stranger
	}
	return engine.Whole
}

// broke names how a connection failed.
func (m *mover) broke(e *engine.Ending, err error) {
	e.ErrText = err.Error()
	switch {
	case m.conn.Halted():
		e.How = engine.Halted
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.How = engine.Silent
	default:
		e.How = engine.Reset
	}
}

func (m *mover) disk(e *engine.Ending, err error) {
	e.How, e.Err, e.ErrText = engine.Disk, refusalOf(err), err.Error()
}

// receive takes an upload. Its digest is that of the file, also of what it had before.
func (m *mover) receive(ctx context.Context, e *engine.Ending) {
	piece, give := m.piece()
	defer give()
	if m.hash {
		m.sum = sha256.New()
		if err := m.before(*piece); err != nil {
			m.disk(e, err)
			return
		}
	}
	var text ascii.Decoder
	var lines []byte
	for {
		n, err := m.conn.Read(*piece)
		m.moved.Add(int64(n))
		if m.up != nil && n > 0 {
			_ = m.up(ctx, n) // only ctx ends it, and the next Read then says so
		}
		part := (*piece)[:n]
		if m.ascii {
			lines = text.Append(lines[:0], part)
			if errors.Is(err, io.EOF) {
				lines = text.Finish(lines)
			}
			part = lines
		}
		if len(part) > 0 {
			if m.sum != nil {
				m.sum.Write(part)
			}
			if _, werr := m.upload.Write(part); werr != nil {
				m.disk(e, werr)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			m.broke(e, err)
			return
		}
	}
	e.Notify = m.conn.Notified()
	if m.sum != nil && !text.Changed {
		e.Digest = digest(m.sum)
	}
}

// before digests what a resumed upload begins with.
func (m *mover) before(piece []byte) error {
	for at := int64(0); at < m.offset; {
		n, err := m.upload.ReadAt(piece[:min(int64(len(piece)), m.offset-at)], at)
		if err != nil && n == 0 {
			return err
		}
		m.sum.Write(piece[:n])
		at += int64(n)
	}
	return nil
}

// send brings a download or a listing.
func (m *mover) send(ctx context.Context, e *engine.Ending) {
	if m.op == tallyman.OpList {
		var err error
		for left := m.list; len(left) > 0 && err == nil; { // a piece at a time, because each Write has a deadline
			n := 0
			n, err = m.conn.Write(left[:min(len(left), pieceSize)])
			m.moved.Add(int64(n))
			left = left[n:]
		}
		if err == nil {
			err = m.conn.End()
		}
		if err != nil {
			m.broke(e, err)
		}
		return
	}
	e.Digest = m.file.Digest()
	if m.hash && e.Digest == "" && m.offset == 0 {
		m.sum = sha256.New()
	}
	if m.sum == nil && m.private == nil && !m.ascii {
		if m.sendFile(ctx, e) {
			m.sent(e, e.Digest, false)
		}
		return
	}
	piece, give := m.piece()
	defer give()
	var text ascii.Encoder
	var lines []byte
	for at := m.offset; at < m.file.Size(); {
		n, err := m.file.ReadAt(*piece, at)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			e.How, e.ErrText = engine.ShortFile, err.Error()
			return
		}
		if err != nil && !errors.Is(err, io.EOF) {
			m.disk(e, err)
			return
		}
		part := (*piece)[:n]
		at += int64(n)
		if m.sum != nil {
			m.sum.Write(part)
		}
		if m.ascii {
			lines = text.Append(lines[:0], part)
			part = lines
		}
		if m.down != nil {
			_ = m.down(ctx, len(part)) // only ctx ends it, and Write then says so
		}
		w, err := m.conn.Write(part)
		m.moved.Add(int64(w))
		if err != nil {
			m.broke(e, err)
			return
		}
	}
	whole := e.Digest
	if m.sum != nil {
		whole = digest(m.sum)
	}
	m.sent(e, whole, text.Changed)
}

// sent ends a download that went as a whole. other says that the wire had other bytes than the file.
func (m *mover) sent(e *engine.Ending, whole tallyman.Digest, other bool) {
	if err := m.conn.End(); err != nil {
		m.broke(e, err)
		return
	}
	e.Changed = !m.file.Unchanged(whole)
	if e.Digest = ""; m.offset == 0 && !other {
		e.Digest = whole // of what went over the wire
	}
}

// sendSize is how many bytes the kernel is told to send at once.
const sendSize = 4 << 20

// sendFile sends what nobody needs to look at: its digest is known, or not wanted. It reports whether all of it went.
func (m *mover) sendFile(ctx context.Context, e *engine.Ending) bool {
	for at, size := m.offset, m.file.Size(); at < size; {
		n := int(min(sendSize, size-at))
		if m.down != nil {
			n = min(n, pieceSize) // what waits at the bound of an account is no more than a piece
			_ = m.down(ctx, n)    // only ctx ends it, and Send then says so
		}
		for n > 0 {
			sent, err := m.conn.Send(func(socket int) (int, error) { return m.file.Send(socket, at, n) })
			m.moved.Add(int64(sent))
			at, n = at+int64(sent), n-sent
			if errors.Is(err, io.ErrUnexpectedEOF) {
				e.How, e.ErrText = engine.ShortFile, err.Error()
				return false
			}
			if err != nil {
				m.broke(e, err)
				return false
			}
		}
	}
	return true
}

// piece lends memory.
func (m *mover) piece() (*[]byte, func()) {
	p, ok := m.pieces.Get().(*[]byte)
	if !ok {
		b := make([]byte, pieceSize)
		p = &b
	}
	return p, func() { m.pieces.Put(p) }
}

func digest(h hash.Hash) tallyman.Digest {
	return tallyman.Digest("sha256:" + hex.EncodeToString(h.Sum(nil)))
}

func refusalOf(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	return &Refusal{Reason: tallyman.IOError, Text: err.Error()}
}
