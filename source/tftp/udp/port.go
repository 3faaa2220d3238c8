package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Port is a request port that is open.
type Port struct {
	Socket Socket
	At     netip.AddrPort
}

// Addresses reads ADDRESS:PORT or :PORT. Without an address it is every one of IPv4 and of IPv6.
func Addresses(text string) ([]netip.AddrPort, error) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		return nil, fmt.Errorf("listen is %q: it must be ADDRESS:PORT or :PORT", text)
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen is %q: the port must be a number up to 65535", text)
	}
	if host == "" {
		return []netip.AddrPort{
			netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port)),
			netip.AddrPortFrom(netip.IPv6Unspecified(), uint16(port)),
		}, nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, fmt.Errorf("listen is %q: the address must be an IP address of this machine", text)
	}
	return []netip.AddrPort{netip.AddrPortFrom(ip, uint16(port))}, nil
}

// portTries is how often ListenAll asks for a port that is free for all addresses.
const portTries = 8

// ListenAll opens request ports at all addresses, with one port number. The
// first must be had; of the others those are left out whose family the machine
// does not have.
func ListenAll(at []netip.AddrPort) (ports []Port, err error) {
	for range portTries {
		ports, err = listenOnce(at)
		// A port that the kernel picked for IPv4 can be taken on IPv6.
		if !errors.Is(err, syscall.EADDRINUSE) || at[0].Port() != 0 {
			break
		}
	}
	return ports, err
}

func listenOnce(at []netip.AddrPort) ([]Port, error) {
	var ports []Port
	for i, a := range at {
		if i > 0 {
			a = netip.AddrPortFrom(a.Addr(), ports[0].At.Port())
		}
		s, err := Listen(a)
		if i > 0 && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
			continue
		}
		if err == nil {
			a, err = s.LocalAddr()
		}
		if err != nil {
			s.Close()
			for _, p := range ports {
				p.Socket.Close()
			}
			if errors.Is(err, os.ErrPermission) {
				err = fmt.Errorf("%w: ports below 1024 need CAP_NET_BIND_SERVICE: setcap it, run as root, or choose another port than %d", err, a.Port())
			}
			return nil, err
		}
		ports = append(ports, Port{s, a})
	}
	return ports, nil
}
