package engine

import (
	"testing"
	"time"
	"unsafe"

	"tallyman/source/tftp/packet"
)

func TestReadGoesBlockByBlockToTheFinalAck(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.ack(1, "DATA 2")
	s.ack(2, "DONE")
	s.ended(FinalAck)
	out := s.m.Outcome()
	if out.Bytes != 1000 || out.LastBlock != 2 || out.LastAcked != 2 || out.Retransmits != 0 {
		t.Errorf("%+v", out)
	}
}

func TestEmptyFileIsOneEmptyData(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 0, "DATA 1")
	s.ack(1, "DONE")
	s.ended(FinalAck)
	if out := s.m.Outcome(); out.Bytes != 0 || out.LastAcked != 1 {
		t.Errorf("%+v", out)
	}
}

func TestExactMultipleEndsWithAnEmptyData(t *testing.T) {
	s, _ := reading(t, "RRQ f octet blksize=8", 16, "OACK")
	s.ack(0, "DATA 1")
	s.ack(1, "DATA 2")
	s.ack(2, "DATA 3")
	s.ack(3, "DONE")
	if out := s.m.Outcome(); out.Bytes != 16 || out.Reason != FinalAck {
		t.Errorf("%+v", out)
	}
}

func TestDuplicateAckNeverSendsData(t *testing.T) {
	s, _ := reading(t, "RRQ f octet tsize=0", 100_000, "OACK")
	s.ack(0, "DATA 1")
	s.ack(0, "")
	for block := uint64(1); block < 100; block++ {
		s.after(ms).ack(block, "DATA "+itoa(block+1))
		s.ack(block, "")
		s.ack(block-1, "")
	}
	if out := s.m.Outcome(); out.Retransmits != 0 || out.Duplicates != 199 {
		t.Errorf("%+v", out)
	}
}

func TestDuplicateAckOfAWindowNeverSendsData(t *testing.T) {
	s, _ := reading(t, "RRQ f octet windowsize=4", 100_000, "OACK")
	s.ack(0, "DATA 1..4")
	s.ack(0, "") // block 1 was lost: only the timer sends it again
	s.ack(4, "DATA 5..8")
	s.ack(4, "")
	s.ack(3, "")
	s.tick("DATA 5..8")
}

func TestAckOfABlockNotYetSentDoesNotAdvance(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 100_000, "DATA 1")
	s.ack(2, "")
	s.ack(1, "DATA 2")
	s.ack(6, "")
	s.ack(20_000, "")
	s.ack(2, "DATA 3")
	if out := s.m.Outcome(); out.Strays != 3 || out.LastAcked != 2 {
		t.Errorf("%+v", out)
	}
}

func TestAckOfABlockDoesNotStandForTheAckOfTheOptions(t *testing.T) {
	s, _ := reading(t, "RRQ f octet tsize=0", 100_000, "OACK")
	s.ack(1, "")
	s.ack(0, "DATA 1")
}

func TestUnacknowledgedDataIsRepeatedWholeByTheTimer(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 100_000, "DATA 1")
	s.after(10*ms).ack(1, "DATA 2")
	s.expect(s.m.Tick(s.now+ms), "")
	for range 5 {
		s.tick("DATA 2")
	}
	s.ack(2, "DATA 3")
	if out := s.m.Outcome(); out.Retransmits != 5 {
		t.Errorf("%+v", out)
	}
}

func TestLostOACKOfAReadIsRepeated(t *testing.T) {
	s, _ := reading(t, "RRQ f octet tsize=0", 1000, "OACK")
	s.tick("OACK")
	s.expect(s.m.Repeat(s.now), "OACK")
	s.ack(0, "DATA 1")
	s.expect(s.m.Repeat(s.now), "")
	if out := s.m.Outcome(); out.Retransmits != 2 || out.Requests != 2 {
		t.Errorf("%+v", out)
	}
}

func TestRepeatedRequestRepeatsTheFirstReplyUntilTheFirstAck(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.expect(s.m.Repeat(s.now), "DATA 1")
	s.expect(s.m.Repeat(s.now), "DATA 1")
	s.ack(1, "DATA 2")
	s.expect(s.m.Repeat(s.now), "")
	s.ack(1, "")
	s.ack(2, "DONE")
}

func TestLostLastAckRepeatsTheLastDataAndLeavesItUnconfirmed(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.ack(1, "DATA 2")
	for _, said := range s.silence(Unconfirmed) {
		if said != "DATA 2" {
			t.Errorf("said %q", said)
		}
	}
	if s.now != time.Minute {
		t.Errorf("gave up at %v", s.now)
	}
	if out := s.m.Outcome(); out.Bytes != 512 || out.LastBlock != 2 || out.LastAcked != 1 || out.Retransmits < 10 {
		t.Errorf("%+v", out)
	}
}

