package frame

import (
	"encoding/binary"
	"net/netip"
)

// Decoder takes frames apart. It belongs to one goroutine: it reuses its memory.
type Decoder struct {
	Counts Counts
	// Follows says which UDP and TCP packets matter to anybody, by their ends; nil: all do. Those that do not are not held against their checksum: to
	// read all of them costs more than all else.
	Follows func(k Kind, src, dst netip.AddrPort) bool
	frags   fragments
	senders map[netip.Addr]*sender
}

// NewDecoder returns a Decoder that keeps fragments within the limits.
func NewDecoder(l Limits) *Decoder {
	return &Decoder{frags: newFragments(l), senders: map[netip.Addr]*sender{}}
}

// mostTags bounds the VLAN tags of one frame, mostHeaders the extension headers of one IPv6 packet.
const (
	mostTags    = 4
	mostHeaders = 16
)

// EtherTypes (IEEE 802 numbers).
const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd
	typeVLAN = 0x8100
	typeQinQ = 0x88a8
	typeOldQ = 0x9100
)

// IP protocol numbers.
const (
	protoHop      = 0
	protoICMP     = 1
	protoTCP      = 6
	protoUDP      = 17
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	protoICMPv6   = 58
	protoOptions  = 60
	protoMobility = 135
)

// Decode fills p from a frame of which length bytes were on the wire and data were captured. It reports whether p holds a UDP or TCP
// packet or an unreachable; a fragment counts with the last one of its datagram.
func (d *Decoder) Decode(p *Packet, link Link, data []byte, length int) bool {
	d.Counts.Frames++
	p.Kind, p.Payload, p.Length, p.Flags, p.Quoted = Other, nil, 0, 0, Other
	if length < len(data) {
		length = len(data)
	}
	switch link {
	case Ethernet:
		if len(data) < 14 {
			return d.malformed()
		}
		return d.tagged(p, binary.BigEndian.Uint16(data[12:]), data[14:], length-14)
	case SLL:
		if len(data) < 16 {
			return d.malformed()
		}
		p.Place = p.Place<<1 | outgoing(uint32(binary.BigEndian.Uint16(data)))
		return d.tagged(p, binary.BigEndian.Uint16(data[14:]), data[16:], length-16)
	case SLL2:
		if len(data) < 20 {
			return d.malformed()
		}
		p.Place = p.Place<<16 ^ binary.BigEndian.Uint32(data[4:])<<1 | outgoing(uint32(data[10]))
		return d.tagged(p, binary.BigEndian.Uint16(data), data[20:], length-20)
	case Null, Loop:
		if len(data) < 4 {
			return d.malformed()
		}
		return d.ip(p, data[4:], length-4)
	case Raw, RawBSD, RawOld, IPv4, IPv6:
		return d.ip(p, data, length)
	default:
		d.Counts.Other++
		return false
	}
}

// outgoing is 1 for packets that the machine sends (PACKET_OUTGOING of linux/if_packet.h).
func outgoing(packetType uint32) uint32 {
	if packetType == 4 {
		return 1
	}
	return 0
}

func (d *Decoder) malformed() bool {
	d.Counts.Malformed++
	return false
}

func (d *Decoder) other() bool {
	d.Counts.Other++
	return false
}

func (d *Decoder) tagged(p *Packet, ethertype uint16, data []byte, length int) bool {
	for range mostTags + 1 {
		switch ethertype {
		case typeIPv4, typeIPv6:
			return d.ip(p, data, length)
		case typeVLAN, typeQinQ, typeOldQ:
			if len(data) < 4 {
				return d.malformed()
			}
			ethertype, data, length = binary.BigEndian.Uint16(data[2:]), data[4:], length-4
		default:
			return d.other()
		}
	}
	return d.other()
}

func (d *Decoder) ip(p *Packet, data []byte, length int) bool {
	if len(data) == 0 {
		return d.malformed()
	}
	switch data[0] >> 4 {
	case 4:
		return d.ip4(p, data, length)
	case 6:
		return d.ip6(p, data, length)
	default:
		return d.other()
	}
}

