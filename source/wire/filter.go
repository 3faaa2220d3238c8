package wire

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// How much of a packet is captured.
const (
	snapWhole  = 1 << 18 // largest uncut packet of the loopback and of offloading cards: 64 KiB and headers
	snapHeader = 160     // the headers of IPv6 and TCP with their options, and the first bytes of a handshake
)

// filterConfig says which packets the kernel hands over.
type filterConfig struct {
	loopback uint32   // the interface of which packets that leave come again as packets that arrive; 0 = none
	above    []int    // interfaces whose packets are seen on others too: bridges, bonds, VLANs
	skip     []uint16 // UDP ports
	control  []uint16 // TCP ports whose packets are needed whole
	data     bool     // the headers of all other TCP packets too, not of the first and last ones alone
}

// A filter is assembled from instructions whose jumps go to named places, all of them ahead.
type assembler struct {
	code   []bpf.Instruction
	jumps  []jump
	places map[string]int
	err    error
}

type jump struct {
	at         int
	yes, no    string
	conditions bpf.JumpIf
}

func (a *assembler) add(i ...bpf.Instruction) { a.code = append(a.code, i...) }
func (a *assembler) place(name string)        { a.places[name] = len(a.code) }

// when goes to yes or to no; an empty name is the next instruction.
func (a *assembler) when(test bpf.JumpTest, value uint32, yes, no string) {
	a.jumps = append(a.jumps, jump{len(a.code), yes, no, bpf.JumpIf{Cond: test, Val: value}})
	a.add(nil)
}

func (a *assembler) distance(from int, to string) uint8 {
	if to == "" {
		return 0
	}
	at, ok := a.places[to]
	if n := at - from - 1; ok && n >= 0 && n < 256 {
		return uint8(n)
	}
	a.err = errors.Join(a.err, fmt.Errorf("no short jump from %d to %q", from, to))
	return 0
}

func (a *assembler) assemble() ([]bpf.Instruction, error) {
	for _, j := range a.jumps {
		j.conditions.SkipTrue, j.conditions.SkipFalse = a.distance(j.at, j.yes), a.distance(j.at, j.no)
		a.code[j.at] = j.conditions
	}
	if a.err != nil {
		return nil, fmt.Errorf("assemble the kernel filter: %w", a.err)
	}
	return a.code, nil
}

// packetOutgoing is PACKET_OUTGOING of linux/if_packet.h.
const packetOutgoing = 4

// mostAbove bounds the interfaces that the filter leaves out: its jumps are short. Copies from the others are dropped by the flow table.
const mostAbove = 64

// filter is the program for a socket that hands over packets from their IP header on:
//
//	not the copy that leaves the loopback, nor those of interfaces above others
//	UDP     whole, but for the ports to skip; fragments whole
//	TCP     of control ports whole; SYN, FIN and RST, or all, as headers
//	ICMP    destination unreachable, whole
//
// IPv6 with extension headers is handed over whole: our decoder walks them.
func filter(c filterConfig) ([]bpf.Instruction, error) {
	a := &assembler{places: map[string]int{}}
	if c.loopback != 0 {
		a.add(bpf.LoadExtension{Num: bpf.ExtType})
		a.when(bpf.JumpEqual, packetOutgoing, "", "version")
		a.add(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
		a.when(bpf.JumpEqual, c.loopback, "none", "")
	}
	a.place("version")
	if len(c.above) > 0 {
		a.add(bpf.LoadExtension{Num: bpf.ExtInterfaceIndex})
		for _, i := range c.above[:min(len(c.above), mostAbove)] {
			a.when(bpf.JumpEqual, uint32(i), "none", "")
		}
	}
	a.add(bpf.LoadAbsolute{Off: 0, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf0})
	a.when(bpf.JumpEqual, 0x40, "four", "")
	a.when(bpf.JumpEqual, 0x60, "", "none")

	a.add(bpf.LoadConstant{Dst: bpf.RegX, Val: 40}, bpf.LoadAbsolute{Off: 6, Size: 1})
	a.when(bpf.JumpEqual, 17, "udp", "")
	a.when(bpf.JumpEqual, 6, "tcp", "")
	a.when(bpf.JumpEqual, 58, "icmp6", "")
	for _, extension := range []uint32{0, 43, 44, 60} {
		a.when(bpf.JumpEqual, extension, "whole", "")
	}
	a.when(bpf.JumpEqual, 51, "whole", "none")

	a.place("four")
	a.add(bpf.LoadMemShift{Off: 0}, bpf.LoadAbsolute{Off: 6, Size: 2})
	a.when(bpf.JumpBitsSet, 0x1fff, "later", "")
	a.add(bpf.LoadAbsolute{Off: 9, Size: 1})
	a.when(bpf.JumpEqual, 17, "udp", "")
	a.when(bpf.JumpEqual, 6, "tcp", "")
	a.when(bpf.JumpEqual, 1, "icmp4", "none")
	a.place("later")
	a.add(bpf.LoadAbsolute{Off: 9, Size: 1})
	a.when(bpf.JumpEqual, 17, "whole", "none")

	a.place("udp")
	for _, off := range []uint32{0, 2} {
		a.add(bpf.LoadIndirect{Off: off, Size: 2})
		for _, port := range c.skip {
			a.when(bpf.JumpEqual, uint32(port), "none", "")
		}
	}
	a.when(bpf.JumpGreaterOrEqual, 0, "whole", "whole")

	a.place("icmp4")
	a.add(bpf.LoadIndirect{Off: 0, Size: 1})
	a.when(bpf.JumpEqual, 3, "whole", "none")
	a.place("icmp6")
	a.add(bpf.LoadIndirect{Off: 0, Size: 1})
	a.when(bpf.JumpEqual, 1, "whole", "none")

	a.place("tcp")
	for _, off := range []uint32{0, 2} {
		a.add(bpf.LoadIndirect{Off: off, Size: 2})
		for _, port := range c.control {
			a.when(bpf.JumpEqual, uint32(port), "whole", "")
		}
	}
	if !c.data {
		a.add(bpf.LoadIndirect{Off: 13, Size: 1})
		a.when(bpf.JumpBitsSet, 7, "", "none") // FIN, SYN, RST
	}
	a.add(bpf.RetConstant{Val: snapHeader})
	a.place("none")
	a.add(bpf.RetConstant{Val: 0})
	a.place("whole")
	a.add(bpf.RetConstant{Val: snapWhole})
	return a.assemble()
}
