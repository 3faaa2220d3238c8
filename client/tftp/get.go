package tftp

import (
	"errors"
	"io"
	"syscall"
	"time"

	"tallyman"
)

// getter is the machine of a download.
type getter struct {
	session
	to       io.Writer
	last     uint16 // the block that was received last in order
	began    bool   // DATA has come
	inWindow int    // blocks since the last ACK
	gap      bool   // the ACK that reports the gap is out
	skip     bool   // the server counts 65535, 1 and leaves out 0
	wire     int64  // payload bytes
}

func newGetter(r Request, to io.Writer) *getter {
	return &getter{session: newSession(r, r.options(0)), to: to}
}

func (g *getter) begin(now time.Time) {
	g.session.begin(now, request(opRRQ, g.request.Name, g.request.Mode, g.asked))
}

func (g *getter) common() *session { return &g.session }

func (g *getter) payload() int64 { return g.wire }

// receive takes a packet of the server. After the end it still answers the last DATA, if that comes again.
func (g *getter) receive(now time.Time, p packet) {
	switch {
	case p.op == opDATA:
		g.data(now, p)
	case g.ended != nil:
	case p.op == opERROR:
		g.failed(p, false, g.began)
	case p.op == opOACK && g.began, p.op == opACK:
	case p.op == opOACK && g.granted.Options:
		g.duplicates++
		g.out = append(g.out, ack(0))
	case p.op == opOACK:
		if g.answered = true; g.agree(p.options) {
			g.moved(now)
			g.send(now, ack(0))
		}
	}
}

func (g *getter) data(now time.Time, p packet) {
	next := g.last + 1
	// Servers that leave out block 0 can be told from others only where each block is acknowledged.
	if next == 0 && p.block == 1 && g.granted.Window == 1 || g.skip && next == 0 {
		next, g.skip = 1, true
	}
	switch {
	case g.ended != nil:
		if g.ended.verdict == tallyman.Complete && p.block == g.last {
			g.out = append(g.out, ack(g.last))
		}
	case p.block == next:
		g.answered = true
		g.take(now, p)
	case p.block-next < 1<<15:
		g.answered = true
		if !g.gap && (g.began || g.granted.Options) {
			g.gap, g.inWindow = true, 0
			g.out = append(g.out, ack(g.last))
		}
	default:
		g.duplicates++
		if p.block == g.last && g.began {
			g.inWindow = 0
			g.out = append(g.out, ack(g.last))
		}
	}
}

// take stores the block that was due.
func (g *getter) take(now time.Time, p packet) {
	if len(p.payload) > g.granted.BlockSize {
		g.stop(end{tallyman.Failed, tallyman.ServerError, "the server sends blocks larger than agreed", false}, errIllegal, "block too large")
		return
	}
	if _, err := g.to.Write(p.payload); err != nil {
		g.lost(err)
		return
	}
	g.moved(now)
	g.began, g.gap, g.last = true, false, p.block
	g.wire += int64(len(p.payload))
	g.inWindow++
	final := len(p.payload) < g.granted.BlockSize
	if final || g.inWindow >= g.granted.Window {
		g.inWindow = 0
		g.send(now, ack(g.last))
	} else {
		g.repeat = [][]byte{ack(g.last)}
	}
	if final {
		g.finish(end{verdict: tallyman.Complete, reason: tallyman.FinalAck})
	}
}

// lost ends the transfer because the content could not be stored.
func (g *getter) lost(err error) {
	e, code := end{tallyman.Failed, tallyman.IOError, "store the content: " + err.Error(), false}, uint16(errUndefined)
	if errors.Is(err, syscall.ENOSPC) {
		e.reason, code = tallyman.DiskFull, errDiskFull
	}
	g.stop(e, code, "cannot store the file")
}
