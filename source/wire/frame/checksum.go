package frame

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A kernel drops a packet whose checksum is wrong (RFC 1122, section 4.1.3.4; RFC 9293, section 3.1), so it is no evidence: whoever sends one would
// show the witness what the receiver never sees. But what a machine sends itself is captured before its network card sets the checksum: then there
// stands the sum of the pseudo header (Linux: CHECKSUM_PARTIAL), or anything. So a sender is judged by himself: a packet is damaged when most of what he
// sent before was right.

// mostSenders bounds the addresses of which is known how they send. When it is full, all are forgotten.
const mostSenders = 4096

// sender counts what an address sent.
type sender struct{ right, wrong uint32 }

// damaged reports whether the checksum of a UDP or TCP packet that was captured whole, with its checksum at offset at, says that it was damaged.
func (d *Decoder) damaged(h *header, payload []byte, at int) bool {
	field := binary.BigEndian.Uint16(payload[at:])
	if field == 0 && h.proto == protoUDP || h.routed {
		return false // none (RFC 768)
	}
	pseudo := pseudoSum(h, len(payload))
	right := fold(pseudo+sum(payload)) == 0xffff
	if !right && (field == fold(pseudo) || field == fold(pseudoSum(h, 0))) {
		return false // the network card sets it, of a segment that it cuts without the length
	}
	s := d.senders[h.src]
	if s == nil {
		if len(d.senders) >= mostSenders {
			clear(d.senders)
		}
		s = new(sender)
		d.senders[h.src] = s
	}
	switch {
	case right:
		s.right++
	case s.right > 2*s.wrong:
		s.wrong++
	default:
		s.wrong++
		right = true // as far as he can be judged
	}
	return !right
}

// pseudoSum is the sum of the pseudo header (RFC 768; RFC 8200, section 8.1), not folded.
func pseudoSum(h *header, length int) uint64 {
	return addressSum(h.src) + addressSum(h.dst) + uint64(h.proto) + uint64(length)
}

func addressSum(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint16(b[:])) + uint64(binary.BigEndian.Uint16(b[2:]))
	}
	b := a.As16()
	return sum(b[:])
}

// sum adds 16-bit words of the bytes, in eights: the carries are words of the same sum (RFC 1071).
func sum(b []byte) uint64 {
	var s, carry uint64
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	s, carry = bits.Add64(s, 0, carry)
	s += carry
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	for ; len(b) >= 2; b = b[2:] {
		s += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint64(b[0]) << 8
	}
	return s
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
