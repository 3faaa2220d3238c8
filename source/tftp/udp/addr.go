package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// Addr is an address and a port in the form the kernel reads and writes
// (sockaddr_in or sockaddr_in6, man 7 ip, man 7 ipv6), so that a reply needs no
// conversion. The zero Addr is no address.
type Addr struct {
	raw  [unix.SizeofSockaddrInet6]byte
	size uint32
}

// MakeAddr returns the kernel's form of ap. A zone must be an interface index
// in decimal, as Addr.AddrPort writes it; any other zone is left out.
func MakeAddr(ap netip.AddrPort) Addr {
	var a Addr
	binary.BigEndian.PutUint16(a.raw[2:], ap.Port())
	if ip := ap.Addr(); ip.Is4() || ip.Is4In6() {
		four := ip.As4()
		binary.NativeEndian.PutUint16(a.raw[:], unix.AF_INET)
		copy(a.raw[4:8], four[:])
		a.size = unix.SizeofSockaddrInet4
	} else {
		sixteen := ip.As16()
		binary.NativeEndian.PutUint16(a.raw[:], unix.AF_INET6)
		copy(a.raw[8:24], sixteen[:])
		if index, err := strconv.ParseUint(ip.Zone(), 10, 32); err == nil {
			binary.NativeEndian.PutUint32(a.raw[24:], uint32(index))
		}
		a.size = unix.SizeofSockaddrInet6
	}
	return a
}

// AddrPort returns the address and port; a link-local IPv6 address carries its
// interface index as zone. The zero Addr gives the zero AddrPort.
func (a *Addr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(a.raw[2:])
	switch a.family() {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.raw[4:8])), port)
	case unix.AF_INET6:
		ip := netip.AddrFrom16([16]byte(a.raw[8:24]))
		if index := binary.NativeEndian.Uint32(a.raw[24:]); index != 0 && ip.IsLinkLocalUnicast() {
			ip = ip.WithZone(strconv.FormatUint(uint64(index), 10))
		}
		return netip.AddrPortFrom(ip, port)
	}
	return netip.AddrPort{}
}

// Same reports whether both name one end: family, address, port and, for
// link-local addresses, interface. The flow label does not count.
func (a *Addr) Same(b *Addr) bool {
	if a.family() == unix.AF_INET {
		return bytes.Equal(a.raw[:8], b.raw[:8])
	}
	return bytes.Equal(a.raw[:4], b.raw[:4]) && bytes.Equal(a.raw[8:], b.raw[8:])
}

// family is 0 for the zero Addr.
func (a *Addr) family() uint16 {
	if a.size == 0 {
		return 0
	}
	return binary.NativeEndian.Uint16(a.raw[:])
}
