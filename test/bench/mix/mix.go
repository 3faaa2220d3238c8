// Package mix is the traffic of a busy network, as a mirror port shows it: 10,000 packets, sent again and again at a steady rate.
//
//	2 % SYN, 2 % SYN/ACK, 2 % DNS, 2 % TFTP requests, 2 % ARP, 14 % TFTP DATA, 76 % TCP data; about 800 bytes in the mean
//
// Every SYN opens a session that was not there before: its port and its sequence number are new in each round, and those of its answer.
// Requests, which nobody answers, and DATA come from the same clients in each round, as repetitions do. Run belongs in a process of its own: it
// holds its thread in system calls that the Go scheduler is not told about.
package mix

import "encoding/binary"

// Round is how many packets a round has.
const Round = 10_000

// The packets of a round, by kind.
const (
	Sessions = Round * 2 / 100 // SYNs, and as many answers
	requests = Round * 2 / 100
	queries  = Round * 2 / 100
	hellos   = Round * 2 / 100 // ARP
	blocks   = Round * 14 / 100
)

// Flows is how many UDP flows there are that are not of DNS: one for each client that asks, one for each that gets DATA.
const Flows = requests + Sessions

// Passed is how many packets of a round are a SYN, a SYN/ACK, or of UDP and not of DNS.
const Passed = 2*Sessions + requests + blocks

// IP protocol numbers and the flags of TCP.
const (
	protoTCP, protoUDP = 6, 17
	flagSYN, flagACK   = 2, 16
)

// packets is a round.
type packets struct {
	frames  [][]byte
	syns    []int // places of the SYNs, in the order of the sessions
	answers []int
}

// firstPort is that of the clients in the first round.
const firstPort = 1024

// newPackets builds the first round. The kinds are spread evenly.
func newPackets() *packets {
	p := &packets{frames: make([][]byte, Round)}
	// Every fiftieth place is one of a kind that has 2 %; seven of them are DATA.
	for i := range Sessions {
		at := i * 50
		client, server := [4]byte{10, 1, 0, byte(i)}, [4]byte{10, 2, 0, byte(i % 16)}
		put := func(frame []byte) { p.frames[at] = frame; at++ }
		p.syns = append(p.syns, at)
		put(tcp(client, server, firstPort, 443, flagSYN, 0))
		p.answers = append(p.answers, at)
		put(tcp(server, client, 443, firstPort, flagSYN|flagACK, 0))
		put(udp(client, [4]byte{10, 2, 1, 1}, 5353+uint16(i), 53, make([]byte, 40)))
		put(udp(client, [4]byte{10, 2, 2, byte(i % 4)}, 2000, 69, []byte("\x00\x01boot/device.cfg\x00octet\x00")))
		put(arp(client, server))
		for n := range 7 {
			put(udp([4]byte{10, 2, 2, byte(i % 4)}, client, 30000, 2001, append([]byte{0, 3, 0, byte(n + 1)}, make([]byte, 512)...)))
		}
		for n := range 38 {
			size := 1448
			if n%5 >= 3 { // two of five are the ACKs of the other direction
				size = 0
			}
			put(tcp(client, server, 20000, 443, flagACK, size))
		}
	}
	return p
}

// turn makes all sessions of the packets new ones.
func (p *packets) turn(round uint64) {
	port := firstPort + uint16(round%(1<<16-firstPort))
	for i := range p.syns {
		renew(p.frames[p.syns[i]], 0, port, uint32(round)*2+1)
		renew(p.frames[p.answers[i]], 2, port, uint32(round)*2+2)
	}
}

const etherSize, ipSize = 14, 20

// renew writes the port of a client and a sequence number into a TCP packet.
func renew(frame []byte, portAt int, port uint16, seq uint32) {
	head := frame[etherSize+ipSize:]
	binary.BigEndian.PutUint16(head[portAt:], port)
	binary.BigEndian.PutUint32(head[4:], seq)
	check(frame[etherSize:])
}

// check sets the checksum of the UDP or TCP packet in an IP packet (RFC 1071).
func check(packet []byte) {
	head := packet[ipSize:]
	at := 16
	if packet[9] == protoUDP {
		at = 6
	}
	head[at], head[at+1] = 0, 0
	total := uint32(packet[9]) + uint32(len(head))
	for i, b := range packet[12:] { // the addresses, and all that is behind them
		total += uint32(b) << (8 * (1 - i%2))
	}
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	binary.BigEndian.PutUint16(head[at:], ^uint16(total))
}

// ethernet is a frame from one stranger to another.
func ethernet(kind uint16, payload []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}
	return append(binary.BigEndian.AppendUint16(b, kind), payload...)
}

func ip(proto byte, src, dst [4]byte, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(ipSize+len(payload)))
	b = append(b, 0, 0, 0x40, 0, 64, proto, 0, 0)
	b = append(append(b, src[:]...), dst[:]...)
	var sum uint32
	for i := 0; i < ipSize; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	b = append(b, payload...)
	check(b)
	return ethernet(0x0800, b)
}

func udp(src, dst [4]byte, from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	b = append(binary.BigEndian.AppendUint16(b, uint16(8+len(payload))), 0, 0)
	return ip(protoUDP, src, dst, append(b, payload...))
}

// tcp is a segment with size bytes of content and the options of a time stamp.
func tcp(src, dst [4]byte, from, to uint16, flags byte, size int) []byte {
	b := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 1, 8<<4, flags, 1, 0, 0, 0, 0, 0)
	b = append(b, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1)
	return ip(protoTCP, src, dst, append(b, make([]byte, size)...))
}

func arp(src, dst [4]byte) []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 2}
	b = append(append(b, src[:]...), 0, 0, 0, 0, 0, 0)
	return ethernet(0x0806, append(b, dst[:]...))
}
