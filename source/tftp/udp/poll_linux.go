package udp

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poll waits on many sockets at once (man 7 epoll). A socket is reported as
// long as something waits in it. Closing a socket removes it.
type Poll struct {
	fd     int
	wake   int
	awake  atomic.Bool
	single bool // there is one processor, and others need it
	events [256]unix.EpollEvent
	n      int
}

// Event is one socket that has something to read. Fault says that its error
// queue does too.
type Event struct {
	Token uint64
	Fault bool
}

// wakeToken marks the wake-up among the tokens; callers count from 0.
const wakeToken = ^uint64(0)

// NewPoll makes a Poll; Close gives it back.
func NewPoll() (*Poll, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	p := &Poll{fd: fd, wake: wake, single: runtime.GOMAXPROCS(0) == 1}
	if err := p.add(wake, wakeToken); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close gives the descriptors back. No Wait or Wake may run then or later.
func (p *Poll) Close() {
	_ = unix.Close(p.wake)
	_ = unix.Close(p.fd)
}

// Add watches s; its events carry token, which must not be the largest uint64.
func (p *Poll) Add(s Socket, token uint64) error {
	return p.add(int(s.fd)-1, token)
}

func (p *Poll) add(fd int, token uint64) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN}
	setToken(&e, token)
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_ADD, uintptr(fd),
		uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("watch socket: %w", errno)
	}
	return nil
}

// Change gives a watched socket another token.
func (p *Poll) Change(s Socket, token uint64) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN}
	setToken(&e, token)
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_MOD, s.descriptor(),
		uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("watch socket: %w", errno)
	}
	return nil
}

// Remove stops watching s.
func (p *Poll) Remove(s Socket) {
	var e unix.EpollEvent // ignored, but must not be nil before Linux 2.6.9 (man 2 epoll_ctl)
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), unix.EPOLL_CTL_DEL, s.descriptor(),
		uintptr(unsafe.Pointer(&e)), 0, 0)
}

// briefly is how long Wait keeps its processor. Traffic has shorter gaps than
// that, and the runtime's monitor, which takes processors from whoever waits in a
// system call, then has nothing to do: it would wake each 20 us (runtime/proc.go,
// sysmon). A signal of the runtime ends such a wait at once, so that it holds nobody up.
const briefly = time.Millisecond

// Wait waits until a socket has something, Wake is called or d has passed
// (below 0: for ever; rounded up to milliseconds), and returns the number of events.
func (p *Poll) Wait(d time.Duration) int {
	events := uintptr(unsafe.Pointer(&p.events[0]))
	most := uintptr(len(p.events))
	first := d
	if d < 0 || d > briefly {
		first = briefly
	}
	if p.single {
		first = 0
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), events, most, uintptr(milliseconds(first)), 0, 0)
	if errno == 0 && n == 0 && first != d {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), events, most, uintptr(milliseconds(d)), 0, 0)
	}
	if errno != 0 { // EINTR alone can happen here (man 2 epoll_wait): nothing came
		n = 0
	}
	p.n = int(n)
	return p.n
}

// Soon is Wait that looks again and again for so long before it returns 0. In between it offers the processor to others.
func (p *Poll) Soon(patience time.Duration) int {
	for start := time.Now(); ; {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
		if errno != 0 { // EINTR alone can happen here (man 2 epoll_wait): nothing came
			n = 0
		}
		if p.n = int(n); p.n > 0 || time.Since(start) > patience {
			return p.n
		}
		Yield()
	}
}

// Event is number i of the last Wait; false for the wake-up, which it takes down.
func (p *Poll) Event(i int) (Event, bool) {
	e := &p.events[i]
	t := token(e)
	if t == wakeToken {
		var count [8]byte
		_, _, _ = unix.RawSyscall(unix.SYS_READ, uintptr(p.wake), uintptr(unsafe.Pointer(&count[0])), 8)
		p.awake.Store(false) // last: who wakes in between finds the flag up, and the waiter is about to look
		return Event{}, false
	}
	return Event{Token: t, Fault: e.Events&unix.EPOLLERR != 0}, true
}

// Wake ends the running or the next Wait. It may be called by any goroutine;
// many calls before the waiter notices are one.
func (p *Poll) Wake() {
	if p.awake.Swap(true) {
		return
	}
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(p.wake), uintptr(unsafe.Pointer(&one[0])), 8)
}

// Yield offers the processor to others.
func Yield() {
	_, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // it cannot fail
}

// Nap rests the calling thread, processor and all; it is for microseconds.
func Nap(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_, _, _ = unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&t)), 0, 0) // EINTR: rested enough
}

// PreciseNaps takes the 50 us away that the kernel may add to the naps of the
// calling thread (man 2 prctl, PR_SET_TIMERSLACK). The caller is locked to it.
func PreciseNaps() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it naps are longer
}

func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int(min((d+time.Millisecond-1)/time.Millisecond, 1<<30))
}

// The 64 bits of epoll_data are split into two fields by x/sys/unix.
func setToken(e *unix.EpollEvent, t uint64) { e.Fd, e.Pad = int32(uint32(t)), int32(uint32(t>>32)) }

func token(e *unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }
