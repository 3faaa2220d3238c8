package sftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"tallyman"
)

// Types of packets (draft-ietf-secsh-filexfer-02, section 3).
const (
	fxInit     = 1
	fxVersion  = 2
	fxOpen     = 3
	fxClose    = 4
	fxRead     = 5
	fxWrite    = 6
	fxFstat    = 8
	fxStatus   = 101
	fxHandle   = 102
	fxData     = 103
	fxAttrs    = 105
	fxExtended = 200
	fxReply    = 201
)

// Flags of OPEN (section 6.3).
const (
	toRead   = 1
	toWrite  = 2
	toCreate = 8
	toCut    = 16
)

// Codes of STATUS (section 7).
const (
	isOK          = 0
	isEOF         = 1
	isNoSuchFile  = 2
	isDenied      = 3
	isUnsupported = 8
)

// maxPacket bounds what a server may say at once, in bytes.
const maxPacket = 1 << 20

// request renders a request. Parts are uint32, uint64, string or []byte.
func request(kind byte, id uint32, parts ...any) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, kind}, id)
	for _, p := range parts {
		switch p := p.(type) {
		case uint32:
			b = binary.BigEndian.AppendUint32(b, p)
		case uint64:
			b = binary.BigEndian.AppendUint64(b, p)
		case string:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
		case []byte:
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
		}
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// answer is a reply of the server. Which fields count depends on kind.
type answer struct {
	kind       byte
	id         uint32 // of VERSION: the version
	code       uint32 // of STATUS
	text       string // of STATUS: its words; of HANDLE: the handle
	data       []byte // of DATA
	size       int64  // of ATTRS; -1: not told
	mtime      uint32 // of ATTRS; 0: not told
	extensions map[string]string
	numbers    []uint64 // of EXTENDED_REPLY
}

var errShort = errors.New("a packet of the server ends too early")

// readPacket reads what stands behind the length.
func readPacket(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 5 || n > maxPacket {
		return nil, fmt.Errorf("the server sends a packet of %d bytes: it does not speak SFTP", n)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(r, p)
	return p, err
}

// parse reads a reply.
func parse(p []byte) (answer, error) {
	in := input{p, nil}
	a := answer{kind: in.take(1)[0], id: in.number(), size: -1}
	switch a.kind {
	case fxVersion:
		a.extensions = map[string]string{}
		for len(in.left) > 0 && in.err == nil {
			name := in.text()
			a.extensions[string(name)] = string(in.text())
		}
	case fxStatus:
		if a.code = in.number(); len(in.left) > 0 { // some old servers say a code and no words
			a.text = string(in.text())
		}
	case fxHandle:
		a.text = string(in.text())
	case fxData:
		a.data = in.text()
	case fxAttrs:
		a.attrs(&in)
	case fxReply:
		for len(in.left) >= 8 {
			a.numbers = append(a.numbers, binary.BigEndian.Uint64(in.take(8)))
		}
	default:
		return a, fmt.Errorf("the server sends a packet of type %d, which is no reply", a.kind)
	}
	return a, in.err
}

// attrs reads size and time of change; what stands behind is of no use here.
func (a *answer) attrs(in *input) {
	flags := in.number()
	if flags&1 != 0 {
		if n := binary.BigEndian.Uint64(in.take(8)); n < 1<<63 {
			a.size = int64(n)
		}
	}
	if flags&2 != 0 {
		in.take(8) // owner
	}
	if flags&4 != 0 {
		in.take(4) // mode
	}
	if flags&8 != 0 {
		in.take(4) // time of access
		a.mtime = in.number()
	}
}

// said is what a status says, for people.
func (a answer) said() string {
	if a.kind != fxStatus {
		return fmt.Sprintf("a packet of type %d", a.kind)
	}
	return fmt.Sprintf("%d %s", a.code, tallyman.Escape(a.text))
}

// input reads a packet from its front. After an error all that is read is zero.
type input struct {
	left []byte
	err  error
}

func (in *input) take(n int) []byte {
	if in.err != nil || n > len(in.left) {
		in.err = errShort
		return make([]byte, min(n, 8))
	}
	p := in.left[:n]
	in.left = in.left[n:]
	return p
}

func (in *input) number() uint32 { return binary.BigEndian.Uint32(in.take(4)) }

func (in *input) text() []byte {
	n := in.number()
	if uint64(n) > uint64(len(in.left)) {
		in.err = errShort
		return nil
	}
	return in.take(int(n))
}
