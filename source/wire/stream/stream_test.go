package stream

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"tallyman/source/wire/frame"
)

var start = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

// sink collects what a Half gives; missing bytes are dots.
type sink struct{ got []byte }

func (s *sink) take(data []byte, n int) {
	s.got = append(s.got, data...)
	for range n - len(data) {
		s.got = append(s.got, '.')
	}
}

func seg(seq uint32, flags uint8, text string) *frame.Packet {
	return &frame.Packet{Time: start, Kind: frame.TCP, Seq: seq, Flags: flags, Payload: []byte(text), Length: len(text)}
}

func acknowledge(ack uint32, at time.Duration) *frame.Packet {
	return &frame.Packet{Time: start.Add(at), Kind: frame.TCP, Ack: ack, Flags: frame.ACK}
}

func TestBytesComeInOrderAndOnceAndTheFirstCopyWins(t *testing.T) {
	f := func(want string, segments ...*frame.Packet) {
		t.Helper()
		var h Half
		var s sink
		h.Segment(seg(99, frame.SYN, ""), s.take)
		for _, p := range segments {
			h.Segment(p, s.take)
		}
		if string(s.got) != want || h.Next != int64(len(want)) {
			t.Errorf("%q, next %d, want %q", s.got, h.Next, want)
		}
	}
	f("abcdef", seg(100, 0, "abc"), seg(103, 0, "def"))
	f("abcdef", seg(103, 0, "def"), seg(100, 0, "abc"))
	f("abcdef", seg(100, 0, "abc"), seg(100, 0, "XYZ"), seg(102, 0, "Zdef"))
	f("abcdefghi", seg(106, 0, "ghi"), seg(103, 0, "defXX"), seg(100, 0, "abcYYYYYY"))
	f("abcdefghi", seg(103, 0, "d"), seg(105, 0, "f"), seg(102, 0, "cDeFgh"), seg(100, 0, "ab"), seg(108, 0, "i"))
}

func TestSequenceNumbersWrap(t *testing.T) {
	var h Half
	var s sink
	h.Segment(seg(1<<32-3, frame.SYN, ""), s.take)
	h.Segment(seg(1, 0, "def"), s.take)
	h.Segment(seg(1<<32-2, 0, "abc"), s.take)
	h.Acknowledge(acknowledge(4, 0), s.take)
	if string(s.got) != "abcdef" || h.Acked != 6 {
		t.Errorf("%q, acked %d", s.got, h.Acked)
	}
	// Offsets go on beyond 4 GiB.
	piece := make([]byte, 1<<16)
	count := 0
	take := func(_ []byte, n int) { count += n }
	for range 3 << 16 / 2 {
		p := seg(h.base+uint32(h.Next), 0, "")
		p.Payload, p.Length = piece, len(piece)
		h.Segment(p, take)
	}
	if h.Next != 6+3<<16/2*int64(len(piece)) || h.Next < 1<<32 {
		t.Errorf("next is %d", h.Next)
	}
}

func TestWhatWasAcknowledgedAndNeverSeenIsMissing(t *testing.T) {
	h := Half{Patience: time.Second}
	var s sink
	h.Segment(seg(99, frame.SYN, ""), s.take)
	h.Segment(seg(100, 0, "abc"), s.take)
	h.Segment(seg(106, 0, "ghi"), s.take)
	h.Acknowledge(acknowledge(109, 0), s.take)
	if string(s.got) != "abc" {
		t.Errorf("%q: what may still come was given up", s.got)
	}
	h.Acknowledge(acknowledge(109, 2*time.Second), s.take)
	if string(s.got) != "abc...ghi" || h.Missing != 3 || !h.Hole() {
		t.Errorf("%q, %d missing", s.got, h.Missing)
	}
}

// A capture that left most packets out: what stands far ahead is followed when both ends say so, over the wrap of the numbers, and not when one does.
func TestFarAheadIsBelievedWhenBothEndsAreThere(t *testing.T) {
	var h Half
	n := int64(0)
	take := func(_ []byte, size int) { n += int64(size) }
	h.Segment(seg(99, frame.SYN, ""), take)
	h.Segment(seg(100, 0, "abc"), take)
	h.Segment(seg(1<<30, 0, "forged"), take)
	h.Acknowledge(acknowledge(103, 0), take)
	if h.Next != 3 {
		t.Fatalf("one end alone moved it to %d", h.Next)
	}
	h.Acknowledge(acknowledge(2_000_000_000, 0), take)
	if h.Next != 3 {
		t.Fatalf("two ends that do not agree moved it to %d", h.Next)
	}
	last := uint32(0)
	for _, at := range []int64{1_500_000_000, 3_300_000_000, 5_000_000_000} {
		last = uint32(100 + at)
		flags := uint8(0)
		if at == 5_000_000_000 {
			flags = frame.FIN
		}
		h.Segment(seg(last, flags, "xyz"), take)
		h.Acknowledge(acknowledge(last+3, 0), take)
		if h.Next != at+3 || h.Acked != at+3 {
			t.Fatalf("%d, acknowledged %d, want %d", h.Next, h.Acked, at+3)
		}
	}
	h.Acknowledge(acknowledge(last+4, 0), take)
	if !h.Confirmed() || n != 5_000_000_003 || h.Missing != n-12 {
		t.Errorf("confirmed %t, %d bytes, %d missing", h.Confirmed(), n, h.Missing)
	}
}

