// Package acl says who may ask for what, from where, and why not. It is pure: addresses in, an answer and a sentence out.
//
// A list is written in the configuration as words: "private", "any", an address, or a network in CIDR form. A refusal names the
// configuration key, so that whoever reads it knows what to change.
//
// What it leaves to others: reading the configuration, limits that depend on time, logins, and the evidence of a refusal.
package acl

import (
	"fmt"
	"net/netip"
	"strings"

	"tallyman"
)

// privateNets is what the word "private" means.
var privateNets = [...]netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"),    // loopback, RFC 1122, section 3.2.1.3
	netip.MustParsePrefix("::1/128"),        // loopback, RFC 4291, section 2.5.3
	netip.MustParsePrefix("10.0.0.0/8"),     // RFC 1918
	netip.MustParsePrefix("172.16.0.0/12"),  // RFC 1918
	netip.MustParsePrefix("192.168.0.0/16"), // RFC 1918
	netip.MustParsePrefix("169.254.0.0/16"), // link-local, RFC 3927
	netip.MustParsePrefix("fe80::/10"),      // link-local, RFC 4291, section 2.5.6
	netip.MustParsePrefix("fc00::/7"),       // unique local, RFC 4193
}

// List is a set of addresses under a configuration key. The zero List holds nobody. It is not changed after Parse and may be shared.
type List struct {
	key   string
	words []string
	any   bool
	nets  []netip.Prefix
}

// Parse makes a list from words of the configuration; key is where they stand, as in "serve.tftp.allow". No words mean nobody. All words
// that are wrong are named in one error.
func Parse(words []string, key string) (List, error) {
	l := List{key: key}
	var wrong []string
	for _, word := range words {
		word = strings.TrimSpace(word)
		if err := l.add(word); err != nil {
			wrong = append(wrong, err.Error())
			continue
		}
		l.words = append(l.words, word)
	}
	if len(wrong) > 0 {
		return List{}, fmt.Errorf("%s: %s", key, strings.Join(wrong, "; "))
	}
	return l, nil
}

func (l *List) add(word string) error {
	switch strings.ToLower(word) {
	case "any":
		l.any = true
		return nil
	case "private":
		l.nets = append(l.nets, privateNets[:]...)
		return nil
	}
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		if err != nil {
			return wrongWord(word)
		}
		if p.Addr().Is4In6() {
			if p.Bits() < 96 {
				return fmt.Errorf("%q mixes IPv4 and IPv6: write 0.0.0.0/0 or ::/0", word)
			}
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p != p.Masked() {
			return fmt.Errorf("%q has bits set behind its length: did you mean %s, or the one address %s", word, p.Masked(), p.Addr())
		}
		l.nets = append(l.nets, p)
		return nil
	}
	a, err := netip.ParseAddr(word)
	if err != nil {
		return wrongWord(word)
	}
	a = a.Unmap().WithZone("")
	l.nets = append(l.nets, netip.PrefixFrom(a, a.BitLen()))
	return nil
}

func wrongWord(word string) error {
	return fmt.Errorf(`"%s" is no address, no network and no word of the list: write private, any, 10.20.0.5 or 10.20.0.0/16`, tallyman.Escape(word))
}

// Allow reports whether the address is in the list. If it is not, why is the sentence for the record. An IPv4 address that came in through an
// IPv6 socket counts as the IPv4 address; the zone of a link-local address does not count.
func (l List) Allow(a netip.Addr) (ok bool, why string) {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return false, "a client without an address is not in " + l.key
	}
	if l.any {
		return true, ""
	}
	for _, p := range l.nets {
		if p.Contains(a) {
			return true, ""
		}
	}
	return false, fmt.Sprintf("%s is not in %s", a, l.key)
}

// Key returns the configuration key that was given to Parse.
func (l List) Key() string { return l.key }

// Words returns the list as it was written, one string a word. The caller may keep it.
func (l List) Words() []string { return append([]string(nil), l.words...) }

// String returns the words, as in "private 203.0.113.0/24"; "nobody" for an empty list.
func (l List) String() string {
	if len(l.words) == 0 {
		return "nobody"
	}
	return strings.Join(l.words, " ")
}
