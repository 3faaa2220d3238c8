package acl_test

import (
	"net/netip"
	"strings"
	"testing"

	"tallyman/acl"
)

func parse(t *testing.T, words ...string) acl.List {
	t.Helper()
	l, err := acl.Parse(words, "serve.tftp.allow")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestPrivateMeansLoopbackAndLocalNetworksOfBothFamilies(t *testing.T) {
	l := parse(t, "private")
	f := func(addr string, want bool) {
		t.Helper()
		ok, why := l.Allow(netip.MustParseAddr(addr))
		if ok != want || ok != (why == "") {
			t.Errorf("%s: %v, %q", addr, ok, why)
		}
	}
	f("127.0.0.1", true)
	f("127.255.255.255", true)
	f("::1", true)
	f("10.0.0.0", true)
	f("10.255.255.255", true)
	f("172.16.0.1", true)
	f("172.31.255.255", true)
	f("192.168.255.255", true)
	f("169.254.1.1", true)
	f("fe80::1", true)
	f("fe80::1%eth0", true)
	f("fd12:3456::1", true)
	f("fc00::1", true)
	f("::ffff:10.1.2.3", true)

	f("9.255.255.255", false)
	f("11.0.0.0", false)
	f("172.15.255.255", false)
	f("172.32.0.0", false)
	f("192.167.255.255", false)
	f("169.253.1.1", false)
	f("128.0.0.1", false)
	f("203.0.113.9", false)
	f("0.0.0.0", false)
	f("255.255.255.255", false)
	f("100.64.0.1", false)
	f("::", false)
	f("::2", false)
	f("2001:db8::1", false)
	f("fe00::1", false)
	f("fec0::1", false)
	f("::ffff:203.0.113.9", false)
}

func TestRefusalNamesTheKey(t *testing.T) {
	l := parse(t, "private")
	f := func(addr, want string) {
		t.Helper()
		if _, why := l.Allow(netip.MustParseAddr(addr)); why != want {
			t.Errorf("%q, want %q", why, want)
		}
	}
	f("203.0.113.9", "203.0.113.9 is not in serve.tftp.allow")
	f("::ffff:203.0.113.9", "203.0.113.9 is not in serve.tftp.allow")
	f("2001:db8::1%eth0", "2001:db8::1 is not in serve.tftp.allow")
	if ok, why := parse(t, "any").Allow(netip.Addr{}); ok || !strings.Contains(why, "serve.tftp.allow") {
		t.Errorf("no address: %v, %q", ok, why)
	}
}

func TestListsHoldNetworksAndAddresses(t *testing.T) {
	f := func(words, addr string, want bool) {
		t.Helper()
		if ok, why := parse(t, strings.Fields(words)...).Allow(netip.MustParseAddr(addr)); ok != want {
			t.Errorf("%s in %q: %v, %q", addr, words, ok, why)
		}
	}
	f("any", "203.0.113.9", true)
	f("ANY", "2001:db8::1", true)
	f("Private", "10.0.0.1", true)
	f("10.20.0.0/16", "10.20.255.255", true)
	f("10.20.0.0/16", "10.21.0.0", false)
	f("10.20.0.5", "10.20.0.5", true)
	f("10.20.0.5", "10.20.0.6", false)
	f("2001:db8::/32", "2001:db8:ffff::1", true)
	f("2001:db8::/32", "2001:db9::1", false)
	f("private 203.0.113.9", "203.0.113.9", true)
	f("203.0.113.9 2001:db8::7", "2001:db8::7", true)
	f("::ffff:10.0.0.0/104", "10.1.2.3", true)
	f("::ffff:10.0.0.1", "10.0.0.1", true)
	f("0.0.0.0/0", "203.0.113.9", true)
	f("0.0.0.0/0", "2001:db8::1", false)
	f("::/0", "203.0.113.9", false)
	f("fe80::1%eth0", "fe80::1%eth1", true)
	f("", "127.0.0.1", false)
}

func TestWrongWordsAreAllNamed(t *testing.T) {
	f := func(words string, want ...string) {
		t.Helper()
		l, err := acl.Parse(strings.Split(words, " "), "serve.ftp.allow")
		if err == nil {
			t.Errorf("%q was accepted", words)
			return
		}
		for _, w := range append(want, "serve.ftp.allow: ") {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q does not say %q", err, w)
			}
		}
		if ok, _ := l.Allow(netip.MustParseAddr("10.0.0.1")); ok {
			t.Errorf("%q: a list with an error lets somebody in", words)
		}
	}
	f("privat", `"privat"`, "private, any")
	f("10.0.0.256 any 10.0.0.0/33", `"10.0.0.256"`, `"10.0.0.0/33"`)
	f("10.20.0.5/16", "10.20.0.0/16", "10.20.0.5")
	f("::ffff:0.0.0.0/90", "mixes")
	f("host.example", `"host.example"`)
	f("a\nb", `a\nb`)
	f("", `""`)
}

func TestListShowsWhatWasWritten(t *testing.T) {
	if got := parse(t, "private", " 203.0.113.0/24 ").String(); got != "private 203.0.113.0/24" {
		t.Errorf("%q", got)
	}
	if got := parse(t).String(); got != "nobody" {
		t.Errorf("%q", got)
	}
	l := parse(t, "any")
	l.Words()[0] = "changed"
	if l.Words()[0] != "any" || l.Key() != "serve.tftp.allow" {
		t.Errorf("%q, %q", l.Words(), l.Key())
	}
	if ok, _ := (acl.List{}).Allow(netip.MustParseAddr("127.0.0.1")); ok {
		t.Error("the zero list holds somebody")
	}
}

// FuzzParse: what is accepted parses again, from what it shows, to a list that answers the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"private", "any", "10.0.0.0/8 ::1", "fe80::1%eth0", "::ffff:1.2.3.4/120", "1.2.3.4/0"} {
		f.Add(seed, "10.1.2.3")
	}
	f.Fuzz(func(t *testing.T, text, addr string) {
		a, err := netip.ParseAddr(addr)
		if err != nil {
			return
		}
		l, err := acl.Parse(strings.Fields(text), "k")
		if err != nil {
			return
		}
		again, err := acl.Parse(strings.Fields(strings.Join(l.Words(), " ")), "k")
		if err != nil {
			t.Fatalf("%q shows as %q: %v", text, l, err)
		}
		ok, _ := l.Allow(a)
		if ok2, _ := again.Allow(a); ok2 != ok {
			t.Fatalf("%q and %q differ on %s", text, again, a)
		}
		if mapped, _ := l.Allow(netip.AddrFrom16(a.As16())); mapped != ok {
			t.Fatalf("%q: %s through an IPv6 socket is another client", text, a)
		}
	})
}
