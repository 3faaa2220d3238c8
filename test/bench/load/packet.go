package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// RFC 1350 section 5, RFC 2347, RFC 2348, RFC 7440.
const (
	opRead    = 1
	opWrite   = 2
	opData    = 3
	opAck     = 4
	opError   = 5
	opOptions = 6

	header    = 4
	maxBlock  = 65464
	maxWindow = 1024 // the limit of one sendmmsg, man 2 sendmmsg
)

// request builds an RRQ or WRQ in octet mode. Options are asked for only where they
// differ from what plain TFTP does.
func request(op uint16, name string, block, window int) []byte {
	p := binary.BigEndian.AppendUint16(nil, op)
	p = append(p, name+"\x00octet\x00"...)
	if block != 512 {
		p = append(p, "blksize\x00"+strconv.Itoa(block)+"\x00"...)
	}
	if window > 1 {
		p = append(p, "windowsize\x00"+strconv.Itoa(window)+"\x00"...)
	}
	return p
}

// granted reads an OACK: the block and window that hold from now on.
func granted(p []byte, block, window int) (int, int, error) {
	asked := [2]int{block, window}
	got := [2]int{512, 1}
	fields := strings.Split(strings.TrimSuffix(string(p[2:]), "\x00"), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		var at int
		switch strings.ToLower(fields[i]) {
		case "blksize":
			at = 0
		case "windowsize":
			at = 1
		default:
			continue
		}
		n, err := strconv.Atoi(fields[i+1])
		if err != nil || n < 1 || n > asked[at] {
			return 0, 0, fmt.Errorf("%s %q granted where %d was asked for", fields[i], fields[i+1], asked[at])
		}
		got[at] = n
	}
	return got[0], got[1], nil
}

// refusal words an ERROR packet.
func refusal(p []byte) error {
	text, _, _ := bytes.Cut(p[header:], []byte{0})
	return fmt.Errorf("server sent ERROR %d %q", binary.BigEndian.Uint16(p[2:]), text)
}

// giveUp is the ERROR that tells a server that its client leaves.
func giveUp() []byte { return []byte("\x00\x05\x00\x00enough\x00") }

func putAck(p *[header]byte, block uint16) {
	binary.BigEndian.PutUint16(p[:], opAck)
	binary.BigEndian.PutUint16(p[2:], block)
}

// room is the memory that any packet of a transfer fits in: an OACK or ERROR has up to
// 512 bytes however small the blocks are.
func room(block int) int { return header + max(block, 512) }

// opens reports whether p can be the first answer to an RRQ.
func opens(p []byte) bool {
	if len(p) < header {
		return false
	}
	switch binary.BigEndian.Uint16(p) {
	case opOptions, opError:
		return true
	}
	return binary.BigEndian.Uint32(p) == opData<<16|1
}
