package dial

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Dial is one socket turned to one peer.
type Dial struct {
	At  time.Time
	PID int32
	To  netip.AddrPort
}

// Watch is the ring into which the kernel notes dials. It belongs to one goroutine.
type Watch struct {
	fds      []int
	consumer []byte // how far we have read; ours to write
	producer []byte // how far the kernel has written, and what, twice over so that no entry is cut
	lost     []byte // how many dials the ring had no room for
}

// ringSize holds about 10,000 dials between two calls of Drain. What comes while it is full is counted, see Lost.
const ringSize = 512 << 10

// ErrNotHere is wrapped when this kernel or this place cannot tell processes.
var ErrNotHere = errors.New("the kernel does not tell which process a socket belongs to")

// Open puts the program in its place. From here on nothing is missed.
func Open() (w *Watch, err error) {
	w = new(Watch)
	defer func() {
		if err != nil {
			w.Close()
			w, err = nil, fmt.Errorf("%w: %w", ErrNotHere, err)
		}
	}()
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != initialPIDs {
		return w, errors.New("process numbers are those of a container (pid namespace)")
	}
	root, err := groups()
	if err != nil {
		return w, err
	}
	group, err := w.keep(unix.Open(root, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	if err != nil {
		return w, fmt.Errorf("open the control groups: %w", err)
	}
	ring, err := w.keep(newRing(ringSize))
	if err != nil {
		return w, fmt.Errorf("make the ring: %w", err)
	}
	page := os.Getpagesize()
	if w.consumer, err = unix.Mmap(ring, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return w, fmt.Errorf("map the ring: %w", err)
	}
	if w.producer, err = unix.Mmap(ring, int64(page), page+2*ringSize, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return w, fmt.Errorf("map the ring: %w", err)
	}
	lost, err := w.keep(newCounter())
	if err != nil {
		return w, fmt.Errorf("make the counter: %w", err)
	}
	if w.lost, err = unix.Mmap(lost, 0, page, unix.PROT_READ, unix.MAP_SHARED); err != nil {
		return w, fmt.Errorf("map the counter: %w", err)
	}
	for six, attach := range []uint32{unix.BPF_CGROUP_INET4_CONNECT, unix.BPF_CGROUP_INET6_CONNECT} {
		program, err := w.keep(load(program(ring, lost, six == 1), attach))
		if err != nil {
			return w, err
		}
		if _, err := w.keep(link(program, group, attach)); err != nil {
			return w, err
		}
	}
	return w, nil
}

// initialPIDs is the pid namespace of the machine itself (PROC_PID_INIT_INO of Linux): the numbers that the program notes are of there.
const initialPIDs = "pid:[4026531836]"

func (w *Watch) keep(fd int, err error) (int, error) {
	if err == nil {
		w.fds = append(w.fds, fd)
	}
	return fd, err
}

// groups finds where cgroup2 is mounted (proc_pid_mountinfo(5)).
func groups() (string, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(l, " - ")
		if f := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && len(f) > 4 && f[3] == "/" {
			return f[4], nil
		}
	}
	return "", errors.New("no cgroup2 is mounted")
}

// Close takes the program out of its place.
func (w *Watch) Close() {
	if w.consumer != nil {
		_ = unix.Munmap(w.consumer)
	}
	if w.producer != nil {
		_ = unix.Munmap(w.producer)
	}
	if w.lost != nil {
		_ = unix.Munmap(w.lost)
	}
	for _, fd := range w.fds {
		_ = unix.Close(fd)
	}
	*w = Watch{}
}

// Bits of the head of an entry (include/uapi/linux/bpf.h).
const (
	busyBit    = 1 << 31
	discardBit = 1 << 30
	headSize   = 8
)

// Drain calls f for each dial since the last call, in their order. It does not wait, and costs nothing when there is none.
func (w *Watch) Drain(f func(Dial)) {
	read := (*uint64)(unsafe.Pointer(unsafe.SliceData(w.consumer)))
	written := (*uint64)(unsafe.Pointer(unsafe.SliceData(w.producer)))
	at := atomic.LoadUint64(read)
	if at == atomic.LoadUint64(written) {
		return
	}
	data := w.producer[os.Getpagesize():]
	boot := bootTime()
	for at < atomic.LoadUint64(written) {
		from := at & (ringSize - 1)
		head := atomic.LoadUint32((*uint32)(unsafe.Pointer(&data[from])))
		if head&busyBit != 0 {
			break // it is being written
		}
		size := uint64(head &^ (busyBit | discardBit))
		if head&discardBit == 0 && size == entrySize {
			if d, ok := parse(data[from+headSize:from+headSize+entrySize], boot); ok {
				f(d)
			}
		}
		at += (size + headSize + 7) &^ 7
		atomic.StoreUint64(read, at)
	}
}

// Lost returns how many dials were not noted since Open, for want of room in the ring.
func (w *Watch) Lost() uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(unsafe.SliceData(w.lost))))
}

// bootTime is when the clock of the kernel was 0.
func bootTime() time.Time {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(t.Nano()))
}

func parse(b []byte, boot time.Time) (Dial, bool) {
	if len(b) != entrySize {
		return Dial{}, false
	}
	d := Dial{PID: int32(binary.NativeEndian.Uint64(b[24:]) >> 32), At: boot.Add(time.Duration(binary.NativeEndian.Uint64(b[32:])))}
	ip := netip.AddrFrom16([16]byte(b[:16]))
	if binary.NativeEndian.Uint32(b[20:]) == 4 {
		ip = netip.AddrFrom4([4]byte(b[:4]))
	}
	d.To = netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[16:]))
	return d, d.PID > 0 && d.To.Port() != 0
}
