package uevent

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Counts is what a Socket has counted.
type Counts struct {
	Taken  int64 // messages of the kernel
	Forged int64 // of somebody else: dropped
	Odd    int64 // of the kernel, but not understood
	Lost   int64 // times that the queue ran over
}

// Socket receives the messages. Its queue is the receive buffer of the kernel; when it is full, messages are dropped and Lost says that it happened.
type Socket struct {
	fd                       int
	buf, oob                 []byte
	taken, forged, odd, lost atomic.Int64
}

const (
	kernelGroup = 1
	queueBytes  = 1 << 20
)

// Open joins the group. It needs no rights.
func Open() (*Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open uevent socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queueBytes) // as much as may be
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return nil, errors.Join(fmt.Errorf("ask for senders of uevents: %w", err), unix.Close(fd))
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		return nil, errors.Join(fmt.Errorf("join the uevents of the kernel: %w", err), unix.Close(fd))
	}
	return &Socket{fd: fd, buf: make([]byte, mostBytes+1), oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred))}, nil
}

// FD is readable when messages wait.
func (s *Socket) FD() int { return s.fd }

// Next returns the next message that waits; ok is false when none does. It is for one goroutine.
func (s *Socket) Next() (e Event, ok bool, err error) {
	for {
		n, oobn, flags, from, err := unix.Recvmsg(s.fd, s.buf, s.oob, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return e, false, nil
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ENOBUFS):
			s.lost.Add(1)
			continue
		case err != nil:
			return e, false, fmt.Errorf("read uevents: %w", err)
		case !ofKernel(from, s.oob[:oobn], flags):
			s.forged.Add(1)
			continue
		}
		if e, err = Parse(s.buf[:n]); err != nil {
			s.odd.Add(1)
			continue
		}
		s.taken.Add(1)
		return e, true, nil
	}
}

// ofKernel checks the sender (netlink(7), unix(7)).
func ofKernel(from unix.Sockaddr, oob []byte, flags int) bool {
	at, ok := from.(*unix.SockaddrNetlink)
	if !ok || at.Pid != 0 || at.Groups != kernelGroup || flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		return false
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return false
	}
	for i := range messages {
		if cred, err := unix.ParseUnixCredentials(&messages[i]); err == nil {
			return cred.Pid == 0 && cred.Uid == 0
		}
	}
	return false
}

// Counts may be called by any goroutine.
func (s *Socket) Counts() Counts {
	return Counts{Taken: s.taken.Load(), Forged: s.forged.Load(), Odd: s.odd.Load(), Lost: s.lost.Load()}
}

// Close leaves the group.
func (s *Socket) Close() { _ = unix.Close(s.fd) }
