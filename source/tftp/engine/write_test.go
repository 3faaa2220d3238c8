package engine

import (
	"strconv"
	"testing"
	"time"

	"tallyman/source/tftp/packet"
)

func TestUploadIsAcknowledgedOnlyAfterItIsStored(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	s.data(2, 488, "STORE 488 LAST")
	if w.Settled() || w.Deadline() != Never {
		t.Errorf("settled %v, deadline %v while the driver stores", w.Settled(), w.Deadline())
	}
	s.data(2, 488, "")
	s.expect(w.Tick(time.Hour), "")
	s.expect(w.Stored(s.now), "ACK 2")
	if out := w.Outcome(); out.Reason != Stored || out.Bytes != 1000 || out.LastBlock != 2 || out.LastAcked != 2 {
		t.Errorf("%+v", out)
	}
	s.expect(w.Stored(s.now), "")
	s.tick("DONE")
	s.ended(Stored)
}

func TestEmptyUploadIsOneEmptyData(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 0, "STORE 0 LAST")
	s.expect(w.Stored(s.now), "ACK 1")
	if out := w.Outcome(); out.Reason != Stored || out.Bytes != 0 {
		t.Errorf("%+v", out)
	}
}

func TestUploadOfAnExactMultipleEndsWithAnEmptyData(t *testing.T) {
	s, w := writing(t, "WRQ f octet blksize=8", "OACK")
	s.data(1, 8, "STORE 8 ACK 1")
	s.data(2, 8, "STORE 8 ACK 2")
	s.data(3, 0, "STORE 0 LAST")
	s.expect(w.Stored(s.now), "ACK 3")
}

func TestLostFirstReplyToAnUploadIsRepeated(t *testing.T) {
	f := func(text, reply string) {
		t.Helper()
		s, w := writing(t, text, reply)
		s.tick(reply)
		s.expect(w.Repeat(s.now), reply)
		s.expect(w.Repeat(s.now), reply)
		s.data(1, 512, "STORE 512 ACK 1")
		s.expect(w.Repeat(s.now), "")
		s.data(2, 1, "STORE 1 LAST")
		s.expect(w.Repeat(s.now), "")
		s.expect(w.Stored(s.now), "ACK 2")
		s.expect(w.Repeat(s.now), "")
		if out := w.Outcome(); out.Requests != 5 || out.Bytes != 513 {
			t.Errorf("%+v", out)
		}
	}
	f("WRQ f octet", "ACK 0")
	f("WRQ f octet tsize=0", "OACK")
}

func TestUploaderThatNeverAnswersGetsTwoPacketsInAll(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		s, _ := writing(t, text, want)
		if said := s.silence(ClientSilent); len(said) != 1 || said[0] != want || s.now != time.Minute {
			t.Errorf("%s: repeated %q until %v", text, said, s.now)
		}
	}
	f("WRQ f octet", "ACK 0")
	f("WRQ f octet timeout=3", "OACK")
}

func TestEveryDataSentTwiceGetsNotMoreThanOneAckEach(t *testing.T) {
	f := func(text, reply string, window uint64) {
		t.Helper()
		s, w := writing(t, text, reply)
		acks := 0
		for block := uint64(1); block <= 64; block++ {
			for range 2 {
				p := append(packet.AppendData(nil, uint16(block)), make([]byte, 512)...)
				do := w.Packet(s.now, p)
				if do.Ack {
					acks++
				}
				s.after(ms / 10)
			}
		}
		if out := w.Outcome(); out.Bytes != 64*512 || acks < int(64/window) || acks > 64 {
			t.Errorf("%s: %d ACKs, %+v", text, acks, out)
		}
	}
	f("WRQ f octet", "ACK 0", 1)
	f("WRQ f octet windowsize=4", "OACK", 4)
}

func TestRepeatedDataAfterALostAckIsAcknowledgedAgain(t *testing.T) {
	s, w := writing(t, "WRQ f octet timeout=2", "OACK")
	s.after(ms).data(1, 512, "STORE 512 ACK 1")
	s.after(time.Second).data(1, 512, "ACK 1")
	s.after(ms).data(1, 512, "") // a copy made on the way
	s.data(2, 512, "STORE 512 ACK 2")
	s.after(2*time.Second).data(1, 512, "") // a copy that was long on its way: ACK 1 has arrived
	if out := w.Outcome(); out.Duplicates != 3 || out.Retransmits != 1 {
		t.Errorf("%+v", out)
	}
}

