package frame

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// FuzzFragments: fragments in any sizes and any order, some twice, some in another version, some never: what comes out is one of the datagrams that were
// sent, whole; where two versions of a byte came it does not come out at all; and what is kept stays within the limits.
func FuzzFragments(f *testing.F) {
	f.Add(uint64(1), []byte("a datagram that is cut into pieces of eight bytes, and more"), false)
	f.Add(uint64(2), bytes.Repeat([]byte("0123456789"), 200), true)
	f.Fuzz(func(t *testing.T, seed uint64, text []byte, lies bool) {
		text = text[:min(len(text), 4000)]
		r := rand.New(rand.NewPCG(seed, 3))
		limits := Limits{Datagrams: 8, Bytes: 8 << 10, Age: time.Second}
		d := NewDecoder(limits)
		v6 := r.IntN(2) == 0
		type piece struct {
			at   int
			data []byte
			more bool
		}
		whole := udp(1, 2, string(text))
		var pieces []piece
		for at := 0; at < len(whole); {
			n := min(8*(1+r.IntN(60)), len(whole)-at)
			pieces = append(pieces, piece{at, whole[at : at+n], at+n < len(whole)})
			at += n
		}
		lied := false
		for range r.IntN(4) {
			p := pieces[r.IntN(len(pieces))]
			if lies && r.IntN(2) == 0 {
				p.data = bytes.Clone(p.data)
				p.data[r.IntN(len(p.data))] ^= 1
				lied = true
			}
			pieces = append(pieces, p)
		}
		missing := lies && r.IntN(4) == 0
		if missing {
			pieces = slices.DeleteFunc(pieces, func(p piece) bool { return p.at == 0 })
		}
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		came, twofold := map[int][]byte{}, false
		for i, p := range pieces {
			before, again := came[p.at]
			twofold = twofold || again && !bytes.Equal(before, p.data)
			came[p.at] = p.data
			var packet []byte
			if v6 {
				head := binary.BigEndian.AppendUint16([]byte{protoUDP, 0}, uint16(p.at))
				if p.more {
					head[3] |= 1
				}
				packet = ip6(protoFragment, append(append(head, 0, 0, 0, 9), p.data...))
			} else {
				packet = ip4(protoUDP, 9, p.at, p.more, p.data)
			}
			q := Packet{Time: start.Add(time.Duration(i) * time.Millisecond)}
			if d.Decode(&q, Raw, packet, len(packet)) {
				if missing || twofold || !lied && !bytes.Equal(q.Payload, text) {
					t.Fatalf("%q came out of %q; in two versions %v, missing %v", q.Payload, text, twofold, missing)
				}
				clear(came)
			}
			if n := len(d.frags.byKey); n > limits.Datagrams || d.frags.bytes > limits.Bytes || d.frags.bytes < 0 {
				t.Fatalf("%d datagrams, %d bytes are kept", n, d.frags.bytes)
			}
		}
	})
}

// Fragments that never find their like are bounded, and drive out what is older: the loss is counted.
func TestFloodOfFragmentsIsBoundedAndCounted(t *testing.T) {
	d := NewDecoder(DefaultLimits())
	for i := range 100_000 {
		packet := ip4(protoUDP, uint16(i), 8*(i%100+1), true, make([]byte, 8))
		binary.BigEndian.PutUint32(packet[12:], uint32(i))
		var p Packet
		p.Time = start.Add(time.Duration(i) * time.Microsecond)
		if d.Decode(&p, Raw, packet, len(packet)) {
			t.Fatal("a fragment alone came out")
		}
	}
	l := DefaultLimits()
	if len(d.frags.byKey) > l.Datagrams || d.frags.bytes > l.Bytes || len(d.frags.queue) > 4*l.Datagrams || d.Counts.Lost < 99_000 {
		t.Errorf("%d datagrams, %d bytes, %d in the queue, %d lost", len(d.frags.byKey), d.frags.bytes, len(d.frags.queue), d.Counts.Lost)
	}
}
