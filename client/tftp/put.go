package tftp

import (
	"errors"
	"io"
	"time"

	"tallyman"
)

// putter is the machine of an upload.
type putter struct {
	session
	from    io.Reader
	open    [][]byte // DATA that was sent and not acknowledged, oldest first
	acked   uint16   // the block acknowledged last
	final   bool     // the last block is in open, or acknowledged
	started bool     // the server accepted the request
	wire    int64    // payload bytes acknowledged
}

// newPutter announces the size, unless it is below 0.
func newPutter(r Request, from io.Reader, size int64) *putter {
	return &putter{session: newSession(r, r.options(size)), from: from}
}

func (p *putter) begin(now time.Time) {
	p.session.begin(now, request(opWRQ, p.request.Name, p.request.Mode, p.asked))
}

func (p *putter) common() *session { return &p.session }

func (p *putter) payload() int64 { return p.wire }

func (p *putter) receive(now time.Time, in packet) {
	switch {
	case p.ended != nil, in.op == opDATA:
	case in.op == opERROR:
		p.failed(in, true, p.started)
	case in.op == opOACK && p.started:
		p.duplicates++
	case in.op == opOACK:
		if p.answered = true; p.agree(in.options) {
			p.start(now)
		}
	case in.op == opACK && !p.started:
		if in.block == 0 {
			p.answered = true
			p.start(now)
		}
	case in.op == opACK:
		p.acknowledged(now, in.block)
	}
}

func (p *putter) start(now time.Time) {
	p.started = true
	p.moved(now)
	p.fill(now)
}

// acknowledged moves on. The same ACK again, or one of a block that was not sent, moves nothing and sends nothing.
func (p *putter) acknowledged(now time.Time, block uint16) {
	n := int(block - p.acked)
	if n == 0 || n > len(p.open) {
		p.duplicates++
		return
	}
	for _, b := range p.open[:n] {
		p.wire += int64(len(b) - 4)
	}
	p.acked, p.open = block, p.open[n:]
	p.moved(now)
	if p.final && len(p.open) == 0 {
		p.finish(end{verdict: tallyman.Complete, reason: tallyman.FinalAck})
		return
	}
	p.fill(now)
}

// fill sends a window: what the server has not got, and then what is new (RFC 7440, section 4).
func (p *putter) fill(now time.Time) {
	again := len(p.open)
	p.retransmits += again
	for !p.final && len(p.open) < p.granted.Window {
		block := append(header(p.acked+uint16(len(p.open))+1), make([]byte, p.granted.BlockSize)...)
		n, err := io.ReadFull(p.from, block[4:])
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			p.stop(end{tallyman.Failed, tallyman.IOError, "read the content: " + err.Error(), false}, errUndefined, "cannot read the file")
			return
		}
		p.final = n < p.granted.BlockSize
		p.open = append(p.open, block[:4+n])
	}
	p.send(now, p.open...)
	if again > 0 {
		p.sent = time.Time{}
	}
}