func TestTimerRepeatsTheAckOfAnUpload(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.after(10*ms).data(1, 512, "STORE 512 ACK 1")
	s.tick("ACK 1")
	s.tick("ACK 1")
	s.data(2, 512, "STORE 512 ACK 2")
	if out := w.Outcome(); out.Retransmits != 2 {
		t.Errorf("%+v", out)
	}
}

func TestLostLastAckOfAnUploadIsRepeatedWhileDallying(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	s.data(2, 1, "STORE 1 LAST")
	s.expect(w.Stored(s.now), "ACK 2")
	s.data(2, 1, "ACK 2")
	s.after(5*time.Second).data(2, 1, "ACK 2")
	s.data(1, 512, "")
	s.data(3, 512, "")
	s.expect(w.Tick(s.now), "")
	s.tick("DONE")
	if s.now != Defaults().Dally {
		t.Errorf("dallied until %v", s.now)
	}
	s.ended(Stored)
}

func TestDallyOutlastsTheTimeoutOfTheClient(t *testing.T) {
	s, w := writing(t, "WRQ f octet timeout=10", "OACK")
	s.data(1, 1, "STORE 1 LAST")
	s.expect(w.Stored(s.now), "ACK 1")
	s.after(10 * time.Second)
	s.expect(w.Tick(s.now), "")
	s.data(1, 1, "ACK 1")
	s.tick("DONE")
	s.ended(Stored)
}

func TestDataThatIsNotDueIsNotStored(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(5, 512, "")
	s.data(0, 512, "")
	s.data(65535, 512, "")
	s.data(1, 512, "STORE 512 ACK 1")
	s.data(3, 10, "")
	s.data(0, 10, "")
	if out := w.Outcome(); out.Strays != 5 || out.Bytes != 512 {
		t.Errorf("%+v", out)
	}
}

func TestDataLargerThanTheBlockSizeIsNotStored(t *testing.T) {
	s, _ := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	s.data(2, 513, "ERROR 4 DONE")
	s.ended(ServerError)
	if out := s.m.Outcome(); out.Bytes != 512 {
		t.Errorf("%+v", out)
	}
}

func TestWindowOfAnUploadIsAcknowledgedAtItsEnd(t *testing.T) {
	s, w := writing(t, "WRQ f octet windowsize=4", "OACK")
	for block := uint64(1); block <= 8; block++ {
		want := "STORE 512"
		if block%4 == 0 {
			want += " ACK " + itoa(block)
		}
		s.data(block, 512, want)
	}
	s.data(9, 512, "STORE 512")
	s.data(10, 5, "STORE 5 LAST") // a short block ends the window
	s.expect(w.Stored(s.now), "ACK 10")
}

func TestLostBlockOfAWindowIsToldOnceAtOnce(t *testing.T) {
	s, w := writing(t, "WRQ f octet windowsize=16", "OACK")
	s.data(1, 512, "STORE 512")
	s.data(2, 512, "STORE 512")
	s.data(4, 512, "ACK 2")
	for block := uint64(5); block <= 16; block++ {
		s.data(block, 512, "")
	}
	for block := uint64(3); block < 18; block++ {
		s.data(block, 512, "STORE 512")
	}
	s.data(18, 512, "STORE 512 ACK 18")
	if out := w.Outcome(); out.Gaps != 13 || out.Bytes != 18*512 {
		t.Errorf("%+v", out)
	}
}

func TestLostFirstBlockOfAWindowIsToldAtOnce(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=4", "OACK")
	s.data(2, 512, "ACK 0")
	s.data(3, 512, "")
	s.data(1, 512, "STORE 512")
	s.data(2, 512, "STORE 512")
	s.data(3, 512, "STORE 512")
	s.data(4, 512, "STORE 512 ACK 4")
	s.data(6, 512, "ACK 4")
}

func TestLostEndOfAWindowIsAskedForByTheTimer(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=4", "OACK")
	s.after(ms).data(1, 512, "STORE 512")
	s.data(2, 512, "STORE 512")
	s.data(3, 512, "STORE 512")
	s.tick("ACK 3")
	if s.now != ms+pause {
		t.Errorf("asked at %v", s.now)
	}
}

