package udp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of man 2 recvmmsg.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// controlSize holds one IPV6_PKTINFO and one UDP_GRO message (40 + 24 bytes).
const controlSize = 64

// Packet is one datagram in an Inbox, valid until the Inbox receives again.
type Packet struct {
	From    *Addr
	Payload []byte
	// Cut says that the datagram was longer than a slot and lost its end.
	Cut bool
	// Asked is the address that the datagram was sent to, set on request ports.
	Asked netip.Addr
}

// Inbox takes many datagrams in one system call. Its memory is the arena it is
// made with, shared by all sockets that one thread reads.
type Inbox struct {
	arena    []byte
	slot     int
	slots    int
	messages []mmsghdr
	vectors  []unix.Iovec
	from     []Addr
	control  [][controlSize]byte

	taken   int // messages of the last Receive
	message int // the one that Next reads
	offset  int // where in it: a coalesced message holds several packets
}

// NewInbox makes an Inbox of at most slots packets, or as many as fit into size bytes.
func NewInbox(slots, size int) *Inbox {
	b := &Inbox{
		arena:    make([]byte, size),
		messages: make([]mmsghdr, slots),
		vectors:  make([]unix.Iovec, slots),
		from:     make([]Addr, slots),
		control:  make([][controlSize]byte, slots),
	}
	for i := range b.messages {
		h := &b.messages[i].hdr
		h.Name = &b.from[i].raw[0]
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		h.Control = &b.control[i][0]
	}
	b.Shape(size / slots)
	return b
}

// Shape sets the longest packet the next Receive takes whole. As many slots are
// used as the arena holds; at least one.
func (b *Inbox) Shape(longest int) {
	longest = min(longest, len(b.arena))
	if longest == b.slot {
		return
	}
	b.slot = longest
	b.slots = min(len(b.messages), len(b.arena)/longest)
	for i := range b.slots {
		b.vectors[i].Base = &b.arena[i*longest]
		b.vectors[i].SetLen(longest)
	}
}

// Receive takes what waits on s, without waiting, and returns the number of
// messages. Errors are those of Socket.Receive.
func (b *Inbox) Receive(s Socket) (int, error) {
	for i := range b.slots {
		h := &b.messages[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(controlSize)
	}
	b.taken, b.message, b.offset = 0, 0, 0
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, s.descriptor(),
		uintptr(unsafe.Pointer(unsafe.SliceData(b.messages))), uintptr(b.slots), unix.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	b.taken = int(n)
	return b.taken, nil
}

// Next hands out the packets of the last Receive in order of arrival, false after the last.
func (b *Inbox) Next(p *Packet) bool {
	if b.message >= b.taken {
		return false
	}
	m := &b.messages[b.message]
	length := int(m.n)
	b.from[b.message].size = m.hdr.Namelen
	p.From = &b.from[b.message]
	p.Cut = m.hdr.Flags&unix.MSG_TRUNC != 0
	p.Asked = netip.Addr{}
	segment := b.readControl(p, m)
	if segment == 0 {
		segment = length
	}
	base := b.message * b.slot
	end := min(b.offset+segment, length)
	p.Payload = b.arena[base+b.offset : base+end : base+end]
	b.offset = end
	if b.offset >= length {
		b.message++
		b.offset = 0
	}
	return true
}

// readControl fills in the asked address and returns the segment size of a
// coalesced message, 0 for a plain one.
func (b *Inbox) readControl(p *Packet, m *mmsghdr) (segment int) {
	rest := b.control[b.message][:min(int(m.hdr.Controllen), controlSize)]
	for len(rest) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&rest[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(rest) {
			break
		}
		body := rest[unix.CmsgLen(0):size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(body) >= unix.SizeofInet4Pktinfo:
			// ipi_spec_dst, the local address, stands behind the index (man 7 ip): right also for a broadcast.
			p.Asked = netip.AddrFrom4([4]byte(body[4:8]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(body) >= unix.SizeofInet6Pktinfo:
			p.Asked = askedSix(body)
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4:
			segment = int(binary.NativeEndian.Uint32(body))
		}
		rest = rest[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(rest)):]
	}
	return segment
}

// askedSix reads struct in6_pktinfo (RFC 3542 section 6): address, then
// interface. No reply can leave from a multicast address: the kernel picks one.
func askedSix(body []byte) netip.Addr {
	ip := netip.AddrFrom16([16]byte(body[:16]))
	if ip.IsMulticast() {
		return netip.IPv6Unspecified()
	}
	if ip.IsLinkLocalUnicast() {
		var a Addr
		a.size = unix.SizeofSockaddrInet6
		binary.NativeEndian.PutUint16(a.raw[:], unix.AF_INET6)
		copy(a.raw[8:], body[:20])
		return a.AddrPort().Addr()
	}
	return ip
}
