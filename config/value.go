package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time that is always written with its unit: 500ms, 90s, 5m, 12h, 400d, 2w, or 1d12h.
type Duration time.Duration

type unit struct {
	name string
	of   int64
}

// Each table begins with the largest unit: text takes the first that divides.
var (
	durationUnits = []unit{
		{"w", int64(7 * 24 * time.Hour)},
		{"d", int64(24 * time.Hour)},
		{"h", int64(time.Hour)},
		{"m", int64(time.Minute)},
		{"s", int64(time.Second)},
		{"ms", int64(time.Millisecond)},
	}
	sizeUnits = []unit{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}
)

// String writes whole units of one kind, the largest that divides: 400d is not written as 57w1d.
func (d Duration) String() string { return inUnits(int64(d), durationUnits, "0s") }

// MarshalText implements encoding.TextMarshaler with the form of String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText accepts one or more numbers with units, the largest unit first. A bare number is refused.
func (d *Duration) UnmarshalText(text []byte) error {
	rest, sum, last := string(text), int64(0), int64(math.MaxInt64)
	for first := true; first || rest != ""; first = false {
		n, name, after, err := cutNumber(rest)
		if err != nil {
			return fmt.Errorf("is no duration: %w", err)
		}
		if strings.HasPrefix(name, ".") {
			return errors.New("is no duration: write whole numbers, 90m and not 1.5h")
		}
		if name == "" {
			return fmt.Errorf("has no unit: write %ds, %dm, %dh, %dd or %dw", n, n, n, n, n)
		}
		i := slices.IndexFunc(durationUnits, func(u unit) bool { return u.name == name })
		switch {
		case i < 0:
			return fmt.Errorf("has the unknown unit %q: write ms, s, m, h, d or w", strings.TrimSpace(name))
		case durationUnits[i].of >= last:
			return errors.New("is no duration: the larger unit comes first, as in 1d12h")
		case n > (math.MaxInt64-sum)/durationUnits[i].of:
			return errors.New("is longer than 292 years")
		}
		last = durationUnits[i].of
		sum, rest = sum+n*last, after
	}
	*d = Duration(sum)
	return nil
}

// Size is a number of bytes that is always written with its unit: 512B, 96KiB, 256MiB, 4GiB, 1TiB.
type Size int64

// String writes whole units of one kind, the largest that divides.
func (s Size) String() string { return inUnits(int64(s), sizeUnits, "0B") }

// MarshalText implements encoding.TextMarshaler with the form of String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts a whole number with a binary unit. Decimal units are refused: people mean different numbers by them.
func (s *Size) UnmarshalText(text []byte) error {
	n, name, rest, err := cutNumber(string(text))
	if err != nil {
		return fmt.Errorf("is no size: %w", err)
	}
	i := slices.IndexFunc(sizeUnits, func(u unit) bool { return u.name == name })
	switch {
	case name == "":
		return fmt.Errorf("has no unit: write %dB, %dKiB, %dMiB or %dGiB", n, n, n, n)
	case strings.HasPrefix(name, "."):
		return errors.New("is no size: write whole numbers, 1536MiB and not 1.5GiB")
	case i < 0 || rest != "":
		return fmt.Errorf("has the unknown unit %q: write B, KiB, MiB, GiB or TiB", name+rest)
	case n > math.MaxInt64/sizeUnits[i].of:
		return errors.New("is larger than 8191 PiB")
	}
	*s = Size(n * sizeUnits[i].of)
	return nil
}

// Free is an amount of disk space: a number of bytes, or a share of the disk.
type Free struct {
	Bytes   Size
	Percent int // 1 to 99; 0 means that Bytes counts
}

// Of returns the amount in bytes on a disk of that many bytes.
func (f Free) Of(disk uint64) uint64 {
	if f.Percent > 0 {
		return disk / 100 * uint64(f.Percent)
	}
	return uint64(f.Bytes)
}

// String writes the form that UnmarshalText accepts.
func (f Free) String() string {
	if f.Percent > 0 {
		return strconv.Itoa(f.Percent) + "%"
	}
	return f.Bytes.String()
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (f Free) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText accepts what Size accepts, and 1% to 99%.
func (f *Free) UnmarshalText(text []byte) error {
	digits, ok := strings.CutSuffix(string(text), "%")
	if !ok {
		f.Percent = 0
		return f.Bytes.UnmarshalText(text)
	}
	n, err := whole(digits)
	if err != nil || n < 1 || n > 99 {
		return errors.New("is no share of a disk: write 1% to 99%")
	}
	*f = Free{Percent: int(n)}
	return nil
}

// Addr is an address to listen on: host and port, as in 127.0.0.1:8420, [::1]:69 or :69 for all interfaces. Empty means none.
type Addr string

// UnmarshalText checks the form; names are not looked up.
func (a *Addr) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*a = ""
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("is no address to listen on: write HOST:PORT, as in 127.0.0.1:8420, [::1]:8420, or :8420 for all interfaces")
	}
	if n, err := whole(port); err != nil || n > math.MaxUint16 {
		return fmt.Errorf("has no port from 0 to 65535 but %q", port)
	}
	if _, err := netip.ParseAddr(host); err != nil && !hostName(host) && host != "" {
		return fmt.Errorf("names no host but %q: write an address, a host name, or nothing for all interfaces", host)
	}
	*a = Addr(s)
	return nil
}