func TestRepeatedWindowAfterALostAckIsAcknowledgedOnceWhereItEnds(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=4", "OACK")
	for block := uint64(1); block < 4; block++ {
		s.data(block, 512, "STORE 512")
	}
	s.data(4, 512, "STORE 512 ACK 4")
	s.data(1, 512, "ACK 4") // the client's window is whole here
	s.data(2, 512, "")
	s.data(3, 512, "")
	s.data(4, 512, "")
	s.data(5, 512, "STORE 512")
	s.data(7, 512, "ACK 5") // 6 is lost: the client goes on with 6..9
	s.data(6, 512, "STORE 512")
	s.data(7, 512, "STORE 512")
	s.data(8, 512, "STORE 512")
	s.data(9, 512, "STORE 512 ACK 9")
}

func TestDoubledEndOfAWindowDoesNotShortenTheNextOne(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=4", "OACK")
	for block := uint64(1); block < 4; block++ {
		s.data(block, 512, "STORE 512")
	}
	s.data(4, 512, "STORE 512 ACK 4")
	s.data(4, 512, "")
	for block := uint64(5); block < 8; block++ {
		s.data(block, 512, "STORE 512")
	}
	s.data(8, 512, "STORE 512 ACK 8")
}

func TestWindowAndGapRepeatedAfterTheTimerAreAnsweredAgain(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=2", "OACK")
	s.data(1, 512, "STORE 512")
	s.data(2, 512, "STORE 512 ACK 2")
	for range 2 {
		s.data(1, 512, "ACK 2")
		s.data(1, 512, "")
		s.data(4, 512, "ACK 2")
		s.data(4, 512, "")
		s.tick("ACK 2")
	}
}

func TestRepeatedWindowIsAcknowledgedWhereTheClientsOneEnds(t *testing.T) {
	s, _ := writing(t, "WRQ f octet windowsize=8", "OACK")
	for block := uint64(1); block <= 5; block++ {
		s.data(block, 512, "STORE 512")
	}
	s.data(7, 512, "ACK 5") // lost: the client sends 1..8 again and not 9..13
	for block := uint64(1); block <= 5; block++ {
		s.data(block, 512, "")
	}
	s.data(6, 512, "STORE 512")
	s.data(7, 512, "STORE 512")
	s.data(8, 512, "STORE 512 ACK 8")
}

func TestUploadedBlockNumbersWrapToZero(t *testing.T) {
	f := func(options string, window uint64) {
		t.Helper()
		const blocks = 2*65536 + 100
		s, w := writing(t, "WRQ f octet blksize=8 "+options, "OACK")
		p := make([]byte, 12)
		for block := uint64(1); block < blocks; block++ {
			packet.AppendData(p[:0], uint16(block))
			do := w.Packet(s.now, p)
			if len(do.Store) != 8 || do.Ack != (block%window == 0) || (do.Ack && do.AckBlock != uint16(block)) {
				t.Fatalf("block %d: %s", block, say(do))
			}
		}
		s.data(blocks, 3, "STORE 3 LAST")
		w.Stored(s.now)
		if out := w.Outcome(); out.Bytes != 8*(blocks-1)+3 || out.LastAcked != blocks || out.Duplicates+out.Strays+out.Gaps != 0 {
			t.Errorf("%+v", out)
		}
	}
	f("", 1)
	f("windowsize=16", 16)
}

func TestUploadLargerThanFourGiBIsCountedWhole(t *testing.T) {
	s, w := writing(t, "WRQ f octet blksize=65464", "OACK")
	p := make([]byte, 4+65464)
	const blocks = 1<<32/65464 + 10
	for block := uint64(1); block <= blocks; block++ {
		packet.AppendData(p[:0], uint16(block))
		if !w.Packet(s.now, p).Ack {
			t.Fatalf("block %d was not acknowledged", block)
		}
	}
	if out := w.Outcome(); out.Bytes != blocks*65464 || out.LastAcked != blocks {
		t.Errorf("%+v", out)
	}
}

func TestUploadShorterThanAnnouncedIsRefused(t *testing.T) {
	s, _ := writing(t, "WRQ f octet tsize=3000", "OACK")
	s.data(1, 512, "STORE 512 ACK 1")
	s.data(2, 188, "ERROR 0 DONE")
	s.ended(Truncated)
	if out := s.m.Outcome(); out.Bytes != 700 {
		t.Errorf("%+v", out)
	}
}

