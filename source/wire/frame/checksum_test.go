package frame

import (
	"encoding/binary"
	"testing"
)

// plainSum is the Internet checksum by the letter of RFC 1071.
func plainSum(b []byte) uint16 {
	s := uint32(0)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		if s += w; s > 0xffff {
			s = s&0xffff + 1
		}
	}
	return uint16(s)
}

// pseudo is the pseudo header of what ip4 and ip6 build.
func pseudo(packet []byte, proto byte, length int) []byte {
	addresses := packet[12:20]
	if packet[0]>>4 == 6 {
		addresses = packet[8:40]
	}
	return append(append([]byte{}, addresses...), 0, proto, byte(length>>8), byte(length))
}

// sealed sets the checksum of the UDP or TCP packet in an IP packet with a header of so many bytes.
func sealed(packet []byte, ihl int, change uint16) []byte {
	proto, at := packet[9], 6
	if packet[0]>>4 == 6 {
		proto = packet[6]
	}
	if proto == protoTCP {
		at = 16
	}
	inner := packet[ihl:]
	binary.BigEndian.PutUint16(inner[at:], 0)
	sum := ^plainSum(append(pseudo(packet, proto, len(inner)), inner...))
	binary.BigEndian.PutUint16(inner[at:], sum+change)
	return packet
}

// offloaded sets what the kernel leaves there for the card to finish.
func offloaded(packet []byte, ihl, length int) []byte {
	proto, at := packet[9], 6
	if proto == protoTCP {
		at = 16
	}
	binary.BigEndian.PutUint16(packet[ihl+at:], plainSum(pseudo(packet, proto, length)))
	return packet
}

func TestPacketWithAWrongChecksumIsNoEvidence(t *testing.T) {
	d := NewDecoder(DefaultLimits())
	f := func(want bool, packet []byte) {
		t.Helper()
		var p Packet
		if got := d.Decode(&p, Raw, packet, len(packet)); got != want {
			t.Errorf("%v, want %v: %x", got, want, packet)
		}
	}
	u := func() []byte { return ip4(protoUDP, 1, 0, false, udp(1, 2, "an odd payload!")) }
	s := func() []byte { return ip4(protoTCP, 1, 0, false, tcp(1, 2, 3, 4, ACK, "even")) }
	f(true, sealed(u(), 20, 0))
	f(false, sealed(u(), 20, 1))
	f(true, sealed(s(), 20, 0))
	f(true, sealed(ip6(protoUDP, udp(1, 2, "six")), 40, 0))
	f(false, sealed(ip6(protoUDP, udp(1, 2, "six")), 40, 9))
	f(true, ip4(protoUDP, 1, 0, false, udp(1, 2, "none at all")))
	f(true, offloaded(s(), 20, len(s())-20))
	f(true, offloaded(s(), 20, 0)) // segmentation offload
	f(true, offloaded(u(), 20, len(u())-20))
	f(true, sealed(u(), 20, 0))
	f(true, sealed(u(), 20, 0))
	f(false, sealed(s(), 20, 5))
	if d.Counts.Damaged != 3 {
		t.Errorf("%d damaged", d.Counts.Damaged)
	}
	// Cut off by the snap length it cannot be told.
	var p Packet
	cut := sealed(u(), 20, 5)
	if !d.Decode(&p, Raw, cut[:40], len(cut)) {
		t.Error("a packet that was not captured whole was judged")
	}
	for range 9 {
		f(true, sealed(u(), 20, 0))
	}
	// Fragments are judged together.
	whole := sealed(ip4(protoUDP, 7, 0, false, udp(1, 2, "put together again")), 20, 3)[20:]
	d.Decode(&p, Raw, ip4(protoUDP, 7, 0, true, whole[:16]), 36)
	f(false, ip4(protoUDP, 7, 16, false, whole[16:]))
}

func TestSenderWhoNeverSetsChecksumsIsNotJudgedByThem(t *testing.T) {
	d := NewDecoder(DefaultLimits())
	for i := range 100 {
		packet := sealed(ip4(protoTCP, 1, 0, false, tcp(1, 2, uint32(i), 4, ACK, "x")), 20, uint16(1+i))
		var p Packet
		if !d.Decode(&p, Raw, packet, len(packet)) {
			t.Fatalf("packet %d is dropped", i)
		}
	}
}

func TestSendersThatAreKnownAreBounded(t *testing.T) {
	d := NewDecoder(DefaultLimits())
	for i := range 3 * mostSenders {
		packet := ip4(protoTCP, 1, 0, false, tcp(1, 2, 3, 4, ACK, "x"))
		binary.BigEndian.PutUint32(packet[12:], uint32(i))
		var p Packet
		d.Decode(&p, Raw, sealed(packet, 20, 0), len(packet))
		if len(d.senders) > mostSenders {
			t.Fatalf("%d senders are known", len(d.senders))
		}
	}
}

// FuzzChecksum: the sum in eights is the sum in twos.
func FuzzChecksum(f *testing.F) {
	f.Add([]byte("some bytes, of an odd number of bytes"))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := fold(sum(b)), plainSum(b); got != want {
			t.Errorf("%04x, want %04x: %x", got, want, b)
		}
	})
}
