package ftp

import (
	"net/netip"
	"strconv"
	"strings"
)

// parsePort reads the argument of PORT, or finds the six numbers in a 227 reply (RFC 959, section 4.1.2; RFC 1123, section 4.1.2.6: the
// parentheses may be missing).
func parsePort(s string) (netip.AddrPort, bool) {
	for start := range s {
		if s[start] < '0' || s[start] > '9' || start > 0 && s[start-1] >= '0' && s[start-1] <= '9' {
			continue
		}
		if a, ok := sixNumbers(s[start:]); ok {
			return a, true
		}
	}
	return netip.AddrPort{}, false
}

func sixNumbers(s string) (netip.AddrPort, bool) {
	var n [6]int
	for i := range n {
		digits := 0
		for digits < len(s) && digits < 3 && s[digits] >= '0' && s[digits] <= '9' {
			n[i] = n[i]*10 + int(s[digits]-'0')
			digits++
		}
		if digits == 0 || n[i] > 255 {
			return netip.AddrPort{}, false
		}
		s = s[digits:]
		if i < 5 {
			if s == "" || s[0] != ',' {
				return netip.AddrPort{}, false
			}
			s = strings.TrimLeft(s[1:], " ")
		}
	}
	port := uint16(n[4]<<8 | n[5])
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(n[0]), byte(n[1]), byte(n[2]), byte(n[3])}), port), port != 0
}

// parseExtended reads the argument of EPRT, or finds "(|||6446|)" in a 229 reply (RFC 2428). Without an address it is the one that is given.
func parseExtended(s string, self netip.Addr) (netip.AddrPort, bool) {
	if at := strings.IndexByte(s, '('); at >= 0 {
		s = s[at+1:]
	}
	if s == "" || s[0] < 33 || s[0] > 126 {
		return netip.AddrPort{}, false
	}
	parts := strings.Split(s[:min(len(s), 128)], s[:1])
	if len(parts) < 5 {
		return netip.AddrPort{}, false
	}
	port, err := strconv.ParseUint(parts[3], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, false
	}
	if parts[2] != "" {
		a, err := netip.ParseAddr(parts[2])
		if err != nil || a.Zone() != "" {
			return netip.AddrPort{}, false
		}
		self = a.Unmap()
	}
	return netip.AddrPortFrom(self, uint16(port)), true
}

// announced finds the size that a reply names: "150 Opening BINARY mode data connection for f (1164 bytes)." says 1164.
func announced(text string) int64 {
	at := strings.Index(text, " bytes")
	if at < 0 {
		return -1
	}
	start := at
	for start > 0 && text[start-1] >= '0' && text[start-1] <= '9' {
		start--
	}
	if start == at || start > 0 && text[start-1] != '(' && text[start-1] != ' ' {
		return -1
	}
	return size(text[start:at])
}

// size reads a decimal number of bytes; -1 when it is none.
func size(s string) int64 {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " ")
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