func TestFinCountsAfterAllBeforeIt(t *testing.T) {
	var h Half
	var s sink
	h.Segment(seg(99, frame.SYN, ""), s.take)
	h.Segment(seg(103, frame.FIN, "def"), s.take)
	if h.Fin || !h.FinSeen {
		t.Error("the FIN is not due yet")
	}
	h.Segment(seg(100, 0, "abc"), s.take)
	h.Segment(seg(106, 0, "behind the end"), s.take)
	if !h.Fin || string(s.got) != "abcdef" || h.Confirmed() {
		t.Errorf("%q, %+v", s.got, h)
	}
	h.Acknowledge(acknowledge(107, 0), s.take)
	if !h.Confirmed() {
		t.Error("the FIN was acknowledged")
	}
}

func TestResetFarAwayIsNotBelieved(t *testing.T) {
	var h Half
	var s sink
	h.Segment(seg(99, frame.SYN, ""), s.take)
	h.Segment(seg(1<<30, frame.RST, ""), s.take)
	if h.Reset {
		t.Error("a forged reset was believed")
	}
	h.Segment(seg(100, frame.RST, ""), s.take)
	if !h.Reset {
		t.Error("the reset was not seen")
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	var h Half
	var s sink
	h.Segment(seg(99, frame.SYN, ""), s.take)
	for i := range 5000 {
		h.Segment(seg(uint32(101+2*i), 0, "x"), s.take)
		if len(h.early) > mostSegments || h.held > mostBytes {
			t.Fatalf("%d segments, %d bytes", len(h.early), h.held)
		}
	}
	if h.Missing == 0 {
		t.Error("what was given up is not counted")
	}
}

// FuzzHalf: a stream that is cut, shuffled, repeated and in part dropped comes out in its order; what is missing is exactly what was never sent.
func FuzzHalf(f *testing.F) {
	f.Add([]byte("a stream of bytes that is cut into pieces"), uint64(1), false)
	f.Add(bytes.Repeat([]byte("0123456789"), 100), uint64(2), true)
	f.Fuzz(func(t *testing.T, text []byte, seed uint64, drop bool) {
		text = text[:min(len(text), 4096)]
		for i := range text {
			if text[i] == '.' {
				text[i] = ','
			}
		}
		r := rand.New(rand.NewPCG(seed, 1))
		base := r.Uint32()
		var pieces []*frame.Packet
		sent := make([]bool, len(text))
		for at := 0; at < len(text); {
			n := min(1+r.IntN(100), len(text)-at)
			lap := min(r.IntN(20), at)
			if !drop || r.IntN(5) > 0 {
				pieces = append(pieces, seg(base+uint32(at-lap), 0, string(text[at-lap:at+n])))
				for i := at - lap; i < at+n; i++ {
					sent[i] = true
				}
			}
			at += n
		}
		for range len(pieces) / 2 {
			pieces = append(pieces, pieces[r.IntN(len(pieces))])
		}
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		var h Half
		var s sink
		h.Segment(seg(base-1, frame.SYN, ""), s.take)
		for _, p := range pieces {
			h.Segment(p, s.take)
		}
		h.Acknowledge(acknowledge(base+uint32(len(text)), 0), s.take)
		h.Close(s.take)
		if len(s.got) != len(text) || h.Next != int64(len(text)) {
			t.Fatalf("%d bytes of %d", len(s.got), len(text))
		}
		missing := int64(0)
		for i, c := range s.got {
			if !sent[i] {
				missing++
			}
			if want := text[i]; c != want && (sent[i] || c != '.') {
				t.Fatalf("byte %d is %q, want %q", i, c, want)
			}
		}
		if missing != h.Missing || len(h.early) != 0 || h.held != 0 {
			t.Fatalf("%d missing, want %d; %d wait", h.Missing, missing, len(h.early))
		}
	})
}

func TestTwoVersionsOfBytesAreCounted(t *testing.T) {
	f := func(want int64, packets ...*frame.Packet) {
		t.Helper()
		h := Half{Patience: time.Second}
		var s sink
		h.Segment(seg(99, frame.SYN, ""), s.take)
		for _, p := range packets {
			if p.Has(frame.ACK) {
				h.Acknowledge(p, s.take)
			} else {
				h.Segment(p, s.take)
			}
		}
		if h.Differ != want || h.Unsure != 0 {
			t.Errorf("%d bytes differ, want %d; %d unsure", h.Differ, want, h.Unsure)
		}
	}
	f(0, seg(100, 0, "abcdef"), seg(100, 0, "abcdef"), seg(102, 0, "cdefgh"))
	f(3, seg(100, 0, "abcdef"), seg(100, 0, "abcXYZ"))
	f(2, seg(100, 0, "abc"), seg(101, 0, "XYdef"))
	f(2, seg(103, 0, "def"), seg(104, 0, "XY"), seg(100, 0, "abc"))         // before their turn
	f(2, seg(103, 0, "def"), seg(100, 0, "abcXYf"))                         // over what waits
	f(0, seg(100, 0, "abcdef"), acknowledge(106, 0), seg(100, 0, "XXXXXX")) // the receiver has the first
	f(2, seg(100, 0, "abcdef"), acknowledge(104, 0), seg(100, 0, "XXXXXX"))
	f(0, seg(100, 0, "abcdef"), acknowledge(103, 0), seg(99, 0, "?")) // keep alive (RFC 1122, section 4.2.3.6)
}

func TestTwoEndsAreNoticed(t *testing.T) {
	f := func(want bool, packets ...*frame.Packet) {
		t.Helper()
		var h Half
		var s sink
		h.Segment(seg(99, frame.SYN, ""), s.take)
		for _, p := range packets {
			if p.Has(frame.ACK) {
				h.Acknowledge(p, s.take)
			} else {
				h.Segment(p, s.take)
			}
		}
		if h.TwoEnds != want || h.Differ != 0 {
			t.Errorf("two ends: %v, want %v; %d differ", h.TwoEnds, want, h.Differ)
		}
	}
	f(true, seg(100, frame.FIN, "abc"), seg(100, 0, "abcdef"))
	f(true, seg(100, 0, "abcdef"), seg(100, frame.FIN, "abc"))
	f(true, seg(100, frame.FIN, "abc"), seg(100, frame.FIN, "ab"))
	f(true, seg(100, frame.FIN, "abc"), acknowledge(107, 0))
	f(false, seg(100, frame.FIN, "abc"), seg(100, 0, "abc"), seg(103, frame.FIN, ""), acknowledge(104, 0))
}

func TestWhatIsComparedIsBounded(t *testing.T) {
	var h Half
	h.Segment(seg(99, frame.SYN, ""), func([]byte, int) {})
	p := seg(0, 0, "")
	p.Payload, p.Length = make([]byte, 1<<16), 1<<16
	for i := range 100 {
		p.Seq = 100 + uint32(i<<16)
		h.Segment(p, func([]byte, int) {})
		if len(h.recent) > 2*mostRecent {
			t.Fatalf("%d bytes are kept", len(h.recent))
		}
	}
	p.Seq = 100
	h.Segment(p, func([]byte, int) {})
	if h.Unsure != 1<<16 || h.Differ != 0 {
		t.Errorf("%d unsure, %d differ", h.Unsure, h.Differ)
	}
	h.Acknowledge(acknowledge(100+100<<16, 0), func([]byte, int) {})
	p.Seq = 100 + 100<<16
	h.Segment(p, func([]byte, int) {})
	h.Segment(p, func([]byte, int) {})
	if h.Unsure != 1<<16 || len(h.recent) != 1<<16 {
		t.Errorf("%d unsure, %d bytes are kept", h.Unsure, len(h.recent))
	}
}

// FuzzVersions: whatever comes again, in whatever pieces and order: bytes that came in two versions before they were acknowledged are noticed, and none
// are where all came alike.
func FuzzVersions(f *testing.F) {
	f.Add(uint64(1), uint8(3))
	f.Add(uint64(7), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, liars uint8) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := make([]byte, 1+r.IntN(3000))
		for i := range text {
			text[i] = byte(r.IntN(255))
		}
		base := r.Uint32()
		var h Half
		var s sink
		h.Segment(seg(base-1, frame.SYN, ""), s.take)
		sent := make([]byte, len(text)) // 0: not sent; 1: as it is; 2: in another version
		acked, lied := 0, false
		for range 60 {
			from := r.IntN(len(text))
			to := min(len(text), from+1+r.IntN(400))
			piece := bytes.Clone(text[from:to])
			version := byte(1)
			if liars > 0 && r.IntN(8) < int(liars%8) {
				version = 2
				for i := range piece {
					piece[i] = 255 - piece[i]/255
				}
			}
			for i := from; i < to; i++ {
				if i >= acked && sent[i] != 0 && sent[i] != version && piece[i-from] != pick(sent[i], text[i]) {
					lied = true
				}
				if i >= acked && sent[i] == 0 {
					sent[i] = version
				}
			}
			h.Segment(seg(base+uint32(from), 0, string(piece)), s.take)
			if r.IntN(4) == 0 {
				acked = max(acked, int(h.Next))
				h.Acknowledge(acknowledge(base+uint32(acked), 0), s.take)
			}
		}
		if (h.Differ > 0) != lied {
			t.Fatalf("%d bytes differ, two versions came: %v", h.Differ, lied)
		}
		for i, c := range s.got {
			if want := pick(sent[i], text[i]); c != want {
				t.Fatalf("byte %d is %d, want %d of version %d", i, c, want, sent[i])
			}
		}
	})
}

// pick is a byte in one of its two versions.
func pick(version, c byte) byte {
	if version == 2 {
		return 255 - c/255
	}
	return c
}
