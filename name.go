package tallyman

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a name (Linux: NAME_MAX and PATH_MAX of limits.h).
const (
	MaxNameElement = 255  // bytes of one element
	MaxNameLength  = 4095 // bytes in all
)

// Errors of ParseName. They say what was wrong with the name; the caller says which name it was.
var (
	ErrNameEmpty   = errors.New("the name is empty")
	ErrNameEscapes = errors.New("the name leaves the served root")
	ErrNameNUL     = errors.New("the name holds a NUL byte")
	ErrNameLong    = errors.New("the name is too long")
)

// Name is a file name from the network, parsed once. The zero Name is invalid. Path is relative to the served root, has no empty,
// "." or ".." element and no leading slash; whoever opens it does so through an [os.Root] and parses nothing again.
//
// Backslash and percent are ordinary bytes. A name need not be valid UTF-8.
type Name struct {
	raw  string
	path string
}

// ParseName accepts a name as it came from the network. A leading slash means the served root, empty and "." elements are dropped, a ".." element is
// refused rather than resolved: two layers that resolve a name differently are the root of most escapes.
func ParseName(raw string) (Name, error) {
	if strings.IndexByte(raw, 0) >= 0 {
		return Name{}, ErrNameNUL
	}
	if len(raw) > MaxNameLength {
		return Name{}, fmt.Errorf("%w: %d bytes, at most %d", ErrNameLong, len(raw), MaxNameLength)
	}
	var b strings.Builder
	for element := range strings.SplitSeq(raw, "/") {
		switch {
		case element == "" || element == ".":
			continue
		case element == "..":
			return Name{}, ErrNameEscapes
		case len(element) > MaxNameElement:
			return Name{}, fmt.Errorf("%w: an element of %d bytes, at most %d", ErrNameLong, len(element), MaxNameElement)
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(element)
	}
	if b.Len() == 0 {
		return Name{}, ErrNameEmpty
	}
	return Name{raw: raw, path: b.String()}, nil
}

// Raw returns the name as it came, byte for byte.
func (n Name) Raw() string { return n.raw }

// Path returns the name relative to the served root.
func (n Name) Path() string { return n.path }

// Base returns the last element.
func (n Name) Base() string { return n.path[strings.LastIndexByte(n.path, '/')+1:] }

// Dir returns what stands before the last element, "." for a name of one element.
func (n Name) Dir() string {
	if i := strings.LastIndexByte(n.path, '/'); i >= 0 {
		return n.path[:i]
	}
	return "."
}

// String returns the name escaped for people.
func (n Name) String() string { return Escape(n.raw) }

// Escape makes text from the network harmless for terminals, logs and pages: the result is valid UTF-8 of one line without control
// characters. Printable text stays as typed. \n, \r and \t are written so; other control bytes and bytes that are no UTF-8 as
// \x1b; invisible and direction-changing characters as \u202e.
func Escape(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 8)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1, r < 0x20, r >= 0x7f && r < 0xa0:
			for _, c := range []byte(s[i : i+n]) {
				escapeByte(&b, c)
			}
		case unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs):
			if r > 0xffff {
				fmt.Fprintf(&b, `\U%08x`, r)
			} else {
				fmt.Fprintf(&b, `\u%04x`, r)
			}
		default:
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func escapeByte(b *strings.Builder, c byte) {
	switch c {
	case '\n':
		b.WriteString(`\n`)
	case '\r':
		b.WriteString(`\r`)
	case '\t':
		b.WriteString(`\t`)
	default:
		fmt.Fprintf(b, `\x%02x`, c)
	}
}
