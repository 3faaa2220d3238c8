package mix

import (
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire"
	"tallyman/source/wire/frame"
)

// passes reports whether a log of session starts needs the frame.
func passes(b []byte) bool {
	const kind, proto, ports, flags = 12, 23, 34, 47
	switch {
	case b[kind] != 8 || b[kind+1] != 0:
		return false
	case b[proto] == protoTCP:
		return b[flags]&flagSYN != 0
	default:
		return b[ports+2] != 0 || b[ports+3] != 53
	}
}

// witness is an Analyzer with session starts told, and what it told by protocol.
func witness(told map[string]int) *wire.Analyzer {
	return wire.NewAnalyzer(wire.Defaults(), func(e tallyman.Evidence) {
		if e.Kind == tallyman.KindFlow {
			told[e.Proto]++
		}
	})
}

// checkSum holds a checksum against its definition: all words and the pseudo header add up to 0xffff (RFC 768, RFC 9293).
func checkSum(t *testing.T, i int, frame []byte) {
	t.Helper()
	if frame[12] != 8 || frame[13] != 0 {
		return
	}
	ip := frame[etherSize:]
	words := append([]byte{0, ip[9], byte((len(ip) - ipSize) >> 8), byte(len(ip) - ipSize)}, ip[12:]...)
	total := 0
	for at := 0; at < len(words); at += 2 {
		total += int(words[at]) << 8
		if at+1 < len(words) {
			total += int(words[at+1])
		}
	}
	if total%0xffff != 0 {
		t.Fatalf("packet %d has a wrong checksum", i)
	}
}

func TestEverySessionOfEveryRoundIsANewOne(t *testing.T) {
	const rounds = 3
	told := map[string]int{}
	a := witness(told)
	p := newPackets()
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	for round := range uint64(rounds) {
		p.turn(round)
		passed, bytes := 0, 0
		for i, b := range p.frames {
			checkSum(t, i, b)
			at = at.Add(time.Second / 80_000)
			a.Packet(&wire.Frame{Time: at, Link: frame.Ethernet, Data: b, Length: len(b)})
			bytes += len(b)
			if passes(b) {
				passed++
			}
		}
		if mean := bytes / Round; passed != Passed || mean < 750 || mean > 850 {
			t.Errorf("%d packets pass, want %d; %d bytes in the mean", passed, Passed, mean)
		}
	}
	if told["tcp"] != rounds*Sessions || told["tcp-answered"] != rounds*Sessions || told["udp"] != Flows {
		t.Errorf("told %v, want %d sessions, as many answers, and %d flows", told, rounds*Sessions, Flows)
	}
	if c := a.Counts().Frames; c.Malformed != 0 {
		t.Errorf("%+v", c)
	}
}

// BenchmarkStarts takes what passes the filter, without the kernel: ns of each packet.
func BenchmarkStarts(b *testing.B) {
	told := map[string]int{}
	a := witness(told)
	p := newPackets()
	var passed []int
	for i, f := range p.frames {
		if passes(f) {
			passed = append(passed, i)
		}
	}
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(passed) == 0 {
			p.turn(uint64(i / len(passed)))
		}
		at = at.Add(time.Second / 16_000)
		f := p.frames[passed[i%len(passed)]][etherSize:]
		a.Packet(&wire.Frame{Time: at, Link: frame.Raw, Data: f, Length: len(f)})
	}
}
