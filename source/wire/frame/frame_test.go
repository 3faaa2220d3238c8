package frame

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// The frames of the tests are built here, by another hand than the decoder's.

var start = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

func udp(src, dst uint16, payload string) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func tcp(src, dst uint16, seq, ack uint32, flags byte, payload string) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, src), dst)
	b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, seq), ack)
	return append(append(b, 6<<4, flags, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1), payload...) // with four bytes of options
}

func ip4(proto byte, id uint16, offset int, more bool, payload []byte) []byte {
	frag := uint16(offset / 8)
	if more {
		frag |= 0x2000
	}
	b := []byte{0x45, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(20+len(payload)))
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, id), frag)
	b = append(b, 64, proto, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2)
	return append(b, payload...)
}

func ip6(next byte, payload []byte) []byte {
	b := append([]byte{0x60, 0, 0, 0}, binary.BigEndian.AppendUint16(nil, uint16(len(payload)))...)
	b = append(b, next, 64)
	for _, last := range []byte{1, 2} {
		b = append(b, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last)
	}
	return append(b, payload...)
}

func ether(kind uint16, payload []byte, tags ...uint16) []byte {
	b := make([]byte, 12)
	for _, t := range tags {
		b = append(binary.BigEndian.AppendUint16(b, t), 0, 7)
	}
	return append(binary.BigEndian.AppendUint16(b, kind), payload...)
}

func ends(p *Packet) string { return p.Src.String() + " " + p.Dst.String() }

func TestEveryLinkLayerLeadsToTheSamePacket(t *testing.T) {
	packet := ip4(17, 1, 0, false, udp(1000, 69, "hello"))
	six := ip6(17, udp(1000, 69, "hello"))
	f := func(name string, link Link, data []byte) {
		t.Helper()
		p := Packet{Time: start}
		if !NewDecoder(DefaultLimits()).Decode(&p, link, data, len(data)) || p.Kind != UDP || string(p.Payload) != "hello" || p.Length != 5 || !p.Whole() {
			t.Errorf("%s: %+v", name, p)
		}
		if got := ends(&p); got != "10.0.0.1:1000 10.0.0.2:69" && got != "[2001:db8::1]:1000 [2001:db8::2]:69" {
			t.Errorf("%s: ends %s", name, got)
		}
	}
	f("Ethernet", Ethernet, ether(0x0800, packet))
	f("padded Ethernet", Ethernet, append(ether(0x0800, packet), make([]byte, 18)...))
	f("VLAN", Ethernet, ether(0x0800, packet, 0x8100))
	f("QinQ", Ethernet, ether(0x86dd, six, 0x88a8, 0x8100))
	f("raw", Raw, packet)
	f("raw IPv6", Raw, six)
	f("null", Null, append([]byte{2, 0, 0, 0}, packet...))
	f("loop", Loop, append([]byte{0, 0, 0, 2}, packet...))
	f("cooked", SLL, append([]byte{0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0x08, 0x00}, packet...))
	f("cooked 2", SLL2, append([]byte{0x08, 0x00, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0}, packet...))
	hop := append([]byte{44, 0, 1, 4, 0, 0, 0, 0}, append([]byte{17, 0, 0, 0, 0, 0, 0, 9}, udp(1000, 69, "hello")...)...)
	f("hop-by-hop options and an atomic fragment", Raw, ip6(0, hop))
	big := ip4(17, 1, 0, false, udp(1000, 69, "hello"))
	binary.BigEndian.PutUint16(big[2:], 0)
	f("a total length of 0", Raw, big)
}

func TestDirectionsOfCookedFramesAreDifferentPlaces(t *testing.T) {
	packet := ip4(17, 1, 0, false, udp(1, 2, "x"))
	d := NewDecoder(DefaultLimits())
	places := map[uint32]bool{}
	for _, kind := range []byte{0, 4} {
		for _, index := range []byte{3, 4} {
			p := Packet{Time: start}
			head := []byte{0x08, 0x00, 0, 0, 0, 0, 0, index, 0, 1, kind, 6, 0, 0, 0, 0, 0, 0, 0, 0}
			if !d.Decode(&p, SLL2, append(head, packet...), len(head)+len(packet)) {
				t.Fatal("not decoded")
			}
			places[p.Place] = true
		}
	}
	if len(places) != 4 {
		t.Errorf("places %v", places)
	}
}