func TestLateLastAckAfterARepetitionIsFinal(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 100, "DATA 1")
	s.tick("DATA 1")
	s.ack(1, "DONE")
	s.ended(FinalAck)
}

func TestVanishedReaderIsDroppedAfterTheGiveUpTime(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 100_000, "DATA 1")
	s.after(3*time.Second).ack(1, "DATA 2")
	said := s.silence(ClientSilent)
	if s.now != 63*time.Second || len(said) > 30 {
		t.Errorf("gave up at %v after %d packets", s.now, len(said))
	}
}

func TestReaderThatNeverAnswersGetsTwoPacketsInAll(t *testing.T) {
	f := func(text, want string, reason Reason) {
		t.Helper()
		s, _ := reading(t, text, 100_000, want)
		if !s.m.HalfOpen() {
			t.Error("not half-open")
		}
		if said := s.silence(reason); len(said) != 1 || said[0] != want {
			t.Errorf("%s: repeated %q", text, said)
		}
		if s.now != time.Minute {
			t.Errorf("gave up at %v", s.now)
		}
	}
	f("RRQ f octet", "DATA 1", ClientSilent)
	f("RRQ f octet tsize=0", "OACK", ClientSilent)
	f("RRQ f octet timeout=2", "OACK", ClientSilent)
}

func TestErrorOfTheReaderEndsAtOnceAndIsNotAnswered(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 100_000, "DATA 1")
	s.ack(1, "DATA 2")
	s.fails(packet.DiskFull, "disk\x1b full", "DONE")
	s.ended(ClientError)
	out := s.m.Outcome()
	if !out.ClientSaid || out.ClientCode != packet.DiskFull || out.ClientText != "disk\x1b full" || out.Bytes != 512 {
		t.Errorf("%+v", out)
	}
}

func TestErrorInPlaceOfAckZeroIsASizeProbe(t *testing.T) {
	f := func(options string, code packet.Code, want Reason) {
		t.Helper()
		s, _ := reading(t, "RRQ f octet "+options, 100_000, "OACK")
		s.fails(code, "User aborted the transfer", "DONE")
		s.ended(want)
	}
	f("tsize=0 blksize=1428", packet.OptionRefused, SizeProbe)
	f("tsize=0", packet.Undefined, SizeProbe)
	f("tsize=0 blksize=1428", packet.Undefined, ClientError)
	f("blksize=1428", packet.DiskFull, ClientError)

	s, _ := reading(t, "RRQ f octet tsize=0", 100_000, "OACK")
	s.ack(0, "DATA 1")
	s.fails(packet.OptionRefused, "", "DONE")
	s.ended(ClientError)

	s, _ = reading(t, "RRQ f octet", 100_000, "DATA 1")
	s.fails(packet.OptionRefused, "", "DONE")
	s.ended(ClientError)
}

func TestLostWindowComesAgainAfterTheTimeout(t *testing.T) {
	s, _ := reading(t, "RRQ f octet windowsize=4 timeout=2", 100_000, "OACK")
	s.ack(0, "DATA 1..4")
	s.tick("DATA 1..4")
	s.ack(4, "DATA 5..8")
	if s.now != 2*time.Second {
		t.Errorf("repeated at %v", s.now)
	}
}

func TestPartialWindowGoesOnBehindItsAck(t *testing.T) {
	s, _ := reading(t, "RRQ f octet windowsize=4", 512*7, "OACK")
	s.ack(0, "DATA 1..4")
	s.ack(2, "DATA 3..6") // block 3 was lost
	s.ack(2, "")
	s.ack(6, "DATA 7..8")
	s.ack(7, "DATA 8")
	s.ack(8, "DONE")
	if out := s.m.Outcome(); out.Bytes != 512*7 || out.Retransmits != 3 {
		t.Errorf("%+v", out)
	}
}

func TestGrantedTimeoutIsObeyedUnchanged(t *testing.T) {
	s, _ := reading(t, "RRQ f octet timeout=3", 100_000, "OACK")
	s.after(10*ms).ack(0, "DATA 1")
	for i := range 4 {
		s.tick("DATA 1")
		if want := 10*ms + time.Duration(i+1)*3*time.Second; s.now != want {
			t.Errorf("repetition %d at %v, want %v", i, s.now, want)
		}
	}
}

func TestEndMetWhileConvertingStopsTheFlight(t *testing.T) {
	s, r := reading(t, "RRQ f netascii windowsize=4", -1, "OACK")
	s.ack(0, "DATA 1..4")
	s.ack(4, "DATA 5..8")
	r.Final(6, 100) // the driver met the end in block 6 and sent 5 and 6
	s.ack(7, "")
	s.tick("DATA 5..6")
	s.ack(6, "DONE")
	if out := s.m.Outcome(); out.Bytes != 5*512+100 || out.LastBlock != 6 {
		t.Errorf("%+v", out)
	}
}

