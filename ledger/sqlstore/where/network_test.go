package where

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNetworkIsARangeOfAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]string{"10.20.0.0", "0.0.0.0", "255.255.255.255", "2001:db8::", "::", "fe80::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}).Draw(t, "base")
		ip := netip.MustParseAddr(base)
		p := netip.PrefixFrom(ip, rapid.IntRange(0, ip.BitLen()).Draw(t, "bits")).Masked()
		probe := rapid.SampledFrom([]string{
			"10.20.0.1", "10.20.255.255", "10.21.0.0", "9.255.255.255", "0.0.0.0", "255.255.255.255", "2001:db8::1", "2001:db7:ffff::", "::", "::1", "fe80::1%eth0", "fe80::1",
			"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::fffe:ffff:ffff", "0:0:0:0:0:1::",
		}).Draw(t, "probe")
		a := netip.MustParseAddr(probe)
		c := Network("ip", p)
		if got, want := holds(c, stored(a)), p.Contains(a.WithZone("")); got != want {
			t.Fatalf("%s in %s: %v, want %v (%s %x)", a, p, got, want, c.SQL, c.Args)
		}
	})
}

// stored is how the table address holds one.
func stored(a netip.Addr) []byte {
	b := a.As16()
	return append(b[:], a.Zone()...)
}

// holds does what SQL does with the condition of a network.
func holds(c Condition, ip []byte) bool {
	ok, args := true, c.Args
	for part := range strings.SplitSeq(c.SQL, " AND ") {
		n := strings.Count(part, "?")
		less := slices.Compare(ip, args[0].([]byte))
		switch part {
		case "ip >= ?":
			ok = ok && less >= 0
		case "ip < ?":
			ok = ok && less < 0
		case "(ip < ? OR ip >= ?)":
			ok = ok && (less < 0 || slices.Compare(ip, args[1].([]byte)) >= 0)
		default:
			panic(part)
		}
		args = args[n:]
	}
	return ok
}
