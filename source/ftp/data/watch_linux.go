package data

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Seen is what the kernel knows of a connection.
type Seen struct {
	Unacked int  // bytes that we have sent and the peer's kernel has not acknowledged; our FIN counts as one
	Reset   bool // the connection is gone by a reset or a timeout
	Closed  bool // the peer has closed its side
}

// Watch looks at a connection. Of one that is closed already nothing is known: it counts as reset.
func Watch(c syscall.Conn) Seen {
	raw, err := c.SyscallConn()
	if err != nil {
		return Seen{Reset: true}
	}
	var s Seen
	err = raw.Control(func(fd uintptr) {
		i, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			s.Reset = true
			return
		}
		// tcp(7), SIOCOUTQ: what is not acknowledged.
		if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			s.Unacked = n
		}
		switch i.State {
		case unix.BPF_TCP_CLOSE_WAIT, unix.BPF_TCP_LAST_ACK, unix.BPF_TCP_CLOSING, unix.BPF_TCP_TIME_WAIT:
			s.Closed = true
		case unix.BPF_TCP_CLOSE:
			// After both sides have closed in order the state is the same as after a reset: what tells them apart is the error that waits.
			s.Closed = true
			if n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || n != 0 {
				s.Reset = true
			}
		}
	})
	if err != nil {
		return Seen{Reset: true}
	}
	return s
}

// Delivered is how many of sent bytes the peer's kernel has acknowledged.
func Delivered(c *net.TCPConn, sent int64) int64 {
	return max(sent-int64(Watch(c).Unacked), 0)
}
