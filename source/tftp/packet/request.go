package packet

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
)

// MaxRequest is the largest request that is read, in octets. RFC 2347 allows a client 512; we read what one
// Ethernet frame carries over IPv4 without fragments (1500 - 20 - 8), because long paths with options pass 512.
const MaxRequest = 1472

// maxOptions bounds the work one request can ask for. Five options are defined; no client sends more than ten.
const maxOptions = 64

// ErrNoRequest is a datagram to the request port that deserves silence: shorter than any packet, or of another
// opcode. Answering a stray ERROR with an ERROR would let two servers loop.
var ErrNoRequest = errors.New("not a request")

// ErrMalformed is a request that cannot be served. It may be answered with one ERROR 4; the error it is wrapped
// in says what was wrong.
var ErrMalformed = errors.New("malformed request")

// Mode is the transfer mode a request asks for.
type Mode uint8

// The modes. Mail is obsolete (RFC 1350 section 1) and told from the unknown ones for the record only.
const (
	UnknownMode Mode = iota
	Octet
	NetASCII
	Mail
)

// Request is one RRQ or WRQ. Its slices are views into the datagram.
type Request struct {
	Op       Op
	Name     []byte  // file name as sent, not empty, without NUL
	ModeName []byte  // mode as sent, in any case, not empty
	Options  Options // raw options, possibly followed by padding
}

// ParseRequest reads a datagram of the request port. The error is ErrNoRequest or wraps ErrMalformed; beside an
// ErrMalformed the request holds the fields that could be read, for the record.
func ParseRequest(p []byte) (Request, error) {
	r := Request{Op: Opcode(p)}
	if len(p) < HeaderLen || (r.Op != RRQ && r.Op != WRQ) {
		return Request{}, ErrNoRequest
	}
	if len(p) > MaxRequest {
		return r, fmt.Errorf("%w: %d octets, at most %d are read", ErrMalformed, len(p), MaxRequest)
	}
	var rest []byte
	var ok bool
	if r.Name, rest, ok = bytes.Cut(p[2:], []byte{0}); !ok {
		return r, fmt.Errorf("%w: the file name has no final NUL", ErrMalformed)
	}
	if len(r.Name) == 0 {
		return r, fmt.Errorf("%w: the file name is empty", ErrMalformed)
	}
	if r.ModeName, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
		return r, fmt.Errorf("%w: the mode is missing or has no final NUL", ErrMalformed)
	}
	if len(r.ModeName) == 0 {
		return r, fmt.Errorf("%w: the mode is empty", ErrMalformed)
	}
	r.Options = rest
	return r, r.Options.check()
}

// AppendRequest appends the packet of r; for a parsed r the very bytes that were parsed.
func AppendRequest(dst []byte, r Request) []byte {
	dst = append(dst, byte(r.Op>>8), byte(r.Op))
	dst = append(append(dst, r.Name...), 0)
	dst = append(append(dst, r.ModeName...), 0)
	return append(dst, r.Options...)
}

// Len is the length of the packet of r in octets.
func (r Request) Len() int {
	return 2 + len(r.Name) + 1 + len(r.ModeName) + 1 + len(r.Options)
}

// Mode is the mode asked for, whatever the case of its letters.
func (r Request) Mode() Mode {
	switch {
	case equalFold(r.ModeName, "octet"):
		return Octet
	case equalFold(r.ModeName, "netascii"):
		return NetASCII
	case equalFold(r.ModeName, "mail"):
		return Mail
	}
	return UnknownMode
}

// Options is the raw tail of a request or of an OACK: name NUL value NUL, repeated (RFC 2347). NULs where the
// next name would begin are padding: boot ROMs send requests of a fixed length.
type Options []byte

// All yields name and value of each option in the order of the packet, duplicates included.
func (o Options) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for rest := []byte(o); ; {
			name, value, tail, ok := cutOption(rest)
			if !ok || !yield(name, value) {
				return
			}
			rest = tail
		}
	}
}

// Get finds the first option of that name, in any case. Later ones of the same name do not count, so that a
// duplicate has one consistent answer.
func (o Options) Get(name string) (value []byte, ok bool) {
	for n, v := range o.All() {
		if equalFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// Duplicates counts the options whose name came earlier in the packet.
func (o Options) Duplicates() int {
	var names [maxOptions][]byte
	count, duplicates := 0, 0
	for name := range o.All() {
		for _, earlier := range names[:count] {
			if equalFold(name, earlier) {
				duplicates++
				break
			}
		}
		if count < maxOptions {
			names[count] = name
			count++
		}
	}
	return duplicates
}

// AppendOption appends one option. Neither part may hold a NUL, and the name may not be empty.
func AppendOption(dst []byte, name, value string) []byte {
	dst = append(append(dst, name...), 0)
	return append(append(dst, value...), 0)
}

// check refuses a tail that is neither options nor padding.
func (o Options) check() error {
	rest := []byte(o)
	for count := 0; ; count++ {
		name, _, tail, ok := cutOption(rest)
		if ok && count < maxOptions {
			rest = tail
			continue
		}
		if ok {
			return fmt.Errorf("%w: more than %d options", ErrMalformed, maxOptions)
		}
		if len(bytes.Trim(rest, "\x00")) > 0 {
			return fmt.Errorf("%w: option %.40q has no name, no value or no final NUL", ErrMalformed, name)
		}
		return nil
	}
}

// cutOption takes the first option off rest. It is false at the end, at padding and where no whole option stands.
func cutOption(rest []byte) (name, value, tail []byte, ok bool) {
	name, tail, ok = bytes.Cut(rest, []byte{0})
	if !ok || len(name) == 0 {
		return name, nil, rest, false
	}
	value, tail, ok = bytes.Cut(tail, []byte{0})
	return name, value, tail, ok
}

// equalFold compares ASCII letters in any case. bytes.EqualFold would also take the Kelvin sign for a k.
func equalFold[T []byte | string](a []byte, b T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lowerASCII(a[i]) != lowerASCII(b[i]) {
			return false
		}
	}
	return true
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}
