package mix

import (
	"errors"
	"fmt"
	"net"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Spec says what is sent where.
type Spec struct {
	Interface string
	Rate      int // packets a second
	Rounds    int
}

// Sent says what was sent.
type Sent struct {
	Packets int
	Elapsed time.Duration
	CPU     time.Duration // of this process, user and system
}

// burst is how many packets leave in one system call.
const burst = 100

// message is struct mmsghdr (recvmmsg(2)).
type message struct {
	header unix.Msghdr
	length uint32
	_      [4]byte
}

// Run sends all rounds, and keeps to the rate; what it could not send in time it makes up for. It needs CAP_NET_RAW.
func Run(s Spec) (Sent, error) {
	if s.Rate < burst || s.Rounds < 1 {
		return Sent{}, fmt.Errorf("rate %d, rounds %d: want at least %d packets a second and one round", s.Rate, s.Rounds, burst)
	}
	device, err := net.InterfaceByName(s.Interface)
	if err != nil {
		return Sent{}, fmt.Errorf("interface %s: %w", s.Interface, err)
	}
	// No protocol: the socket receives nothing (packet(7)).
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Sent{}, fmt.Errorf("open a packet socket: %w", err)
	}
	defer func() { _ = unix.Close(fd) }() // nothing waits in it
	if err := errors.Join(
		unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: device.Index}), unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1),
	); err != nil {
		return Sent{}, fmt.Errorf("set up the packet socket: %w", err)
	}
	p := newPackets()
	messages, parts := make([]message, Round), make([]unix.Iovec, Round)
	for i, f := range p.frames {
		parts[i].Base = &f[0]
		parts[i].SetLen(len(f))
		messages[i].header.Iov = &parts[i]
		messages[i].header.SetIovlen(1)
	}
	var sent Sent
	began := time.Now()
	for round := range s.Rounds {
		p.turn(uint64(round))
		for at := 0; at < Round; at += burst {
			due := time.Duration(sent.Packets) * time.Second / time.Duration(s.Rate)
			if early := due - time.Since(began); early > 0 {
				nap(early)
			}
			if err := send(fd, messages[at:at+burst]); err != nil {
				return sent, err
			}
			sent.Packets += burst
		}
	}
	sent.Elapsed = time.Since(began)
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return sent, err
	}
	sent.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	return sent, nil
}

func nap(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0) // what is interrupted sleeps again in the next turn
}

func send(fd int, messages []message) error {
	for at := 0; at < len(messages); {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&messages[at])), uintptr(len(messages)-at), 0, 0, 0)
		switch errno {
		case 0:
			at += int(n)
		case unix.EINTR, unix.ENOBUFS, unix.EAGAIN: // the device is full for a moment
		default:
			return fmt.Errorf("send packets: %w", errno)
		}
	}
	return nil
}
