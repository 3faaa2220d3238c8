package tftp

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// reportUnreachable makes ICMP errors an error of the next call on a socket that is not connected (ip(7), IP_RECVERR): a port where
// nobody listens is told at once and not after all repetitions.
func reportUnreachable(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) {
		if a, ok := conn.LocalAddr().(*net.UDPAddr); ok && a.IP.To4() != nil {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
		} else {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1)
		}
	})
	return errors.Join(err, set)
}