func TestTCPKeepsItsNumbersAndWhatWasCutOff(t *testing.T) {
	data := ether(0x0800, ip4(6, 1, 0, false, tcp(21, 1000, 7, 9, ACK|FIN, "0123456789")))
	p := Packet{Time: start}
	if !NewDecoder(DefaultLimits()).Decode(&p, Ethernet, data[:len(data)-4], len(data)) {
		t.Fatal("not decoded")
	}
	if p.Kind != TCP || p.Seq != 7 || p.Ack != 9 || !p.Has(ACK|FIN) || p.Has(SYN) || string(p.Payload) != "012345" || p.Length != 10 || p.Whole() {
		t.Errorf("%+v", p)
	}
}

func TestUnreachablesNameThePacketThatDidNotArrive(t *testing.T) {
	inner := ip4(17, 1, 0, false, udp(40000, 2000, "lost"))[:28]
	message := append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, inner...)
	f := func(packet []byte, want string) {
		t.Helper()
		p := Packet{Time: start}
		got := ""
		if NewDecoder(DefaultLimits()).Decode(&p, Raw, packet, len(packet)) {
			got = ends(&p)
		}
		if got != want || got != "" && (p.Kind != Unreachable || p.Quoted != UDP) {
			t.Errorf("%q, want %q: %+v", got, want, p)
		}
	}
	f(ip4(1, 1, 0, false, message), "10.0.0.1:40000 10.0.0.2:2000")
	six := append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, ip6(17, udp(40000, 2000, "lost"))...)
	f(ip6(58, six), "[2001:db8::1]:40000 [2001:db8::2]:2000")
	f(ip4(1, 1, 0, false, append([]byte{3, 4, 0, 0, 0, 0, 0, 0}, inner...)), "") // too large, not unreachable
	f(ip4(1, 1, 0, false, append([]byte{8, 0, 0, 0, 0, 0, 0, 0}, inner...)), "")
	f(ip4(1, 1, 0, false, message[:20]), "")
}

// pieces cuts a UDP datagram into fragments of 8 bytes.
func pieces(payload string) [][]byte {
	whole := udp(1000, 69, payload)
	var out [][]byte
	for at := 0; at < len(whole); at += 8 {
		end := min(at+8, len(whole))
		out = append(out, ip4(17, 77, at, end < len(whole), whole[at:end]))
	}
	return out
}

func TestFragmentsComeTogetherInAnyOrder(t *testing.T) {
	parts := pieces("a datagram in five fragments, or so")
	for shift := range parts {
		d := NewDecoder(DefaultLimits())
		p := Packet{Time: start}
		for i := range parts {
			b := parts[(i+shift)%len(parts)]
			ok := d.Decode(&p, Raw, b, len(b))
			if i == 0 {
				d.Decode(&p, Raw, b, len(b)) // a copy is no overlap
			}
			if last := i == len(parts)-1; ok != last {
				t.Fatalf("shift %d: fragment %d of %d: %v", shift, i+1, len(parts), ok)
			}
		}
		if string(p.Payload) != "a datagram in five fragments, or so" || p.Dst.Port() != 69 {
			t.Errorf("shift %d: %q", shift, p.Payload)
		}
		if len(d.frags.byKey) != 0 || d.frags.bytes != 0 || d.Counts.Lost != 0 {
			t.Errorf("%d datagrams with %d bytes are left, %d lost", len(d.frags.byKey), d.frags.bytes, d.Counts.Lost)
		}
	}
}

func TestOverlappingFragmentsAreDroppedWithTheirDatagram(t *testing.T) {
	parts := pieces("a datagram in five fragments, or so")
	forged := bytes.Clone(parts[1])
	forged[len(forged)-1] ^= 1
	long := ip4(17, 77, 8, true, make([]byte, 16))
	for _, evil := range [][]byte{forged, long} {
		d := NewDecoder(DefaultLimits())
		p := Packet{Time: start}
		for i, b := range parts {
			if d.Decode(&p, Raw, b, len(b)) {
				t.Error("what overlaps was put together")
			}
			if i == 1 {
				d.Decode(&p, Raw, evil, len(evil))
			}
		}
		if d.Counts.Lost != 1 {
			t.Errorf("%d lost", d.Counts.Lost)
		}
	}
}

