package sqlstore

import (
	"fmt"
	"net/netip"
)

// ipBytes is the form of an address in which a network is a range: 16 bytes, IPv4 as ::ffff:a.b.c.d, then the zone.
func ipBytes(ip netip.Addr) []byte {
	b := ip.As16()
	return append(b[:], ip.Zone()...)
}

func ipOf(b []byte) (netip.Addr, error) {
	if len(b) < 16 {
		return netip.Addr{}, fmt.Errorf("an address of %d bytes", len(b))
	}
	return netip.AddrFrom16([16]byte(b[:16])).Unmap().WithZone(string(b[16:])), nil
}
