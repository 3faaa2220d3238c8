// Package frame takes a captured frame apart, down to the payload of UDP and TCP.
//
//	link layer (Ethernet, VLAN, cooked, raw, loopback) --> IPv4 or IPv6, fragments put together --> UDP, TCP, ICMP unreachable
//
// It promises to read nothing beyond the bytes it is given, to keep at most Limits of fragments, and never to join fragments that
// contradict each other. A packet with a wrong checksum is dropped and counted, unless its sender's network card may still have to set it.
// What a packet means it leaves to others. It is pure: the time arrives with the packet.
package frame

import (
	"net/netip"
	"time"
)

// Kind is what a packet carries.
type Kind uint8

// The kinds. Unreachable is an ICMP or ICMPv6 message that says that a packet did not arrive.
const (
	Other Kind = iota
	UDP
	TCP
	Unreachable
)

// The flags of a TCP segment (RFC 9293, section 3.1).
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
)

// Packet is one decoded packet. Time, Number, Place and Local are set by whoever captured it.
type Packet struct {
	Time   time.Time
	Number uint64 // its place in the capture, from 1; 0 = not known
	Place  uint32 // the interface and direction where it was seen
	Kind   Kind

	Src, Dst netip.AddrPort
	Payload  []byte // as far as it was captured; valid until the next Decode
	Length   int    // of the payload when it was on the wire

	Seq, Ack uint32
	Flags    uint8

	// Of an Unreachable: Src and Dst are those of the packet that did not arrive, Quoted is its kind, From is who says so.
	Quoted Kind
	From   netip.Addr
}

// Has reports whether all of the TCP flags are set.
func (p *Packet) Has(flags uint8) bool { return p.Flags&flags == flags }

// Whole reports whether all of the payload was captured.
func (p *Packet) Whole() bool { return len(p.Payload) == p.Length }

// Link is a link type, by the numbers that capture files use (www.tcpdump.org/linktypes.html).
type Link uint16

// The link types that are understood.
const (
	Null     Link = 0
	Ethernet Link = 1
	RawBSD   Link = 12
	RawOld   Link = 14
	Raw      Link = 101
	Loop     Link = 108
	SLL      Link = 113
	IPv4     Link = 228
	IPv6     Link = 229
	SLL2     Link = 276
)

// Known reports whether frames of the link type can be decoded.
func (l Link) Known() bool {
	switch l {
	case Null, Ethernet, RawBSD, RawOld, Raw, Loop, SLL, IPv4, IPv6, SLL2:
		return true
	default:
		return false
	}
}

// Counts says what became of the frames.
type Counts struct {
	Frames    uint64 // all
	Other     uint64 // neither UDP nor TCP nor unreachable: ARP, spanning tree, tunnels
	Malformed uint64 // cut off or contradicting themselves
	Damaged   uint64 // with a wrong checksum, of a sender who sets it right
	Fragments uint64
	Lost      uint64 // datagrams whose fragments never came together: evicted, too old, overlapping
}