// header is what both versions of IP say of a payload.
type header struct {
	src, dst netip.Addr
	proto    uint8
	id       uint32
	offset   int // of a fragment
	more     bool
	fragment bool
	routed   bool // by a list of addresses: the last of them is in the checksum, and not dst
}

// readIP4 returns header, payload and the payload's length on the wire. A total length of 0 is that of a packet too large for the
// field, which the kernel has not yet cut (BIG TCP, segmentation offload): the frame's length counts.
func readIP4(data []byte, length int) (h header, payload []byte, n int, ok bool) {
	if len(data) < 20 {
		return h, nil, 0, false
	}
	ihl, total := int(data[0]&15)*4, int(binary.BigEndian.Uint16(data[2:]))
	if total == 0 || total > length {
		total = length
	}
	if ihl < 20 || ihl > total || ihl > len(data) {
		return h, nil, 0, false
	}
	frag := binary.BigEndian.Uint16(data[6:])
	h = header{
		src: netip.AddrFrom4([4]byte(data[12:16])), dst: netip.AddrFrom4([4]byte(data[16:20])), proto: data[9],
		id: uint32(binary.BigEndian.Uint16(data[4:])), offset: int(frag&0x1fff) * 8, more: frag&0x2000 != 0,
	}
	h.fragment = h.more || h.offset > 0
	h.routed = ihl > 20 && sourceRoute(data[20:ihl])
	return h, data[ihl:min(total, len(data))], total - ihl, true
}

// sourceRoute reports whether the options of an IPv4 header hold a loose or strict source route (RFC 791, section 3.1).
func sourceRoute(options []byte) bool {
	for len(options) > 1 && options[0] != 0 {
		switch {
		case options[0] == 131 || options[0] == 137:
			return true
		case options[0] == 1:
			options = options[1:]
		case options[1] < 2 || int(options[1]) > len(options):
			return true // nobody knows
		default:
			options = options[options[1]:]
		}
	}
	return false
}

func (d *Decoder) ip4(p *Packet, data []byte, length int) bool {
	h, payload, n, ok := readIP4(data, length)
	if !ok {
		return d.malformed()
	}
	return d.transport(p, &h, payload, n)
}

// readIP6 walks the extension headers (RFC 8200, section 4). A payload length of 0 is that of a jumbogram or of an uncut packet.
func readIP6(data []byte, length int) (h header, payload []byte, n int, ok bool) {
	if len(data) < 40 {
		return h, nil, 0, false
	}
	n = int(binary.BigEndian.Uint16(data[4:]))
	if n == 0 || n > length-40 {
		n = length - 40
	}
	h = header{src: netip.AddrFrom16([16]byte(data[8:24])), dst: netip.AddrFrom16([16]byte(data[24:40])), proto: data[6]}
	payload = data[40:min(40+n, len(data))]
	for range mostHeaders {
		size := 0
		switch h.proto {
		case protoHop, protoRouting, protoOptions, protoMobility:
			if len(payload) < 8 {
				return h, nil, 0, false
			}
			size = (int(payload[1]) + 1) * 8
			h.routed = h.routed || h.proto == protoRouting
		case protoAH:
			if len(payload) < 8 {
				return h, nil, 0, false
			}
			size = (int(payload[1]) + 2) * 4
		case protoFragment:
			if len(payload) < 8 {
				return h, nil, 0, false
			}
			frag := binary.BigEndian.Uint16(payload[2:])
			h.offset, h.more, h.id = int(frag&0xfff8), frag&1 != 0, binary.BigEndian.Uint32(payload[4:])
			h.fragment = h.more || h.offset > 0 // RFC 6946: an atomic fragment is no fragment
			size = 8
		default:
			return h, payload, n, true
		}
		if size > len(payload) || size > n {
			return h, nil, 0, false
		}
		last := h.proto
		h.proto, payload, n = payload[0], payload[size:], n-size
		if last == protoFragment && h.fragment {
			return h, payload, n, true
		}
	}
	return h, nil, 0, false
}

func (d *Decoder) ip6(p *Packet, data []byte, length int) bool {
	h, payload, n, ok := readIP6(data, length)
	if !ok {
		return d.malformed()
	}
	return d.transport(p, &h, payload, n)
}