// Hosts is one host name or address, or a list of them.
type Hosts []string

func (Hosts) check(word string) error {
	if _, err := netip.ParseAddr(word); err != nil && !hostName(word) {
		return errors.New("is no host name: write it without scheme and port, as in tally.example.net")
	}
	return nil
}

// Allow says who may ask: private, any, addresses, networks.
type Allow []string

func (Allow) check(word string) error {
	if word == "private" || word == "any" {
		return nil
	}
	if strings.Contains(word, "/") {
		p, err := netip.ParsePrefix(word)
		if err == nil && p != p.Masked() {
			return fmt.Errorf("has bits behind the mask: write %s, or %s for the one address", p.Masked(), p.Addr())
		}
		if err == nil {
			return nil
		}
	} else if _, err := netip.ParseAddr(word); err == nil {
		return nil
	}
	return errors.New("is none of private, any, an address such as 10.20.0.5 or a network such as 10.20.0.0/24")
}

// Ports is a range of ports, as in 50000-50100; the zero Ports are any.
type Ports struct{ First, Last uint16 }

// String writes the form that UnmarshalText accepts.
func (p Ports) String() string {
	if p.First == 0 {
		return "any"
	}
	return strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (p Ports) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText accepts any, one port, or two with a hyphen between.
func (p *Ports) UnmarshalText(text []byte) error {
	if string(text) == "any" {
		*p = Ports{}
		return nil
	}
	first, last, two := strings.Cut(string(text), "-")
	if !two {
		last = first
	}
	a, errA := whole(first)
	b, errB := whole(last)
	if errA != nil || errB != nil || a < 1 || b > math.MaxUint16 || a > b {
		return errors.New("is no range of ports: write 50000-50100, or any")
	}
	*p = Ports{uint16(a), uint16(b)}
	return nil
}

// Never is a list of addresses and networks that may be empty.
type Never []string

func (Never) check(word string) error { return Allow(nil).check(word) }

// cutNumber takes a whole number and the letters behind it from the front of s.
func cutNumber(s string) (n int64, letters, rest string, err error) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err = whole(s[:i])
	if err != nil {
		return 0, "", "", err
	}
	j := i
	for j < len(s) && (s[j] < '0' || s[j] > '9') {
		j++
	}
	return n, s[i:j], s[j:], nil
}

// whole reads a decimal number as every YAML version reads it: 010 is eight to one and ten to another.
func whole(s string) (int64, error) {
	switch {
	case s == "" || strings.Trim(s, "0123456789") != "":
		return 0, errors.New("expected a whole number")
	case len(s) > 1 && s[0] == '0':
		return 0, errors.New("a number does not begin with 0")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errors.New("the number is too large")
	}
	return n, nil
}

func inUnits(n int64, units []unit, zero string) string {
	for _, u := range units {
		if n != 0 && n%u.of == 0 {
			return strconv.FormatInt(n/u.of, 10) + u.name
		}
	}
	if n == 0 {
		return zero
	}
	return time.Duration(n).String()
}

// hostName follows RFC 1123, section 2.1: letters, digits, hyphens and dots.
func hostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
				return false
			}
		}
	}
	return true
}

// Wire is a list of interfaces whose packets are read; auto means all, off none.
type Wire []string

// check refuses what is no name of an interface (Linux: at most 15 bytes without white space, slash or colon).
func (Wire) check(word string) error {
	if word == "" || len(word) > 15 || strings.ContainsAny(word, "/: \t\n") || word == "." || word == ".." {
		return errors.New("is none of auto, off or the name of an interface such as eth0")
	}
	return nil
}

// Folders is a list of whole paths.
type Folders []string

func (Folders) check(word string) error {
	if !strings.HasPrefix(word, "/") || strings.ContainsRune(word, 0) {
		return errors.New("is no whole path: write it from the root, as in /srv")
	}
	return nil
}

// Patterns is a list of whole paths and of parts of paths, in which ** stands for any number of folders and * for anything within one name.
type Patterns []string

func (Patterns) check(word string) error {
	if !strings.HasPrefix(word, "/") && !strings.HasPrefix(word, "**/") || strings.ContainsRune(word, 0) {
		return errors.New("begins neither with / nor with **/: write a whole path, or **/.cache/** for a name anywhere")
	}
	if _, err := path.Match(word, ""); err != nil {
		return errors.New("is no pattern: a [ in it is not closed")
	}
	return nil
}
