package udp

import (
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is one datagram socket. The zero Socket is closed.
type Socket struct {
	fd  int32 // the descriptor plus one, so that the zero value is no socket
	six bool
}

// requestBuffer is what a request port asks the kernel for: with the default
// of 212 KB about 316 of 512 simultaneous first requests are dropped.
const requestBuffer = 4 << 20

// Listen opens a request port. An IPv6 address serves IPv6 alone. The receive
// buffer is 4 MiB, or what net.core.rmem_max allows a process without CAP_NET_ADMIN.
func Listen(at netip.AddrPort) (Socket, error) {
	s, err := open(at, unix.IPV6_RECVPKTINFO, unix.IP_PKTINFO)
	if err != nil {
		return Socket{}, fmt.Errorf("listen on udp %v: %w", at, err)
	}
	s.ReceiveBuffer(requestBuffer)
	return s, nil
}

// Open opens the socket of one transfer on a port that the kernel picks. It is
// not connected: packets of strangers must be seen to be answered. ICMP errors
// wait in its error queue, see Fault.
func Open(local netip.Addr) (Socket, error) {
	s, err := open(netip.AddrPortFrom(local, 0), unix.IPV6_RECVERR, unix.IP_RECVERR)
	if err != nil {
		return Socket{}, fmt.Errorf("open transfer port at %v: %w", local, err)
	}
	return s, nil
}

// OpenBeside opens a socket for one address on the port that the request port
// has on all: the kernel then hands it what comes for that address, requests too,
// and what it sends leaves from there. While it binds, and no longer, the
// sockets allow that (man 7 socket, SO_REUSEADDR): nobody else may take packets away.
func OpenBeside(request Socket, local netip.Addr) (Socket, error) {
	at, err := request.LocalAddr()
	if err != nil {
		return Socket{}, err
	}
	at = netip.AddrPortFrom(local, at.Port())
	s, err := create(at, unix.IPV6_RECVERR, unix.IP_RECVERR)
	if err == nil {
		request.reuse(1)
		s.reuse(1)
		err = s.bind(at)
		request.reuse(0)
		s.reuse(0)
	}
	if err != nil {
		s.Close()
		return Socket{}, fmt.Errorf("open udp %v beside the request port: %w", at, err)
	}
	s.ReceiveBuffer(requestBuffer)
	return s, nil
}

// open makes a bound socket with one option of its family switched on.
func open(at netip.AddrPort, option6, option4 int) (Socket, error) {
	s, err := create(at, option6, option4)
	if err == nil {
		err = s.bind(at)
	}
	if err != nil {
		s.Close()
		return Socket{}, err
	}
	return s, nil
}

// create makes a socket of the family of at. The socket itself blocks: every
// call says by MSG_DONTWAIT whether it may.
func create(at netip.AddrPort, option6, option4 int) (Socket, error) {
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, option4
	s := Socket{six: at.Addr().Is6() && !at.Addr().Is4In6()}
	if s.six {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, option6
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Socket{}, err
	}
	s.fd = int32(fd) + 1
	if s.six {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, level, option, 1)
	}
	return s, err
}

func (s Socket) bind(at netip.AddrPort) error {
	a := MakeAddr(at)
	_, _, errno := unix.RawSyscall(unix.SYS_BIND, s.descriptor(), uintptr(unsafe.Pointer(&a.raw)), uintptr(a.size))
	return asError(errno)
}

// reuse may fail without harm: then bind says that the port is taken.
func (s Socket) reuse(on int) {
	_ = unix.SetsockoptInt(int(s.fd)-1, unix.SOL_SOCKET, unix.SO_REUSEADDR, on)
}

// Close closes the socket; closing a closed one does nothing.
func (s *Socket) Close() {
	if s.fd != 0 {
		_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, s.descriptor(), 0, 0)
		s.fd = 0
	}
}

// IsOpen reports whether the socket can be used.
func (s Socket) IsOpen() bool { return s.fd != 0 }

// LocalAddr is the address and port that the socket is bound to.
func (s Socket) LocalAddr() (netip.AddrPort, error) {
	a := Addr{size: unix.SizeofSockaddrInet6}
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, s.descriptor(),
		uintptr(unsafe.Pointer(&a.raw)), uintptr(unsafe.Pointer(&a.size)))
	if errno != 0 {
		return netip.AddrPort{}, fmt.Errorf("read own address: %w", errno)
	}
	return a.AddrPort(), nil
}

// ReceiveBuffer asks for room for size bytes of payload and returns what the
// kernel granted. Beyond net.core.rmem_max it needs CAP_NET_ADMIN. The kernel
// doubles the figure for its own bookkeeping and reports it doubled (man 7 socket).
func (s Socket) ReceiveBuffer(size int) int {
	fd := int(s.fd) - 1
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size) // what is granted is read back below
	}
	got, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return got / 2
}

// Timeout bounds how long ReceiveWait waits; 0 is for ever.
func (s Socket) Timeout(d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(s.fd)-1, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("set receive timeout: %w", err)
	}
	return nil
}

// Coalesce lets the kernel hand over a run of equal packets of one sender as
// one message (UDP_GRO, Linux 5.0); an Inbox takes them apart again.
func (s Socket) Coalesce() error {
	if err := unix.SetsockoptInt(int(s.fd)-1, unix.IPPROTO_UDP, unix.UDP_GRO, 1); err != nil {
		return fmt.Errorf("switch on receive offload: %w", err)
	}
	return nil
}

// Receive takes one packet into buf without waiting and returns the packet's
// whole length, which is more than len(buf) when it did not fit; *from is
// overwritten. EAGAIN means that there is none; other errors are those of
// earlier sends, see Fault.
func (s Socket) Receive(buf []byte, from *Addr) (int, error) {
	from.size = unix.SizeofSockaddrInet6
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, s.descriptor(),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_DONTWAIT|unix.MSG_TRUNC,
		uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// ReceiveWait is Receive that waits up to Timeout and then gives EAGAIN; the
// calling goroutine should be locked to its thread.
func (s Socket) ReceiveWait(buf []byte, from *Addr) (int, error) {
	from.size = unix.SizeofSockaddrInet6
	n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, s.descriptor(),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), unix.MSG_TRUNC,
		uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.size)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// ReceiveSoon is Receive that looks again and again for at most patience before it gives EAGAIN. In between it offers
// the processor to others, so that a peer on this machine can answer.
func (s Socket) ReceiveSoon(buf []byte, from *Addr, patience time.Duration) (int, error) {
	for start := time.Now(); ; {
		n, err := s.Receive(buf, from)
		if err != unix.EAGAIN || time.Since(start) > patience { //nolint:errorlint // Receive gives the bare Errno
			return n, err
		}
		Yield()
	}
}

// Send sends one packet without waiting.
func (s Socket) Send(packet []byte, to *Addr) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, s.descriptor(),
		uintptr(unsafe.Pointer(unsafe.SliceData(packet))), uintptr(len(packet)), unix.MSG_DONTWAIT,
		uintptr(unsafe.Pointer(&to.raw)), uintptr(to.size))
	return asError(errno)
}

func (s Socket) descriptor() uintptr { return uintptr(s.fd - 1) }

// asError keeps a nil error nil: a zero Errno in an error interface is not.
func asError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// Descriptors is how many files and sockets this process may have open. The
// runtime has raised the limit as far as it may at the start of the program (package os).
func Descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // what POSIX systems give a process by default
	}
	return int(min(limit.Cur, 1<<30))
}
