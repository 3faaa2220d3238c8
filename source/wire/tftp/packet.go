package tftp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"tallyman/details"
)

// Opcodes (RFC 1350, section 5; RFC 2347).
const (
	opRRQ   = 1
	opWRQ   = 2
	opDATA  = 3
	opACK   = 4
	opERROR = 5
	opOACK  = 6
)

// What is kept of a stranger's words, in bytes and in options; the rest is cut off.
const (
	mostName    = 1024
	mostWord    = 64
	mostText    = 512
	mostOptions = 16
)

// packet is one TFTP packet of a transfer that runs.
type packet struct {
	op     uint16
	number uint16 // of the block, or of the error
	data   []byte // of a DATA, as far as it was captured
	length int    // of the data on the wire
	text   string // of an error
	pairs  []details.Pair
}

// request is a packet to the request port.
type request struct {
	write bool
	name  string
	mode  string // lower case
	asked []details.Pair
}

func (r *request) same(o *request) bool {
	return r.write == o.write && r.name == o.name && r.mode == o.mode
}

// parseRequest takes what a server may take: whether a request without mode or final NUL is served is for the server to say, and its answer tells.
func parseRequest(b []byte) (r request, ok bool) {
	if len(b) < 3 {
		return r, false
	}
	op := binary.BigEndian.Uint16(b)
	if op != opRRQ && op != opWRQ {
		return r, false
	}
	r.write = op == opWRQ
	name, rest := cut(b[2:])
	mode, rest := cut(rest)
	r.name = string(name[:min(len(name), mostName)])
	r.mode = strings.ToLower(string(mode[:min(len(mode), mostWord)]))
	r.asked = parsePairs(rest)
	return r, true
}

// cut splits at the first NUL; without one, all is the first part.
func cut(b []byte) (before, after []byte) {
	before, after, _ = bytes.Cut(b, []byte{0})
	return before, after
}

// parsePairs reads options: names in lower case, sorted, of a duplicate the first.
func parsePairs(b []byte) []details.Pair {
	var out []details.Pair
	for len(b) > 0 && len(out) < mostOptions {
		var name, value []byte
		name, b = cut(b)
		value, b = cut(b)
		if len(name) == 0 {
			break
		}
		p := details.Pair{Name: strings.ToLower(string(name[:min(len(name), mostWord)])), Value: string(value[:min(len(value), mostWord)])}
		at, found := slices.BinarySearchFunc(out, p, func(a, b details.Pair) int { return strings.Compare(a.Name, b.Name) })
		if !found {
			out = slices.Insert(out, at, p)
		}
	}
	return out
}

// parse reads a packet that is no request. length is that of the payload on the wire.
func parse(b []byte, length int) (p packet, ok bool) {
	if len(b) < 4 {
		return p, len(b) >= 2 && binary.BigEndian.Uint16(b) == opOACK
	}
	p.op, p.number = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch p.op {
	case opDATA:
		p.data, p.length = b[4:], length-4
	case opACK:
	case opERROR:
		text, _ := cut(b[4:])
		p.text = string(text[:min(len(text), mostText)])
	case opOACK:
		p.pairs = parsePairs(b[2:])
	default:
		return p, false
	}
	return p, true
}

// number reads the decimal value of an option; -1 when it is none.
func number(pairs []details.Pair, name string) int64 {
	for _, p := range pairs {
		if p.Name != name {
			continue
		}
		n := int64(0)
		if p.Value == "" || len(p.Value) > 18 {
			return -1
		}
		for _, c := range []byte(p.Value) {
			if c < '0' || c > '9' {
				return -1
			}
			n = n*10 + int64(c-'0')
		}
		return n
	}
	return -1
}
