package load

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Raw system calls: no allocation, and the Go scheduler does not hand our processor
// to another thread while we wait for a packet.

const addressBytes = unix.SizeofSockaddrInet4

func rawAddress(a netip.AddrPort) unix.RawSockaddrInet4 {
	raw := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
	port := (*[2]byte)(unsafe.Pointer(&raw.Port))
	port[0], port[1] = byte(a.Port()>>8), byte(a.Port())
	return raw
}

// Clients take their ports in turn and from below the range that the kernel gives to the
// transfers of servers (net.ipv4.ip_local_port_range, 32768 to 60999). On one machine a
// fast run uses so many ports that a client would else get one that a server's transfer
// had a moment ago, and hear what was meant for its predecessor.
const firstPort, lastPort = 2048, 32767

// ports opens sockets; each has the port after that of the one before.
type ports struct{ last uint16 }

func newPorts() *ports { return &ports{uint16(firstPort + rand.N(lastPort-firstPort))} }

func (p *ports) open(flags, receiveBuffer int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("open socket: %w", err)
	}
	if receiveBuffer > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer); err != nil {
			_ = unix.Close(fd)
			return -1, fmt.Errorf("set receive buffer of %d bytes: %w", receiveBuffer, err)
		}
	}
	if err := p.bind(fd); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bind takes the next port that is free.
func (p *ports) bind(fd int) error {
	for range lastPort - firstPort + 1 {
		if p.last++; p.last > lastPort {
			p.last = firstPort
		}
		err := unix.Bind(fd, &unix.SockaddrInet4{Port: int(p.last)})
		if err == nil {
			return nil
		}
		if err != unix.EADDRINUSE {
			return fmt.Errorf("bind port %d: %w", p.last, err)
		}
	}
	return fmt.Errorf("bind: no port from %d to %d is free", firstPort, lastPort)
}

func setReceiveTimeout(fd int, d time.Duration) error {
	tv := unix.NsecToTimeval(d.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("set receive timeout: %w", err)
	}
	return nil
}

// sendTo sends p to a, or to the connected peer when a is nil. A full device queue or
// an ICMP error of an earlier packet is left to the timer, as for any lost packet.
func sendTo(fd int, p []byte, a *unix.RawSockaddrInet4) {
	n := uintptr(0)
	if a != nil {
		n = addressBytes
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(a)), n)
}

// receiveFrom reads one packet and its sender.
func receiveFrom(fd int, p []byte, from *unix.RawSockaddrInet4) (int, unix.Errno) {
	n := uint32(addressBytes)
	got, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
		0, uintptr(unsafe.Pointer(from)), uintptr(unsafe.Pointer(&n)))
	return int(got), errno
}

func connect(fd int, a *unix.RawSockaddrInet4) error {
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(a)), addressBytes)
	if errno != 0 {
		return fmt.Errorf("connect to the server's port: %w", errno)
	}
	return nil
}

// message is struct mmsghdr, man 2 recvmmsg.
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// batch is a set of packets that one system call sends or receives. One to be
// sent has a header part and a content part, one that is received is in one piece.
type batch struct {
	messages []message
	parts    [][2]unix.Iovec
	headers  [][header]byte
	content  [][]byte
}

// newBatch makes n packets, to be received in memory of room bytes each, or to be sent
// when room is 0.
func newBatch(n, room int) *batch {
	b := &batch{make([]message, n), make([][2]unix.Iovec, n), make([][header]byte, n), make([][]byte, n)}
	for i := range b.messages {
		b.parts[i][0].Base = &b.headers[i][0]
		b.parts[i][0].SetLen(header)
		b.messages[i].header.Iov = &b.parts[i][0]
		b.messages[i].header.SetIovlen(2)
		if room > 0 {
			b.content[i] = make([]byte, room)
			b.parts[i][0].Base = &b.content[i][0]
			b.parts[i][0].SetLen(room)
			b.messages[i].header.SetIovlen(1)
		}
	}
	return b
}

// receive waits for one packet and takes all that are there, at most all of b.
func (b *batch) receive(fd int) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[0])),
		uintptr(len(b.messages)), unix.MSG_WAITFORONE, 0, 0)
	return int(n), errno
}

// packet is the i-th packet of the last receive.
func (b *batch) packet(i int) []byte { return b.content[i][:b.messages[i].length] }

// put makes packet i a DATA.
func (b *batch) put(i int, block uint16, content []byte) {
	b.headers[i] = [header]byte{0, opData, byte(block >> 8), byte(block)}
	count := 1
	if len(content) > 0 {
		b.parts[i][1].Base = &content[0]
		b.parts[i][1].SetLen(len(content))
		count = 2
	}
	b.messages[i].header.SetIovlen(count)
}

// send sends the first n packets to the connected peer. What the kernel does not take
// is left to the timer.
func (b *batch) send(fd, n int) {
	for at := 0; at < n; {
		sent, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&b.messages[at])),
			uintptr(n-at), unix.MSG_NOSIGNAL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return
		}
		at += int(sent)
	}
}

// processorTime is what this process has used so far, user and system.
func processorTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