func TestUploadLongerThanAnnouncedIsStoredAndSaid(t *testing.T) {
	s, w := writing(t, "WRQ f octet tsize=3", "OACK")
	s.data(1, 4, "STORE 4 LAST")
	s.expect(w.Stored(s.now), "ACK 1")
	s.tick("DONE")
	s.ended(AnnouncedSize)
}

func TestAnnouncementsThatDoNotCountRefuseNothing(t *testing.T) {
	f := func(text string, octets int) {
		t.Helper()
		s, w := writing(t, text, "OACK")
		s.data(1, octets, "STORE "+strconv.Itoa(octets)+" LAST")
		s.expect(w.Stored(s.now), "ACK 1")
		s.tick("DONE")
		s.ended(Stored)
	}
	f("WRQ f octet tsize=0", 10)
	f("WRQ f octet tsize=10", 10)
	f("WRQ f netascii tsize=10", 9)
	f("WRQ f netascii tsize=10", 11)
}

func TestRefusedUploadGetsAnErrorInPlaceOfTheLastAck(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 1, "STORE 1 LAST")
	s.expect(w.Stop(s.now), "") // the driver is storing: it decides
	s.expect(w.Gone(s.now), "")
	s.expect(w.Refuse(s.now, "disk-full", packet.Error{Code: packet.DiskFull, Text: "disk full"}), "ERROR 3 DONE")
	s.ended("disk-full")
	s.expect(w.Stored(s.now), "DONE")
	s.ended("disk-full")
}

func TestErrorOfTheUploaderEndsAtOnceAndIsNotAnswered(t *testing.T) {
	s, _ := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	s.fails(packet.Undefined, "stop", "DONE")
	s.ended(ClientError)

	s, _ = writing(t, "WRQ f octet blksize=8", "OACK")
	s.fails(packet.OptionRefused, "", "DONE")
	s.ended(ClientError)
}

func TestErrorAfterTheWholeArrivedChangesNothing(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 1, "STORE 1 LAST")
	s.fails(packet.Undefined, "too slow", "")
	s.expect(w.Stored(s.now), "ACK 1")
	s.fails(packet.Undefined, "stop", "DONE")
	s.ended(Stored)
	if out := w.Outcome(); !out.ClientSaid || out.ClientText != "stop" {
		t.Errorf("%+v", out)
	}
}

func TestVanishedUploaderIsDroppedAfterTheGiveUpTime(t *testing.T) {
	s, _ := writing(t, "WRQ f octet", "ACK 0")
	s.after(time.Second).data(1, 512, "STORE 512 ACK 1")
	said := s.silence(ClientSilent)
	if s.now != 61*time.Second || len(said) > 30 {
		t.Errorf("gave up at %v after %d packets", s.now, len(said))
	}
}

func TestStoppedUploadIsToldSoUnlessItIsStored(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.expect(w.Stop(s.now), "ERROR 0 DONE")
	s.ended(Shutdown)

	s, w = writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 1, "STORE 1 LAST")
	s.expect(w.Stored(s.now), "ACK 1")
	s.expect(w.Stop(s.now), "DONE")
	s.ended(Stored)
}

func TestClosedPortOfTheUploaderEndsTheUpload(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 512, "STORE 512 ACK 1")
	s.expect(w.Gone(s.now), "DONE")
	s.ended(ClientGone)

	s, w = writing(t, "WRQ f octet", "ACK 0")
	s.data(1, 1, "STORE 1 LAST")
	s.expect(w.Stored(s.now), "ACK 1")
	s.expect(w.Gone(s.now), "DONE")
	s.ended(Stored)
}

func TestOtherPacketsDoNotDisturbAnUpload(t *testing.T) {
	s, w := writing(t, "WRQ f octet", "ACK 0")
	s.ack(0, "")
	s.ack(1, "")
	for _, p := range []string{"", "\x00\x03\x00", "\x00\x05", "\x00\x02f\x00octet\x00", "\x00\x06", "\x01\x03\x00\x01"} {
		s.expect(w.Packet(s.now, []byte(p)), "")
	}
	s.data(1, 1, "STORE 1 LAST")
	if out := w.Outcome(); out.Strays != 8 {
		t.Errorf("%+v", out)
	}
}
