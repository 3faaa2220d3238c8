// Package packet is the codec of SFTP version 3 (draft-ietf-secsh-filexfer-02) with the extensions of OpenSSH (PROTOCOL, section 4). It is pure.
//
// It promises: a request that is accepted is rendered back byte for byte; nothing is read beyond the packet; no length that a client sends makes it
// allocate more than the packet has. A path is raw bytes: what it may mean it leaves to the server.
package packet

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Types of packets (section 3).
const (
	Init          byte = 1
	Version       byte = 2
	Open          byte = 3
	Close         byte = 4
	Read          byte = 5
	Write         byte = 6
	Lstat         byte = 7
	Fstat         byte = 8
	Setstat       byte = 9
	Fsetstat      byte = 10
	Opendir       byte = 11
	Readdir       byte = 12
	Remove        byte = 13
	Mkdir         byte = 14
	Rmdir         byte = 15
	Realpath      byte = 16
	Stat          byte = 17
	Rename        byte = 18
	Readlink      byte = 19
	Symlink       byte = 20
	Status        byte = 101
	Handle        byte = 102
	Data          byte = 103
	Name          byte = 104
	Attributes    byte = 105
	Extended      byte = 200
	ExtendedReply byte = 201
)

// Flags of Open (section 6.3).
const (
	FlagRead uint32 = 1 << iota
	FlagWrite
	FlagAppend
	FlagCreate
	FlagTruncate
	FlagExclusive
)

// Limits that are announced (OpenSSH PROTOCOL, section 4.8).
const (
	MaxPacket = 256 << 10 // bytes behind the length
	MaxData   = 255 << 10 // bytes of one read or write
)

// Extensions: those of OpenSSH, and that of draft-ietf-secsh-filexfer-extensions-00 which it has too.
const (
	PosixRename = "posix-rename@openssh.com"
	StatVFS     = "statvfs@openssh.com"
	FStatVFS    = "fstatvfs@openssh.com"
	Hardlink    = "hardlink@openssh.com"
	Fsync       = "fsync@openssh.com"
	Limits      = "limits@openssh.com"
	CopyData    = "copy-data"
)

// ErrShort is what a packet that ends too early is.
var ErrShort = errors.New("the packet ends too early")

// Request is a request of a client. Which fields count depends on Type; of Extended also on Extension. Data and Rest alias the packet.
type Request struct {
	Type      byte
	ID        uint32 // of Init: the version
	Path      string
	Target    string // the second path
	Handle    string
	Offset    uint64
	Length    uint32
	Flags     uint32
	Attrs     Attrs
	Data      []byte
	Extension string
	To        string // of CopyData: the handle to write to, where, and how many bytes, 0 for all
	ToOffset  uint64
	Bytes     uint64
	Rest      []byte // what stands behind: of Init and of an extension that is not known all, else what has no meaning
}

// Parse reads what stands behind the length.
func Parse(p []byte) (Request, error) {
	in := input{left: p}
	q := Request{Type: in.byte()}
	q.ID = in.uint32()
	if in.err != nil {
		return q, in.err
	}
	switch q.Type {
	case Init:
		q.Rest = in.rest()
	case Open:
		q.Path, q.Flags, q.Attrs = in.text(), in.uint32(), in.attrs()
	case Close, Readdir, Fstat:
		q.Handle = in.text()
	case Read:
		q.Handle, q.Offset, q.Length = in.text(), in.uint64(), in.uint32()
	case Write:
		q.Handle, q.Offset, q.Data = in.text(), in.uint64(), in.bytes()
	case Lstat, Stat, Opendir, Remove, Rmdir, Realpath, Readlink:
		q.Path = in.text()
	case Setstat, Mkdir:
		q.Path, q.Attrs = in.text(), in.attrs()
	case Fsetstat:
		q.Handle, q.Attrs = in.text(), in.attrs()
	case Rename, Symlink:
		q.Path, q.Target = in.text(), in.text()
	case Extended:
		q.Extension = in.text()
		in.extension(&q)
	default:
		return q, fmt.Errorf("the type %d is no request", q.Type)
	}
	if q.Rest == nil && len(in.left) > 0 {
		q.Rest = in.rest() // rclone 1.60 sends its whole buffer in the last write; sshd ignores that too
	}
	return q, in.err
}

func (in *input) extension(q *Request) {
	switch q.Extension {
	case PosixRename, Hardlink:
		q.Path, q.Target = in.text(), in.text()
	case StatVFS:
		q.Path = in.text()
	case FStatVFS, Fsync:
		q.Handle = in.text()
	case CopyData:
		q.Handle, q.Offset, q.Bytes, q.To, q.ToOffset = in.text(), in.uint64(), in.uint64(), in.text(), in.uint64()
	case Limits:
	default:
		q.Rest = in.rest()
	}
}

// Append renders a request with its length.
func (q *Request) Append(b []byte) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0, q.Type)
	b = binary.BigEndian.AppendUint32(b, q.ID)
	switch q.Type {
	case Open:
		b = q.Attrs.append(binary.BigEndian.AppendUint32(appendText(b, q.Path), q.Flags))
	case Close, Readdir, Fstat:
		b = appendText(b, q.Handle)
	case Read:
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(appendText(b, q.Handle), q.Offset), q.Length)
	case Write:
		b = appendText(binary.BigEndian.AppendUint64(appendText(b, q.Handle), q.Offset), string(q.Data))
	case Lstat, Stat, Opendir, Remove, Rmdir, Realpath, Readlink:
		b = appendText(b, q.Path)
	case Setstat, Mkdir:
		b = q.Attrs.append(appendText(b, q.Path))
	case Fsetstat:
		b = q.Attrs.append(appendText(b, q.Handle))
	case Rename, Symlink:
		b = appendText(appendText(b, q.Path), q.Target)
	case Extended:
		b = appendText(b, q.Extension)
		switch q.Extension {
		case PosixRename, Hardlink:
			b = appendText(appendText(b, q.Path), q.Target)
		case StatVFS:
			b = appendText(b, q.Path)
		case FStatVFS, Fsync:
			b = appendText(b, q.Handle)
		case CopyData:
			b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(appendText(b, q.Handle), q.Offset), q.Bytes)
			b = binary.BigEndian.AppendUint64(appendText(b, q.To), q.ToOffset)
		}
	}
	return Finish(append(b, q.Rest...), at)
}

// Finish writes the length of the packet that begins at a place.
func Finish(b []byte, at int) []byte {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

// input reads a packet from its front. After an error all that is read is zero.
type input struct {
	left []byte
	err  error
}

func (in *input) take(n int) []byte {
	if in.err != nil || n > len(in.left) {
		in.err = ErrShort
		return nil
	}
	p := in.left[:n:n]
	in.left = in.left[n:]
	return p
}

func (in *input) byte() byte {
	if p := in.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (in *input) uint32() uint32 {
	if p := in.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (in *input) uint64() uint64 {
	if p := in.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (in *input) bytes() []byte {
	n := in.uint32()
	if uint64(n) > uint64(len(in.left)) {
		in.err = ErrShort
		return nil
	}
	return in.take(int(n))
}

func (in *input) text() string { return string(in.bytes()) }

func (in *input) rest() []byte { return in.take(len(in.left)) }
