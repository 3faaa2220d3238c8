package load

import (
	"encoding/binary"
	"fmt"
)

// writer is one upload as a pure machine: ACKs in, ranges of blocks out. Blocks are
// counted from 1 without the 16-bit wrap of the wire.
type writer struct {
	size   int64
	block  int
	window int

	acked   int64 // the last block the server has
	sent    int64 // the last block that went out
	started bool  // ACK 0 or an OACK came
	gaps    int
	err     error
}

func newWriter(s *Spec) writer {
	return writer{size: s.Size, block: s.Block, window: max(s.Window, 1)}
}

// last is the number of the block that ends the file: a short one, if need be empty.
func (w *writer) last() int64 { return w.size/int64(w.block) + 1 }

// due is the range of blocks to send when a step asks for an answer or time ran out.
func (w *writer) due() (from, to int64) {
	return w.acked + 1, min(w.acked+int64(w.window), w.last())
}

// take judges one packet of the server.
func (w *writer) take(p []byte) step {
	if len(p) < header {
		return w.end(fmt.Errorf("packet of %d bytes", len(p)))
	}
	switch binary.BigEndian.Uint16(p) {
	case opAck:
		return w.ack(binary.BigEndian.Uint16(p[2:]))
	case opOptions:
		return w.options(p)
	case opError:
		return w.end(refusal(p))
	}
	return w.end(fmt.Errorf("opcode %d in a write", binary.BigEndian.Uint16(p)))
}

func (w *writer) options(p []byte) step {
	if w.started {
		return wait
	}
	block, window, err := granted(p, w.block, w.window)
	if err != nil {
		return w.end(err)
	}
	w.block, w.window, w.started = block, window, true
	return answer
}

func (w *writer) ack(block uint16) step {
	if !w.started {
		if block != 0 {
			return w.end(fmt.Errorf("ACK %d in place of ACK 0", block))
		}
		w.block, w.window, w.started = 512, 1, true
		return answer
	}
	ahead := int64(int16(block - uint16(w.acked)))
	if ahead <= 0 || ahead > w.sent-w.acked {
		return wait // RFC 1123 section 4.2.3.1: a duplicate ACK repeats nothing
	}
	w.acked += ahead
	if w.acked == w.last() {
		return done
	}
	if w.acked < w.sent {
		w.gaps++
	}
	return answer
}

func (w *writer) end(err error) step {
	w.err = err
	return broken
}