// transport reads what IP carries; n is the length of the payload on the wire.
func (d *Decoder) transport(p *Packet, h *header, payload []byte, n int) bool {
	if h.fragment {
		d.Counts.Fragments++
		whole, ok := d.frags.add(p, h, payload, n)
		d.Counts.Lost = d.frags.lost
		if !ok {
			return false
		}
		payload, n = whole, len(whole)
	}
	switch h.proto {
	case protoUDP:
		return d.udp(p, h, payload, n)
	case protoTCP:
		return d.tcp(p, h, payload, n)
	case protoICMP, protoICMPv6:
		return d.icmp(p, h, payload)
	default:
		return d.other()
	}
}

func (d *Decoder) follows(k Kind, p *Packet) bool {
	return d.Follows == nil || d.Follows(k, p.Src, p.Dst)
}

func (d *Decoder) udp(p *Packet, h *header, payload []byte, n int) bool {
	if len(payload) < 8 {
		return d.malformed()
	}
	// A length of 0 is that of a jumbogram (RFC 2675, section 4).
	size := int(binary.BigEndian.Uint16(payload[4:]))
	if size == 0 || size > n {
		size = n
	}
	if size < 8 {
		return d.malformed()
	}
	p.Src = netip.AddrPortFrom(h.src, binary.BigEndian.Uint16(payload))
	p.Dst = netip.AddrPortFrom(h.dst, binary.BigEndian.Uint16(payload[2:]))
	if size <= len(payload) && d.follows(UDP, p) && d.damaged(h, payload[:size], 6) {
		d.Counts.Damaged++
		return false
	}
	p.Kind = UDP
	p.Payload, p.Length = payload[8:min(size, len(payload))], size-8
	return true
}

func (d *Decoder) tcp(p *Packet, h *header, payload []byte, n int) bool {
	if len(payload) < 20 {
		return d.malformed()
	}
	size := int(payload[12]>>4) * 4
	if size < 20 || size > n {
		return d.malformed()
	}
	p.Src = netip.AddrPortFrom(h.src, binary.BigEndian.Uint16(payload))
	p.Dst = netip.AddrPortFrom(h.dst, binary.BigEndian.Uint16(payload[2:]))
	if n <= len(payload) && d.follows(TCP, p) && d.damaged(h, payload[:n], 16) {
		d.Counts.Damaged++
		return false
	}
	p.Kind = TCP
	p.Seq, p.Ack, p.Flags = binary.BigEndian.Uint32(payload[4:]), binary.BigEndian.Uint32(payload[8:]), payload[13]
	p.Payload, p.Length = payload[min(size, len(payload)):], n-size
	return true
}

// icmp reads destination unreachable (RFC 792; RFC 4443, section 3.1) and the ports of the packet that it quotes.
func (d *Decoder) icmp(p *Packet, h *header, payload []byte) bool {
	if len(payload) < 8 {
		return d.malformed()
	}
	const mtuExceeded = 4 // RFC 1191: not unreachable, only too large
	read := readIP4
	switch {
	case h.proto == protoICMP && h.src.Is4() && payload[0] == 3 && payload[1] != mtuExceeded:
	case h.proto == protoICMPv6 && h.src.Is6() && payload[0] == 1:
		read = readIP6
	default:
		return d.other()
	}
	inner := payload[8:]
	if len(inner) == 0 || (inner[0]>>4 == 4) != (h.proto == protoICMP) {
		return d.malformed()
	}
	// The quoted packet is cut: its own length does not matter.
	quoted, rest, _, ok := read(inner, 1<<16)
	if !ok || quoted.offset > 0 || len(rest) < 4 {
		return d.malformed()
	}
	switch quoted.proto {
	case protoUDP:
		p.Quoted = UDP
	case protoTCP:
		p.Quoted = TCP
	default:
		return d.other()
	}
	p.Kind, p.From = Unreachable, h.src
	p.Src = netip.AddrPortFrom(quoted.src, binary.BigEndian.Uint16(rest))
	p.Dst = netip.AddrPortFrom(quoted.dst, binary.BigEndian.Uint16(rest[2:]))
	return true
}
