package load

import (
	"encoding/binary"
	"fmt"
)

// step is what a machine wants after a packet.
type step int

const (
	wait   step = iota // for the next packet
	answer             // send what the machine holds ready, then wait
	done               // the transfer is whole; a reader still sends its last ACK
	broken             // the transfer is over and not whole
)

// reader is one read as a pure machine: packets in, ACKs out. It asks for the wrong
// block at most once until the transfer moves on, so that no window comes twice.
type reader struct {
	pattern *Pattern
	size    int64
	block   int
	window  int

	next  uint16 // the block that is due
	run   int    // blocks taken since the last ACK
	asked bool   // a gap was acknowledged and nothing moved since
	got   int64
	gaps  int
	ack   [header]byte
	err   error
}

func newReader(s *Spec, pattern *Pattern) reader {
	return reader{pattern: pattern, size: s.Size, block: s.Block, window: max(s.Window, 1), next: 1}
}

// take judges one packet of the server.
func (r *reader) take(p []byte) step {
	if len(p) < header {
		return r.end(fmt.Errorf("packet of %d bytes", len(p)))
	}
	switch binary.BigEndian.Uint16(p) {
	case opData:
		return r.data(binary.BigEndian.Uint16(p[2:]), p[header:])
	case opOptions:
		return r.options(p)
	case opError:
		return r.end(refusal(p))
	}
	return r.end(fmt.Errorf("opcode %d in a read", binary.BigEndian.Uint16(p)))
}

func (r *reader) options(p []byte) step {
	if r.got > 0 {
		return wait
	}
	block, window, err := granted(p, r.block, r.window)
	if err != nil {
		return r.end(err)
	}
	r.block, r.window = block, window
	putAck(&r.ack, 0)
	return answer
}

func (r *reader) data(block uint16, content []byte) step {
	if r.got == 0 && r.ack == [header]byte{} {
		r.block, r.window = 512, 1 // RFC 2347: DATA in place of an OACK refuses all options
	}
	if block != r.next {
		return r.stray(block)
	}
	if len(content) > r.block || !r.pattern.Holds(r.got, content) {
		return r.end(fmt.Errorf("block %d at byte %d holds wrong content", block, r.got))
	}
	r.got += int64(len(content))
	r.next++
	r.run++
	r.asked = false
	last := len(content) < r.block
	if !last && r.run < r.window {
		return wait
	}
	r.run = 0
	putAck(&r.ack, block)
	if !last {
		return answer
	}
	if r.got != r.size {
		return r.end(fmt.Errorf("file ended after %d of %d bytes", r.got, r.size))
	}
	return done
}

// stray answers a block that is not due. The last good block again means that our ACK
// was lost; a later block means that one before it was (RFC 7440 section 4). A window
// that comes twice must not be acknowledged twice, or it comes twice for ever.
func (r *reader) stray(block uint16) step {
	r.gaps++
	ahead := int16(block - r.next)
	again := ahead == -1 && (r.window == 1 || r.run == 0 && !r.asked)
	if !again && (ahead <= 0 || r.asked) {
		return wait
	}
	r.asked = true
	r.run = 0
	putAck(&r.ack, r.next-1)
	return answer
}

func (r *reader) end(err error) step {
	r.err = err
	return broken
}
