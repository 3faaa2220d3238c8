// Package packet is the wire form of TFTP: what the bytes of one datagram say, and how to write them.
//
//	datagram ── ParseRequest ──> Request{Op, Name, ModeName, Options}     (port 69)
//	         ── ParseData, ParseAck, ParseError, ParseOACK                (a transfer's own port)
//	AppendData, AppendAck, AppendError, AppendOACK, AppendRequest ──> datagram
//
// It promises that parsing never copies, never allocates and never guesses: what is accepted is rendered back
// byte for byte, what is not accepted is refused with a sentence for the record. Names, modes and texts are raw
// bytes of a stranger; escaping them is left to whoever shows them. Which values make sense in which moment is
// left to package engine.
//
// Sources: RFC 1350 (packets), RFC 2347 (options), RFC 2348 (blksize), RFC 2349 (timeout, tsize), RFC 7440 (windowsize).
package packet

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Op is the opcode in the first two octets of every packet (RFC 1350 section 5, RFC 2347).
type Op uint16

// The six opcodes. Zero is none of them.
const (
	RRQ   Op = 1
	WRQ   Op = 2
	DATA  Op = 3
	ACK   Op = 4
	ERROR Op = 5
	OACK  Op = 6
)

// String names the opcode as the RFCs do; an unknown one is its number.
func (o Op) String() string {
	names := [...]string{RRQ: "RRQ", WRQ: "WRQ", DATA: "DATA", ACK: "ACK", ERROR: "ERROR", OACK: "OACK"}
	if int(o) < len(names) && names[o] != "" {
		return names[o]
	}
	return "opcode " + strconv.Itoa(int(o))
}

// Code is the reason in an ERROR packet (RFC 1350 appendix, RFC 2347).
type Code uint16

// The nine codes.
const (
	Undefined        Code = 0 // the text says it
	NotFound         Code = 1
	AccessViolation  Code = 2
	DiskFull         Code = 3 // or allocation exceeded
	IllegalOperation Code = 4
	UnknownTID       Code = 5 // the packet came from a foreign port
	FileExists       Code = 6
	NoSuchUser       Code = 7
	OptionRefused    Code = 8 // RFC 2347: ends a negotiation
)

// Error is what one of our ERROR packets says: a code and a short ASCII sentence for the person at the other end.
type Error struct {
	Code Code
	Text string
}

// Limits of the wire.
const (
	HeaderLen        = 4     // octets before the payload of DATA
	DefaultBlockSize = 512   // octets, RFC 1350, when no blksize was agreed
	MinBlockSize     = 8     // octets, RFC 2348
	MaxBlockSize     = 65464 // octets, RFC 2348
)

// Opcode reads the opcode of p, 0 when p is too short to have one. It can be any 16-bit number.
func Opcode(p []byte) Op {
	if len(p) < 2 {
		return 0
	}
	return Op(binary.BigEndian.Uint16(p))
}

// ParseData reads a DATA packet. payload is a view into p and may be empty, which ends a file.
func ParseData(p []byte) (block uint16, payload []byte, ok bool) {
	if Opcode(p) != DATA || len(p) < HeaderLen {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(p[2:]), p[HeaderLen:], true
}

// ParseAck reads an ACK packet. Octets behind the block number are tolerated, as every server does.
func ParseAck(p []byte) (block uint16, ok bool) {
	if Opcode(p) != ACK || len(p) < HeaderLen {
		return 0, false
	}
	return binary.BigEndian.Uint16(p[2:]), true
}

// ParseError reads an ERROR packet. text is a view into p, raw, up to its first NUL; the NUL and the text may be
// missing, because an ERROR cut short still says stop.
func ParseError(p []byte) (code Code, text []byte, ok bool) {
	if Opcode(p) != ERROR || len(p) < HeaderLen {
		return 0, nil, false
	}
	text = p[HeaderLen:]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return Code(binary.BigEndian.Uint16(p[2:])), text, true
}

// ParseOACK reads an OACK packet; the options are a view into p.
func ParseOACK(p []byte) (Options, bool) {
	if Opcode(p) != OACK {
		return nil, false
	}
	options := Options(p[2:])
	return options, options.check() == nil
}

// AppendData appends the header of DATA; the payload is appended behind it by the caller.
func AppendData(dst []byte, block uint16) []byte {
	return append(dst, 0, byte(DATA), byte(block>>8), byte(block))
}

// AppendAck appends an ACK packet.
func AppendAck(dst []byte, block uint16) []byte {
	return append(dst, 0, byte(ACK), byte(block>>8), byte(block))
}

// AppendError appends an ERROR packet. A text with a NUL in it would end there on the wire.
func AppendError(dst []byte, e Error) []byte {
	dst = append(dst, 0, byte(ERROR), byte(e.Code>>8), byte(e.Code))
	return append(append(dst, e.Text...), 0)
}

// AppendOACK appends the header of OACK; options follow by AppendOption.
func AppendOACK(dst []byte) []byte {
	return append(dst, 0, byte(OACK))
}
