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
	if field == fold(pseudo) || field == fold(pseudo-uint64(len(payload))) {
		return false // the network card sets it, of a segment that it cuts without the length
	}
	right := fold(pseudo+sum(payload)) == 0xffff
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

// sum adds the 16-bit words of the bytes and folds the carries. It adds them in eights and swapped: neither changes the sum (RFC 1071, section 2).
func sum(b []byte) uint64 {
	var s, carry uint64
	for ; len(b) >= 32; b = b[32:] {
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), carry)
		s, carry = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), carry)
		s, carry = bits.Add64(s, 0, carry)
		s += carry
	}
	s = s>>32 + s&0xffffffff
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.LittleEndian.Uint32(b))
	}
	if len(b) >= 2 {
		s, b = s+uint64(binary.LittleEndian.Uint16(b)), b[2:]
	}
	if len(b) == 1 {
		s += uint64(b[0])
	}
	return uint64(bits.ReverseBytes16(fold(s)))
}

func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
