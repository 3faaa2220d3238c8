package dial

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// insn is one instruction (Documentation/bpf/standardization/instruction-set.rst of Linux).
type insn struct {
	op   uint8
	regs uint8 // source << 4 | destination
	off  int16
	imm  int32
}

// The operations of the program.
const (
	movReg  = 0xbf
	movImm  = 0xb7
	addImm  = 0x07
	loadW   = 0x61 // 32 bits from memory
	storeW  = 0x63
	storeDW = 0x7b // 64 bits to memory
	storeI  = 0x7a // 64 bits, a constant
	load64  = 0x18 // two instructions; with source 1 the constant is a map, with source 2 the first value of one
	addDW   = 0xdb // atomically, 64 bits in memory
	jumpNE  = 0x55
	jumpEQ  = 0x15
	call    = 0x85
	exit    = 0x95
)

// The functions of the kernel that it calls (enum bpf_func_id).
const (
	ktimeGetNS        = 5
	getCurrentPidTgid = 14
	ringbufOutput     = 130
)

// Places in struct bpf_sock_addr.
const (
	userIP4  = 4
	userIP6  = 8
	userPort = 24
	sockType = 32
)

// entrySize is one entry: 16 bytes of address, the port in network order in 4, 4 that are 4 or 6, process and thread in 8, nanoseconds since boot in 8.
const entrySize = 40

// program copies where a datagram socket is turned to into the ring, counts what the ring has no room for, and lets the call through.
func program(ring, lost int, six bool) []insn {
	const r0, r1, r2, r3, r4, r6, r7, fp = 0, 1, 2, 3, 4, 6, 7, 10
	regs := func(dst, src uint8) uint8 { return src<<4 | dst }
	p := []insn{
		{movReg, regs(r6, r1), 0, 0},
		{loadW, regs(r2, r6), sockType, 0},
		{}, // to the end unless it is a datagram socket
		{storeI, regs(fp, 0), -40, 0},
		{storeI, regs(fp, 0), -32, 0},
		{storeI, regs(fp, 0), -24, 0},
	}
	words, from, version := int16(1), int16(userIP4), int32(4)
	if six {
		words, from, version = 4, userIP6, 6
	}
	for i := range words {
		p = append(p, insn{loadW, regs(r7, r6), from + 4*i, 0}, insn{storeW, regs(fp, r7), -40 + 4*i, 0})
	}
	p = append(p,
		insn{loadW, regs(r7, r6), userPort, 0}, insn{storeW, regs(fp, r7), -24, 0},
		insn{movImm, regs(r7, 0), 0, version}, insn{storeW, regs(fp, r7), -20, 0},
		insn{call, 0, 0, getCurrentPidTgid}, insn{storeDW, regs(fp, r0), -16, 0},
		insn{call, 0, 0, ktimeGetNS}, insn{storeDW, regs(fp, r0), -8, 0},
		insn{load64, regs(r1, 1), 0, int32(ring)}, insn{},
		insn{movReg, regs(r2, fp), 0, 0}, insn{addImm, regs(r2, 0), 0, -entrySize},
		insn{movImm, regs(r3, 0), 0, entrySize},
		insn{movImm, regs(r4, 0), 0, 0},
		insn{call, 0, 0, ringbufOutput},
		insn{jumpEQ, regs(r0, 0), 4, 0}, // it was written
		insn{load64, regs(r1, 2), 0, int32(lost)}, insn{},
		insn{movImm, regs(r2, 0), 0, 1},
		insn{addDW, regs(r1, r2), 0, 0},
	)
	p[2] = insn{jumpNE, regs(r2, 0), int16(len(p) - 3), unix.SOCK_DGRAM}
	return append(p, insn{movImm, regs(r0, 0), 0, 1}, insn{exit, 0, 0, 0})
}

// bpf is bpf(2). The attributes are laid out as the command wants them (union bpf_attr).
func bpf(command int, attr []byte) (int, error) {
	fd, _, errno := unix.Syscall(unix.SYS_BPF, uintptr(command), uintptr(unsafe.Pointer(unsafe.SliceData(attr))), uintptr(len(attr)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// words lays out attributes of 32 bits.
func words(list ...uint32) []byte {
	var b []byte
	for _, w := range list {
		b = binary.NativeEndian.AppendUint32(b, w)
	}
	return b
}

func newRing(size uint32) (int, error) {
	return bpf(unix.BPF_MAP_CREATE, words(unix.BPF_MAP_TYPE_RINGBUF, 0, 0, size))
}

// newCounter makes one number of 64 bits that programs add to and we read from memory (BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE).
func newCounter() (int, error) {
	return bpf(unix.BPF_MAP_CREATE, words(unix.BPF_MAP_TYPE_ARRAY, 4, 8, 1, unix.BPF_F_MMAPABLE))
}

// load has the kernel check the program and returns its descriptor.
func load(p []insn, attach uint32) (int, error) {
	license := []byte("Apache-2.0\x00") // nothing that it calls is kept for programs under the GPL
	var pin runtime.Pinner              // the kernel reads where these stand
	defer pin.Unpin()
	pin.Pin(unsafe.SliceData(p))
	pin.Pin(unsafe.SliceData(license))
	attr := words(unix.BPF_PROG_TYPE_CGROUP_SOCK_ADDR, uint32(len(p)))
	attr = binary.NativeEndian.AppendUint64(attr, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(p)))))
	attr = binary.NativeEndian.AppendUint64(attr, uint64(uintptr(unsafe.Pointer(unsafe.SliceData(license)))))
	attr = append(attr, words(0, 0, 0, 0, 0, 0)...) // no log
	attr = append(attr, make([]byte, unix.BPF_OBJ_NAME_LEN)...)
	attr = append(attr, words(0, attach)...) // no device; where it may be attached
	fd, err := bpf(unix.BPF_PROG_LOAD, attr)
	if err != nil {
		return -1, fmt.Errorf("load the program: %w", err)
	}
	return fd, nil
}

// link attaches the program to a control group until the descriptor is closed.
func link(program, group int, attach uint32) (int, error) {
	fd, err := bpf(unix.BPF_LINK_CREATE, words(uint32(program), uint32(group), attach, 0))
	if err != nil {
		return -1, fmt.Errorf("attach the program: %w", err)
	}
	return fd, nil
}
