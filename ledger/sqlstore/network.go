package sqlstore

import (
	"bytes"
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

// network asks for addresses of a network. Those of IPv4 belong to no network of IPv6.
func network(column string, p netip.Prefix) condition {
	if !p.IsValid() {
		return never
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	from := p.Addr().As16()
	clear(from[(bits+7)/8:])
	last := bytes.Clone(from[:(bits+7)/8])
	if bits%8 != 0 {
		from[bits/8] &^= 0xff >> (bits % 8)
		last[bits/8] |= 0xff >> (bits % 8)
	}
	c := condition{column + " >= ?", []any{from[:]}}
	if next := after(last); next != nil {
		c = condition{c.sql + " AND " + column + " < ?", append(c.args, next)}
	}
	if bits < 96 {
		v4 := netip.IPv6Unspecified().As16()
		v4[10], v4[11] = 0xff, 0xff
		c = condition{c.sql + " AND (" + column + " < ? OR " + column + " >= ?)", append(c.args, v4[:], after(v4[:12]))}
	}
	return c
}
