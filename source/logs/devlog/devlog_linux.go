// Package devlog takes what programs send to /dev/log, for servers in containers and chroots that have no journal.
//
//	syslog(3) in the container --datagram--> socket of ours, mounted there as /dev/log --> Datagram with the sender's pid --> batches to the caller
//
// It promises:
//   - A datagram is one message, whatever bytes it holds; the pid is the kernel's word (SCM_CREDENTIALS), in our pid namespace.
//   - A sender waits while the socket's buffer is full; nothing is dropped here. A program that will not wait drops by itself, unseen.
//   - A socket that another program listens on is left alone; one that a dead program left behind is replaced.
//
// What a message means is left to the formats.
package devlog

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Datagram is one message.
type Datagram struct {
	Text string
	At   time.Time // when it came
	PID  int32     // 0 = the kernel does not say
	UID  uint32
	Cut  bool // it was longer than what is taken
}

const (
	// longest is what is taken of a datagram: journald's own limit is the send buffer of the sender, 208 KiB by default.
	longest = 256 << 10
	// mostTogether bounds a batch.
	mostTogether = 512
	// buffer holds what comes while a batch is made safe; when it is full, senders wait.
	buffer = 4 << 20
)

// Listen makes the socket. Everybody may write to it, as to /dev/log.
func Listen(path string) (*net.UnixConn, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("make the log socket %s: there is something that is no socket: move it away", path)
		}
		if c, err := new(net.Dialer).DialContext(context.Background(), "unixgram", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("make the log socket %s: another program listens there: choose another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("replace the log socket that was left behind: %w", err)
		}
	}
	// The option is set before the socket has its name: nobody sends without saying who.
	l := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return askWho(raw) }}
	packets, err := l.ListenPacket(context.Background(), "unixgram", path)
	if err != nil {
		return nil, fmt.Errorf("make the log socket: %w", err)
	}
	conn, ok := packets.(*net.UnixConn)
	if !ok {
		_ = packets.Close()
		return nil, fmt.Errorf("make the log socket: it is a %T", packets)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("let programs write to the log socket: %w", err)
	}
	return conn, nil
}

// askWho lets the kernel say who sends, and makes room for what waits.
func askWho(raw syscall.RawConn) error {
	var sockErr error
	err := raw.Control(func(fd uintptr) {
		sockErr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1)
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, buffer)
		}
	})
	if err := errors.Join(err, sockErr); err != nil {
		return fmt.Errorf("ask for the pids of senders: %w", err)
	}
	return nil
}

// Run delivers datagrams until ctx ends or deliver fails; then it closes the socket and takes its name away. What was in the socket is delivered first.
func Run(ctx context.Context, conn *net.UnixConn, clock func() time.Time, deliver func([]Datagram) error) error {
	defer func() {
		_ = conn.Close()
		_ = os.Remove(conn.LocalAddr().String())
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	r := reader{conn: conn, buf: make([]byte, longest), oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred)), clock: clock}
	for {
		batch, err := r.batch()
		if len(batch) > 0 {
			if err := deliver(batch); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read the log socket: %w", err)
		}
	}
}

type reader struct {
	conn     *net.UnixConn
	buf, oob []byte
	clock    func() time.Time
}

// batch waits for one datagram and takes what is there with it.
func (r *reader) batch() (list []Datagram, err error) {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var sysErr error
	take := func(fd uintptr) bool {
		for len(list) < mostTogether {
			d, err := r.one(int(fd))
			if err != nil {
				if !errors.Is(err, unix.EAGAIN) {
					sysErr = err
				}
				return len(list) > 0 || sysErr != nil
			}
			list = append(list, d)
		}
		return true
	}
	// A deadline that has passed keeps Read from trying: what is in the socket is taken first.
	_ = raw.Control(func(fd uintptr) { take(fd) })
	if len(list) > 0 || sysErr != nil {
		return list, sysErr
	}
	if err := raw.Read(take); err != nil {
		return list, err
	}
	return list, sysErr
}

func (r *reader) one(fd int) (Datagram, error) {
	for {
		n, oobn, flags, _, err := unix.Recvmsg(fd, r.buf, r.oob, unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Datagram{}, err
		}
		d := Datagram{Text: string(r.buf[:n]), At: r.clock(), Cut: flags&unix.MSG_TRUNC != 0}
		if list, err := unix.ParseSocketControlMessage(r.oob[:oobn]); err == nil {
			for i := range list {
				if cred, err := unix.ParseUnixCredentials(&list[i]); err == nil {
					d.PID, d.UID = cred.Pid, cred.Uid
				}
			}
		}
		return d, nil
	}
}
