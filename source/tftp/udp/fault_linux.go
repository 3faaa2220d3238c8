package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Fault is an ICMP error about a packet sent earlier (man 7 ip, IP_RECVERR).
type Fault struct {
	// About is the peer that the lost packet was sent to, not the router that complained.
	About Addr
	// Errno is what the kernel makes of it: ECONNREFUSED for port unreachable.
	Errno unix.Errno
}

// Gone reports whether nobody listens at the peer's port any more. Other
// faults (no route, fragmentation needed) may pass.
func (f *Fault) Gone() bool { return f.Errno == unix.ECONNREFUSED }

const (
	extendedErrSize = 16 // struct sock_extended_err, linux/errqueue.h
	originICMP      = 2  // SO_EE_ORIGIN_ICMP
	originICMP6     = 3  // SO_EE_ORIGIN_ICMP6
)

// Fault takes the oldest error from the socket's error queue, false when there
// is none. While one waits, Poll reports the socket and one Send or Receive
// fails with its errno without doing its work.
func (s Socket) Fault(f *Fault) bool {
	var control [128]byte
	var payload [8]byte
	vector := unix.Iovec{Base: &payload[0]}
	vector.SetLen(len(payload))
	for {
		h := unix.Msghdr{Name: &f.About.raw[0], Namelen: unix.SizeofSockaddrInet6, Iov: &vector, Control: &control[0]}
		h.SetIovlen(1)
		h.SetControllen(len(control))
		_, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, s.descriptor(), uintptr(unsafe.Pointer(&h)),
			unix.MSG_ERRQUEUE|unix.MSG_DONTWAIT)
		if errno != 0 {
			return false
		}
		f.About.size = h.Namelen
		if f.readControl(control[:min(int(h.Controllen), len(control))]) {
			return true
		}
	}
}

// readControl finds struct sock_extended_err; false for errors of our own
// machine, which the failed call has told already.
func (f *Fault) readControl(control []byte) bool {
	for len(control) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(control) {
			return false
		}
		body := control[unix.CmsgLen(0):size]
		ours := h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVERR ||
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVERR
		if ours && len(body) >= extendedErrSize {
			f.Errno = unix.Errno(binary.NativeEndian.Uint32(body))
			origin := body[4]
			return origin == originICMP || origin == originICMP6
		}
		control = control[min(unix.CmsgSpace(size-unix.CmsgLen(0)), len(control)):]
	}
	return false
}
