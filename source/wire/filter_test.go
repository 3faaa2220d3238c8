package wire

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
)

func four(proto byte, frag uint16, payload ...byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, byte(frag >> 8), byte(frag), 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2}
	return append(b, payload...)
}

func six(next byte, payload ...byte) []byte {
	b := make([]byte, 40)
	b[0], b[6] = 0x60, next
	return append(b, payload...)
}

func ports(src, dst uint16, rest ...byte) []byte {
	return append(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst), rest...)
}

func segment(src, dst uint16, flags byte) []byte {
	return ports(src, dst, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0, 0, 0, 0, 0, 0)
}

func TestFilterHandsOverWhatIsNeeded(t *testing.T) {
	f := func(name string, data bool, packet []byte, want int) {
		t.Helper()
		program, err := filter(filterConfig{skip: []uint16{53, 123}, control: []uint16{21, 990}, data: data})
		if err != nil {
			t.Fatal(err)
		}
		vm, err := bpf.NewVM(program)
		if err != nil {
			t.Fatal(err)
		}
		got, err := vm.Run(packet)
		if err != nil || got != want {
			t.Errorf("%s: %d bytes, want %d, %v", name, got, want, err)
		}
	}
	const all, head = snapWhole, snapHeader
	long := make([]byte, 1000)
	f("UDP", false, four(17, 0, ports(1000, 69, long...)...), all)
	f("UDP of IPv6", false, six(17, ports(1000, 69, long...)...), all)
	f("DNS", false, four(17, 0, ports(1000, 53, long...)...), 0)
	f("an answer of DNS", false, four(17, 0, ports(53, 1000, long...)...), 0)
	f("time", false, six(17, ports(1000, 123, long...)...), 0)
	f("first fragment", false, four(17, 0x2000, ports(1000, 69, long...)...), all)
	f("later fragment", false, four(17, 0x2001, long...), all)
	f("later fragment of TCP", false, four(6, 0x2001, long...), 0)
	f("fragment of IPv6", false, six(44, long...), all)
	f("SYN", false, four(6, 0, append(segment(1000, 80, 2), long...)...), head)
	f("FIN of IPv6", false, six(6, append(segment(1000, 80, 17), long...)...), head)
	f("data", false, four(6, 0, append(segment(1000, 80, 16), long...)...), 0)
	f("data where bytes are counted", true, four(6, 0, append(segment(1000, 80, 16), long...)...), head)
	f("control", false, four(6, 0, append(segment(1000, 21, 16), long...)...), all)
	f("control of the server", false, six(6, append(segment(990, 1000, 16), long...)...), all)
	f("unreachable", false, four(1, 0, append([]byte{3, 3}, long...)...), all)
	f("unreachable of IPv6", false, six(58, append([]byte{1, 4}, long...)...), all)
	f("echo", false, four(1, 0, append([]byte{8, 0}, long...)...), 0)
	f("ARP", false, append([]byte{0, 1}, long...), 0)
	f("a short one", false, []byte{0x45}, 0)
}

func TestFilterFitsWithManyInterfacesAndPorts(t *testing.T) {
	c := filterConfig{loopback: 1, skip: []uint16{53, 123, 443, 5353}, control: []uint16{21, 990, 2121}}
	for i := range 500 {
		c.above = append(c.above, i+2)
	}
	program, err := filter(c)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := bpf.Assemble(program); err != nil || len(raw) > 4096 {
		t.Errorf("%d instructions, %v", len(raw), err)
	}
}