func TestOnlyTheFirstEndCounts(t *testing.T) {
	s, r := reading(t, "RRQ f octet", 1000, "DATA 1")
	r.Final(9, 0)
	s.ack(1, "DATA 2")
	s.ack(2, "DONE")
}

func TestBlockNumbersWrapToZero(t *testing.T) {
	f := func(options string, window uint64) {
		t.Helper()
		const blocks = 2*65536 + 100
		s, r := reading(t, "RRQ f octet blksize=8 "+options, 8*(blocks-1)+5, "OACK")
		do := r.Packet(s.now, packet.AppendAck(nil, 0))
		for acked := uint64(0); !do.Done; {
			if want := min(window, blocks-acked); do.From != acked+1 || uint64(do.Count) != want {
				t.Fatalf("behind %d: %s, want %d blocks", acked, say(do), want)
			}
			acked += uint64(do.Count)
			do = r.Packet(s.now, packet.AppendAck(nil, uint16(acked)))
		}
		if out := r.Outcome(); out.Reason != FinalAck || out.LastAcked != blocks || out.Bytes != 8*(blocks-1)+5 || out.Strays+out.Duplicates != 0 {
			t.Errorf("%+v", out)
		}
	}
	f("", 1)
	f("windowsize=16", 16)
}

func TestReadLargerThanFourGiBIsCountedWhole(t *testing.T) {
	const size = 1<<32 + 12345
	s, r := reading(t, "RRQ f octet blksize=65464", size, "OACK")
	do := r.Packet(s.now, packet.AppendAck(nil, 0))
	var p [4]byte
	for !do.Done {
		do = r.Packet(s.now, packet.AppendAck(p[:0], uint16(do.From)))
	}
	if out := r.Outcome(); out.Bytes != size || out.Reason != FinalAck {
		t.Errorf("%+v", out)
	}
}

func TestOtherPacketsDoNotDisturbARead(t *testing.T) {
	s, r := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.data(1, 10, "")
	for _, p := range []string{"", "\x00", "\x00\x04\x00", "\x00\x05\x00", "\x00\x01f\x00octet\x00", "\x00\x06", "\xff\xff\x00\x01"} {
		s.expect(r.Packet(s.now, []byte(p)), "")
	}
	s.ack(1, "DATA 2")
	if out := r.Outcome(); out.Strays != 8 {
		t.Errorf("%+v", out)
	}
}

func TestStoppedReadIsToldSo(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.expect(s.m.Stop(s.now), "ERROR 0 DONE")
	s.expect(s.m.Stop(s.now), "DONE")
	s.ended(Shutdown)

	s, _ = reading(t, "RRQ f octet", 1000, "DATA 1")
	s.expect(s.m.Refuse(s.now, "io-error", packet.Error{Text: "cannot read"}), "ERROR 0 DONE")
	s.expect(s.m.Refuse(s.now, "kicked", packet.Error{}), "DONE")
	s.ended("io-error")
}

func TestClosedPortOfTheReaderEndsTheRead(t *testing.T) {
	s, _ := reading(t, "RRQ f octet", 1000, "DATA 1")
	s.expect(s.m.Gone(s.now), "DONE")
	s.ended(ClientGone)

	s, _ = reading(t, "RRQ f octet", 1000, "DATA 1")
	s.ack(1, "DATA 2")
	s.expect(s.m.Gone(s.now), "DONE")
	s.expect(s.m.Gone(s.now), "DONE")
	s.ended(Unconfirmed) // it had all and may have closed after its last ACK
}

func TestSlowReaderCostsLessThanHalfAKiB(t *testing.T) {
	if size := max(unsafe.Sizeof(Read{}), unsafe.Sizeof(Write{})); size > 384 {
		t.Errorf("a machine has %d octets", size)
	}
}

func TestMachinesAllocateNothingPerPacket(t *testing.T) {
	r, w := &Read{}, &Write{}
	r.Start(0, grant(t, "RRQ f octet", Defaults(), 1<<30), Defaults())
	r.Final(1<<21, 0)
	w.Start(0, grant(t, "WRQ f octet", Defaults(), -1), Defaults())
	p := append(packet.AppendData(nil, 0), make([]byte, 512)...)
	var ack [4]byte
	var block uint64
	allocations := testing.AllocsPerRun(1000, func() {
		block++
		if r.Packet(0, packet.AppendAck(ack[:0], uint16(block))).Count != 1 {
			t.Fatal("no DATA")
		}
		packet.AppendData(p[:0], uint16(block))
		if !w.Packet(0, p).Ack {
			t.Fatal("no ACK")
		}
		r.Tick(r.Deadline())
		w.Tick(w.Deadline())
	})
	if allocations != 0 {
		t.Errorf("%v allocations per packet", allocations)
	}
}
