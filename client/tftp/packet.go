package tftp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
)

// Opcodes (RFC 1350, section 5; OACK of RFC 2347).
const (
	opRRQ = iota + 1
	opWRQ
	opDATA
	opACK
	opERROR
	opOACK
)

// Error codes (RFC 1350, appendix; 8 of RFC 2347).
const (
	errUndefined = iota
	errNotFound
	errAccess
	errDiskFull
	errIllegal
	errUnknownTID
	errExists
	errNoUser
	errOption
)

// option is a name and a value as RFC 2347 writes them.
type option struct{ name, value string }

// packet is what a server may send.
type packet struct {
	op      int
	block   uint16   // DATA, ACK
	payload []byte   // DATA; part of the datagram
	code    int      // ERROR
	text    string   // ERROR
	options []option // OACK
}

var errMalformed = errors.New("the datagram is no TFTP packet")

// parse reads a datagram of a server. Requests are refused: a client gets none.
func parse(b []byte) (packet, error) {
	if len(b) < 4 {
		if len(b) == 2 && b[0] == 0 && b[1] == opOACK {
			return packet{op: opOACK}, nil
		}
		return packet{}, errMalformed
	}
	p := packet{op: int(binary.BigEndian.Uint16(b))}
	word := binary.BigEndian.Uint16(b[2:])
	switch p.op {
	case opDATA:
		p.block, p.payload = word, b[4:]
	case opACK:
		p.block = word
	case opERROR:
		text, _, _ := bytes.Cut(b[4:], []byte{0})
		p.code, p.text = int(word), string(text)
	case opOACK:
		fields := strings.Split(string(b[2:]), "\x00")
		if len(fields)%2 != 1 || fields[len(fields)-1] != "" {
			return packet{}, errMalformed
		}
		for i := 0; i+1 < len(fields); i += 2 {
			p.options = append(p.options, option{strings.ToLower(fields[i]), fields[i+1]})
		}
	default:
		return packet{}, errMalformed
	}
	return p, nil
}

func request(op uint16, name string, mode Mode, options []option) []byte {
	b := binary.BigEndian.AppendUint16(nil, op)
	b = append(append(b, name...), 0)
	b = append(append(b, mode...), 0)
	for _, o := range options {
		b = append(append(b, o.name...), 0)
		b = append(append(b, o.value...), 0)
	}
	return b
}

// header makes the four bytes before the payload of a DATA.
func header(block uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, opDATA}, block)
}

func ack(block uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, opACK}, block)
}

func failure(code uint16, text string) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, opERROR}, code)
	return append(append(b, text...), 0)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
