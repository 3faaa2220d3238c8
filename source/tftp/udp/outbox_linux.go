package udp

import (
	"encoding/binary"
	"errors"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Route is the cheapest way of sending that is known to work towards one peer.
// The zero Route is the cheapest of all.
type Route uint8

const (
	// Segmented sends up to 64 packets in one call, cut apart by the kernel or the device (UDP_SEGMENT, Linux 4.18).
	Segmented Route = iota
	// Batched sends packet by packet in one call (sendmmsg).
	Batched
	// Single sends each packet by a call of its own.
	Single
)

const (
	outboxSlots    = 64    // UDP_MAX_SEGMENTS of linux/udp.h up to 6.8
	segmentedBytes = 65000 // one datagram before it is cut: 65535 less headers
)

// Outbox gathers packets of a header and a payload for one peer and sends them
// with as few system calls as it can. The payload is not copied before the
// kernel does. One Outbox serves all transfers of one thread.
type Outbox struct {
	heads    [outboxSlots][4]byte
	vectors  [2 * outboxSlots]unix.Iovec
	messages [outboxSlots]mmsghdr
	sizes    [outboxSlots]int
	control  [24]byte // CMSG_SPACE of one uint16, 64 bit
	n        int
}

// NewOutbox makes an empty Outbox.
func NewOutbox() *Outbox {
	o := &Outbox{}
	for i := range o.heads {
		o.vectors[2*i].Base = &o.heads[i][0]
		o.vectors[2*i].SetLen(len(o.heads[i]))
		o.messages[i].hdr.Iov = &o.vectors[2*i]
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&o.control[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	return o
}

// Add appends a packet; false says that the Outbox is full and must be flushed
// first. payload must stay unchanged until then.
func (o *Outbox) Add(head uint32, payload []byte) bool {
	if o.n == outboxSlots {
		return false
	}
	binary.BigEndian.PutUint32(o.heads[o.n][:], head)
	v := &o.vectors[2*o.n+1]
	v.Base = unsafe.SliceData(payload)
	v.SetLen(len(payload))
	o.sizes[o.n] = 4 + len(payload)
	o.n++
	return true
}

// Flush sends all packets in order and empties the Outbox, also when it gives
// an error. It returns how many packets were handed to the kernel. *way is
// lowered when a cheaper way proves impossible. Without wait, EAGAIN says that
// the send buffer is full; the rest is then as good as lost on the wire.
func (o *Outbox) Flush(s Socket, to *Addr, way *Route, wait bool) (sent int, err error) {
	defer func() { o.n = 0 }()
	flags := uintptr(unix.MSG_DONTWAIT)
	if wait {
		flags = 0
	}
	for sent < o.n && err == nil {
		n := o.run(sent)
		switch {
		case n > 1 && *way == Segmented:
			err = o.sendRun(s, to, sent, n, flags)
			if cannot(err) {
				*way, err, n = Batched, nil, 0
			}
		case o.n-sent > 1 && *way == Batched:
			n, err = o.sendBatch(s, to, sent, flags)
			if cannot(err) {
				*way, err, n = Single, nil, 0
			}
		default:
			n = 1
			err = o.sendRun(s, to, sent, 1, flags)
		}
		if err == nil {
			sent += n
		}
	}
	return sent, err
}

// cannot reports whether err means that this way of sending is not to be had
// here: no checksum offload (EIO), no such option or a segment beyond the path's
// MTU (EINVAL, EMSGSIZE since Linux 6.8), an old kernel (net/ipv4/udp.c, udp_send_skb).
func cannot(err error) bool {
	if err == nil {
		return false
	}
	errno, ok := errors.AsType[unix.Errno](err)
	return ok && slices.Contains(inabilities[:], errno)
}

var inabilities = [...]unix.Errno{unix.EIO, unix.EINVAL, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.ENOPROTOOPT, unix.ENOSYS}

// run is how many packets from the first on one segmented send can take: all of
// one size, only the last may be shorter.
func (o *Outbox) run(first int) int {
	size := o.sizes[first]
	most := min(o.n-first, segmentedBytes/size)
	for n := 1; n < most; n++ {
		if next := o.sizes[first+n]; next > size {
			return n
		} else if next < size {
			return n + 1
		}
	}
	return max(most, 1)
}

// sendRun sends n packets as one datagram that the kernel cuts, or one as it is.
func (o *Outbox) sendRun(s Socket, to *Addr, first, n int, flags uintptr) error {
	h := &o.messages[first].hdr
	h.Name, h.Namelen = &to.raw[0], to.size
	h.SetIovlen(2 * n)
	h.Control = nil
	h.SetControllen(0)
	if n > 1 {
		binary.NativeEndian.PutUint16(o.control[unix.CmsgLen(0):], uint16(o.sizes[first]))
		h.Control = &o.control[0]
		h.SetControllen(unix.CmsgSpace(2))
	}
	var errno unix.Errno
	if flags&unix.MSG_DONTWAIT != 0 {
		_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, s.descriptor(), uintptr(unsafe.Pointer(h)), flags)
	} else {
		_, _, errno = unix.Syscall(unix.SYS_SENDMSG, s.descriptor(), uintptr(unsafe.Pointer(h)), flags)
	}
	return asError(errno)
}

// sendBatch sends the packets from the first on by one sendmmsg and returns how many went out.
func (o *Outbox) sendBatch(s Socket, to *Addr, first int, flags uintptr) (int, error) {
	for i := first; i < o.n; i++ {
		h := &o.messages[i].hdr
		h.Name, h.Namelen = &to.raw[0], to.size
		h.SetIovlen(2)
		h.Control = nil
		h.SetControllen(0)
	}
	at, count := unsafe.Pointer(&o.messages[first]), uintptr(o.n-first)
	var n uintptr
	var errno unix.Errno
	if flags&unix.MSG_DONTWAIT != 0 {
		n, _, errno = unix.RawSyscall6(unix.SYS_SENDMMSG, s.descriptor(), uintptr(at), count, flags, 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_SENDMMSG, s.descriptor(), uintptr(at), count, flags, 0, 0)
	}
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