func TestFragmentsOfTwoInterfacesAreNotMixed(t *testing.T) {
	d := NewDecoder(DefaultLimits())
	parts := pieces("a datagram in five fragments, or so")
	whole := 0
	for i, b := range parts {
		for place := range uint32(2) {
			if place == 1 && i == 2 {
				continue
			}
			p := Packet{Time: start, Place: place}
			if d.Decode(&p, Raw, b, len(b)) {
				whole++
			}
		}
	}
	if whole != 1 {
		t.Errorf("%d datagrams, want 1", whole)
	}
}

func TestFragmentsAreBoundedAndWhatIsDroppedIsCounted(t *testing.T) {
	l := Limits{Datagrams: 10, Bytes: 2000, Age: time.Second}
	d := NewDecoder(l)
	for i := range 1000 {
		b := ip4(17, uint16(i), 0, true, make([]byte, 8))
		d.Decode(&Packet{Time: start}, Raw, b, len(b))
		if len(d.frags.byKey) > l.Datagrams || d.frags.bytes > l.Bytes || len(d.frags.queue) > 5*l.Datagrams {
			t.Fatalf("%d datagrams, %d bytes", len(d.frags.byKey), d.frags.bytes)
		}
	}
	if d.Counts.Lost != 990 {
		t.Errorf("%d lost, want 990", d.Counts.Lost)
	}
	b := ip4(17, 5, 0, true, make([]byte, 8))
	d.Decode(&Packet{Time: start.Add(time.Minute)}, Raw, b, len(b))
	if len(d.frags.byKey) != 1 || d.Counts.Lost != 1000 {
		t.Errorf("%d datagrams, %d lost: what is old is not forgotten", len(d.frags.byKey), d.Counts.Lost)
	}
}

// FuzzDecode: whatever comes, a packet lies within the frame that it came in, or within fragments that were kept, and the bounds hold.
func FuzzDecode(f *testing.F) {
	for _, link := range []uint16{0, 1, 101, 113, 276} {
		f.Add(link, ether(0x0800, ip4(17, 1, 0, false, udp(1, 2, "x"))), 60)
		f.Add(link, ether(0x86dd, ip6(0, []byte{6, 0, 0, 0, 0, 0, 0, 0, 1, 2}), 0x8100), 0)
		f.Add(link, ip4(17, 1, 8, true, udp(1, 2, "0123456789abcdef")), 0)
		f.Add(link, ip4(1, 1, 0, false, append([]byte{3, 3, 0, 0, 0, 0, 0, 0}, ip4(17, 1, 0, false, udp(1, 2, ""))...)), 0)
	}
	f.Fuzz(func(t *testing.T, link uint16, data []byte, length int) {
		d := NewDecoder(Limits{Datagrams: 4, Bytes: 1000, Age: time.Second})
		length = min(max(length, 0), 1<<20)
		for i := range 8 {
			p := Packet{Time: start}
			b := data[min(i*7, len(data)):]
			if i%2 == 0 {
				b = data
			}
			ok := d.Decode(&p, Link(link), b, length)
			if ok != (p.Kind != Other) {
				t.Fatalf("%v: %+v", ok, p)
			}
			if len(p.Payload) > p.Length || p.Length > max(length, len(b), 1<<16) {
				t.Fatalf("%d bytes captured of %d, frame of %d", len(p.Payload), p.Length, length)
			}
			if ok && p.Src.Addr() == (netip.Addr{}) {
				t.Fatalf("no address: %+v", p)
			}
			if len(d.frags.byKey) > 4 || d.frags.bytes > 1000+1<<16+mostParts*partCost {
				t.Fatalf("%d datagrams, %d bytes", len(d.frags.byKey), d.frags.bytes)
			}
		}
		if c := d.Counts; c.Frames != 8 {
			t.Fatalf("%+v", c)
		}
	})
}
