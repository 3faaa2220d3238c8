package engine

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman/source/tftp/packet"
)

func TestReadStaysInsideItsContentUnderAnyPackets(t *testing.T) {
	rapid.Check(t, readUnderAnyPackets)
}

func TestUploadIsStoredInOrderUnderAnyPackets(t *testing.T) {
	rapid.Check(t, writeUnderAnyPackets)
}

func FuzzReadUnderAnyPackets(f *testing.F)  { f.Fuzz(rapid.MakeFuzz(readUnderAnyPackets)) }
func FuzzWriteUnderAnyPackets(f *testing.F) { f.Fuzz(rapid.MakeFuzz(writeUnderAnyPackets)) }

// near draws a block number round the one that counts, so that the machine moves, and at times any.
func near(t *rapid.T, block uint64, window int) uint16 {
	if rapid.IntRange(0, 9).Draw(t, "far") == 0 {
		return rapid.Uint16().Draw(t, "block")
	}
	return uint16(block) + uint16(rapid.IntRange(-window-1, window+2).Draw(t, "block"))
}

func plainGrant(window int) Grant {
	return Grant{BlockSize: 8, Window: window, TSize: -1, Announced: -1, windowsize: window > 1}
}

// wrapping draws where a machine stands: at the start or just below the wrap of the block numbers.
func wrapping(t *rapid.T) uint64 {
	return rapid.SampledFrom([]uint64{0, 65536 - 5, 2*65536 - 5}).Draw(t, "base")
}

func readUnderAnyPackets(t *rapid.T) {
	window := rapid.IntRange(1, 8).Draw(t, "window")
	base := wrapping(t)
	last := base + rapid.Uint64Range(1, 60).Draw(t, "last")
	r, now := &Read{}, time.Duration(0)
	r.Start(0, plainGrant(window), Defaults())
	if base > 0 {
		r.state, r.acked, r.sent = running, base, base+1
	}
	r.Final(last, 0)
	for range rapid.IntRange(1, 200).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * ms
		before, state := r.acked, r.state
		ticked := false
		var do Do
		switch rapid.IntRange(0, 9).Draw(t, "event") {
		case 0:
			do, ticked = r.Tick(now), true
		case 1:
			do, ticked = r.Repeat(now), true
		case 2:
			do = r.Packet(now, rapid.SliceOfN(rapid.Byte(), 0, 6).Draw(t, "noise"))
		default:
			do = r.Packet(now, packet.AppendAck(nil, near(t, r.acked, window)))
		}
		switch to := do.From + uint64(do.Count) - 1; {
		case do.Count > 0 && (do.From != r.acked+1 || to > last || do.Count > window):
			t.Fatalf("%s of %d blocks, window %d, acknowledged %d", say(do), last, window, r.acked)
		case do.Count > 0 && !ticked && r.acked == before && (state != opening || !r.oack):
			t.Fatalf("%s without a new ACK and without the timer", say(do))
		case r.acked > before+uint64(window) || r.acked < before:
			t.Fatalf("from %d to %d in a window of %d", before, r.acked, window)
		case r.out.Reason == FinalAck && r.acked != last:
			t.Fatalf("final ACK at block %d of %d", r.acked, last)
		case (r.out.Reason != "") != (r.Deadline() == Never):
			t.Fatalf("reason %q with deadline %v", r.out.Reason, r.Deadline())
		}
	}
}

func writeUnderAnyPackets(t *rapid.T) {
	window := rapid.IntRange(1, 8).Draw(t, "window")
	base := wrapping(t)
	w, now := &Write{}, time.Duration(0)
	w.Start(0, plainGrant(window), Defaults())
	if base > 0 {
		w.state, w.taken, w.acked, w.ackAt = running, base, base, base+uint64(window)
	}
	taken, whole := base, false
	for range rapid.IntRange(1, 200).Draw(t, "steps") {
		now += time.Duration(rapid.IntRange(0, 2000).Draw(t, "pause")) * ms
		var do Do
		switch rapid.IntRange(0, 9).Draw(t, "event") {
		case 0:
			do = w.Tick(now)
		case 1:
			do = w.Repeat(now)
		case 2:
			do = w.Stored(now)
		default:
			size := rapid.SampledFrom([]int{8, 8, 8, 8, 8, 8, 8, 8, 8, 3, 9}).Draw(t, "size")
			block := near(t, taken, window)
			do = w.Packet(now, append(packet.AppendData(nil, block), make([]byte, size)...))
			if do.Store != nil {
				taken++
				if block != uint16(taken) || whole || size > 8 || do.Last != (size < 8) {
					t.Fatalf("%s for block %d of %d octets as number %d, whole %v", say(do), block, size, taken, whole)
				}
				whole = do.Last
			}
		}
		switch stored := w.out.Reason == Stored; {
		case do.Ack && do.AckBlock != uint16(taken):
			t.Fatalf("ACK %d after %d stored blocks", do.AckBlock, taken)
		case do.Ack && whole && !stored:
			t.Fatal("last ACK before the upload was stored")
		case stored && !whole:
			t.Fatal("stored without its last block")
		case w.state == ended && (w.out.Reason == "" || w.Deadline() != Never):
			t.Fatalf("ended with reason %q and deadline %v", w.out.Reason, w.Deadline())
		}
	}
}

func BenchmarkReadPerBlock(b *testing.B) {
	r := &Read{}
	r.Start(0, plainGrant(1), Defaults())
	var p [4]byte
	now := time.Duration(0)
	for block := uint16(0); b.Loop(); {
		block++
		now += 10 * time.Microsecond
		if r.Packet(now, packet.AppendAck(p[:0], block)).Count != 1 {
			b.Fatal("no DATA")
		}
	}
}

func BenchmarkWritePerBlock(b *testing.B) {
	w := &Write{}
	w.Start(0, plainGrant(1), Defaults())
	p := make([]byte, 12)
	now := time.Duration(0)
	for block := uint16(0); b.Loop(); {
		block++
		now += 10 * time.Microsecond
		packet.AppendData(p[:0], block)
		if !w.Packet(now, p).Ack {
			b.Fatal("no ACK")
		}
	}
}
