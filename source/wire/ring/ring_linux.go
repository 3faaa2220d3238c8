package ring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// Config says which packets are taken.
type Config struct {
	Interface string // empty: all
	Filter    []bpf.RawInstruction
	Size      int           // bytes of the ring; rounded down to whole blocks, two at the least
	Retire    time.Duration // how long a packet may wait for its block to be full
}

// blockSize bounds a packet too: it lies in one block.
const (
	blockSize = 1 << 20
	frameSize = 1 << 16 // of no meaning in this version, but checked
)

// Ring is one socket. It belongs to one goroutine, but for Wake and Filter.
type Ring struct {
	fd     int
	file   *os.File // the same, as the poller of Go knows it
	conn   syscall.RawConn
	memory []byte
	blocks int
	at     int // the block that comes next
	woken  atomic.Bool
}

// Packet is one packet, from its IP header on, whatever the interface, with the VLAN tag taken off.
type Packet struct {
	Time      time.Time
	Interface int    // index
	Data      []byte // as far as the filter let it; valid until the function that was given it returns
	Length    int    // on the wire, without the header of the link
}

// Open begins to capture.
func Open(cfg Config) (r *Ring, err error) {
	index := 0
	if cfg.Interface != "" {
		i, err := net.InterfaceByName(cfg.Interface)
		if err != nil {
			return nil, fmt.Errorf("interface %s: %w", cfg.Interface, err)
		}
		index = i.Index
	}
	// Without a protocol it receives nothing yet.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	r = &Ring{fd: fd, file: os.NewFile(uintptr(fd), "packet socket"), blocks: max(cfg.Size/blockSize, 2)}
	defer func() {
		if err != nil {
			r.Close()
			r = nil
		}
	}()
	if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V3); err != nil {
		return r, fmt.Errorf("ask for TPACKET_V3: %w", err)
	}
	request := unix.TpacketReq3{
		Block_size: blockSize, Block_nr: uint32(r.blocks), Frame_size: frameSize, Frame_nr: uint32(r.blocks * (blockSize / frameSize)),
		Retire_blk_tov: uint32(cfg.Retire.Milliseconds()),
	}
	if err := unix.SetsockoptTpacketReq3(fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &request); err != nil {
		return r, fmt.Errorf("make a ring of %d MiB: %w", r.blocks*blockSize>>20, err)
	}
	if r.memory, err = unix.Mmap(fd, 0, r.blocks*blockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return r, fmt.Errorf("map the ring: %w", err)
	}
	if err := attach(fd, cfg.Filter); err != nil {
		return r, fmt.Errorf("attach the filter: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allProtocols(), Ifindex: index}); err != nil {
		return r, fmt.Errorf("bind the packet socket: %w", err)
	}
	r.conn, err = r.file.SyscallConn()
	return r, err
}

// Filter has the kernel pass other packets from here on, without a break (SO_ATTACH_FILTER, socket(7)). Any goroutine may call it before Close.
func (r *Ring) Filter(filter []bpf.RawInstruction) error {
	if err := attach(r.fd, filter); err != nil {
		return fmt.Errorf("attach the filter: %w", err)
	}
	return nil
}

func attach(fd int, filter []bpf.RawInstruction) error {
	if len(filter) == 0 {
		return nil
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: (*unix.SockFilter)(unsafe.Pointer(&filter[0]))}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &program)
}

// allProtocols is ETH_P_ALL in the byte order of the network.
func allProtocols() uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
}

// Close ends the capture. Data of packets is not valid any more.
func (r *Ring) Close() {
	if r.memory != nil {
		_ = unix.Munmap(r.memory)
		r.memory = nil
	}
	_ = r.file.Close() // it was only read
}

// Wake makes the Wait that runs end, or the next one, and all after it.
func (r *Ring) Wake() {
	r.woken.Store(true)
	_ = r.file.SetReadDeadline(time.Unix(1, 0)) // it is closed at the worst
}

// Wait returns true when there are packets, and false at the latest after d. An interface that goes down is no error: others go on, and it may come again.
func (r *Ring) Wait(d time.Duration) (bool, error) {
	if r.ready() {
		return true, nil
	}
	if err := r.file.SetReadDeadline(time.Now().Add(d)); err != nil {
		return false, fmt.Errorf("wait for packets: %w", err)
	}
	if r.woken.Load() {
		return false, nil
	}
	err := r.conn.Read(func(uintptr) bool { return r.ready() })
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case errors.Is(err, os.ErrClosed):
		return false, fmt.Errorf("wait for packets: %w", err)
	}
	// The poller of Go waits no more for a socket that has told an error, ENETDOWN (packet(7)), until it has told something else.
	_, _ = unix.GetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_ERROR) // what was told is told once
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}, int(d.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return false, fmt.Errorf("wait for packets: %w", err)
	}
	return r.ready(), nil
}

// Places in a block (struct tpacket_block_desc of linux/if_packet.h).
const (
	statusAt = 8
	countAt  = 12
	firstAt  = 16
)

func (r *Ring) block() []byte { return r.memory[r.at*blockSize : (r.at+1)*blockSize] }

// status says whose the block is, the kernel's or ours.
func (r *Ring) status() *uint32 { return (*uint32)(unsafe.Pointer(&r.block()[statusAt])) }

// u32 is a number of the block. It is no variable of Each: a call through one is not inlined.
func u32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

func (r *Ring) ready() bool { return atomic.LoadUint32(r.status())&unix.TP_STATUS_USER != 0 }

// Places in the head of a packet (struct tpacket3_hdr), and in the struct sockaddr_ll behind it.
const (
	secondsAt     = 4
	nanosecondsAt = 8
	capturedAt    = 12
	lengthAt      = 16
	macAt         = 24
	headSize      = unix.SizeofTpacket3Hdr
	indexAt       = headSize + 4
)

// Each calls f for the packets of the block that is there, in their order, and gives it back. It is called when Wait has returned true.
func (r *Ring) Each(f func(*Packet)) {
	b := r.block()
	var p Packet
	next := u32(b[firstAt:])
	for range u32(b[countAt:]) {
		h := b[next:]
		from := uint32(binary.NativeEndian.Uint16(h[macAt:]))
		p.Time = time.Unix(int64(u32(h[secondsAt:])), int64(u32(h[nanosecondsAt:])))
		p.Interface, p.Length = int(u32(h[indexAt:])), int(u32(h[lengthAt:]))
		p.Data = h[from : from+u32(h[capturedAt:])]
		f(&p)
		next += u32(h)
	}
	atomic.StoreUint32(r.status(), unix.TP_STATUS_KERNEL)
	r.at = (r.at + 1) % r.blocks
}

// Drops is how many packets found no room since it was last asked.
func (r *Ring) Drops() (int64, error) {
	stats, err := unix.GetsockoptTpacketStatsV3(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil {
		return 0, fmt.Errorf("read the counters: %w", err)
	}
	return int64(stats.Drops), nil
}
