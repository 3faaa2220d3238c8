package where

import (
	"bytes"
	"net/netip"
)

// Network asks for addresses of a network. Those of IPv4 belong to no network of IPv6.
func Network(column string, p netip.Prefix) Condition {
	if !p.IsValid() {
		return Never
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
	c := Condition{column + " >= ?", []any{from[:]}}
	if next := after(last); next != nil {
		c = Condition{c.SQL + " AND " + column + " < ?", append(c.Args, next)}
	}
	if bits < 96 {
		v4 := netip.IPv6Unspecified().As16()
		v4[10], v4[11] = 0xff, 0xff
		c = Condition{c.SQL + " AND (" + column + " < ? OR " + column + " >= ?)", append(c.Args, v4[:], after(v4[:12]))}
	}
	return c
}
