package tftp

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"tallyman"
)

func TestReadIsWholeWhenItsLastBlockIsAcknowledged(t *testing.T) {
	text := full(1000)
	k := newTalk(t).packet(client, server, rrq("a", "octet")).read(text, tid)
	k.ends("closed final-ack 1000")
	e := k.last()
	if e.Digest != sha(text) || e.Self.String() != tid || e.Peer.String() != client || e.Name != "a" || e.Op != tallyman.OpGet {
		t.Errorf("%+v", e)
	}
	if k.got[0].Self.String() != server || k.got[1].Kind != tallyman.KindOpened {
		t.Errorf("%+v", k.got[:2])
	}
}

func TestLastBlockWithoutItsAcknowledgementProvesNothing(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, "short")).wait(70 * time.Second)
	k.ends("closed delivered-unconfirmed 0")
	k.details(`"packets":2`) // and the last of them is long before the end
	if d := k.last().Details; !strings.Contains(d, `"last_packet":"`) || strings.Contains(d, k.last().Time.Format("15:04:05")) {
		t.Errorf("ended at %s: %s", k.last().Time, d)
	}
	k = newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, "short")).unreachable(tid, client).wait(5 * time.Second)
	k.ends("closed delivered-unconfirmed 0")
}

func TestExactMultipleAndEmptyFilesEndWithAnEmptyBlock(t *testing.T) {
	newTalk(t).packet(client, server, rrq("a", "octet")).read(full(1024), tid).ends("closed final-ack 1024")
	k := newTalk(t).packet(client, server, rrq("a", "octet")).read("", tid)
	k.ends("closed final-ack 0")
	if k.last().Digest != sha("") {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestOptionsCountOnlyFromTheOACK(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "8", "tsize", "0")).packet(tid, client, oack("blksize", "16"))
	k.packet(client, tid, ack(0)).packet(tid, client, data(1, full(16))).packet(client, tid, ack(1)).packet(tid, client, data(2, full(8))).packet(client, tid, ack(2))
	k.ends("closed final-ack 24")
	k.details(`"granted":{"blksize":"16"}`, `"blksize":16`)
	// Asked for and not granted: blocks are of 512 bytes, and one of 8 is the last.
	k = newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "8")).packet(tid, client, data(1, full(8))).packet(client, tid, ack(1))
	k.ends("closed final-ack 8")
}

func TestBlockSizeThatWasMissedMakesNothingWhole(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "1428")).packet(tid, client, data(1, full(1428))).packet(client, tid, ack(1))
	k.packet(tid, client, data(2, full(3))).packet(client, tid, ack(2))
	k.ends("closed gap 1431")
	if k.last().Digest != "" {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestBlocksThatComeTwiceAreCountedOnce(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet"))
	k.packet(tid, client, data(1, full(512))).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1)).packet(client, tid, ack(1))
	k.packet(tid, client, data(2, "z")).packet(tid, client, data(2, "z")).packet(client, tid, ack(2))
	k.ends("closed final-ack 513")
	k.details(`"duplicates":2`, `"retransmits":2`, `"packets":8`)
	if k.last().Digest != sha(full(512)+"z") {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestRepeatedRequestIsOneTransferAndTheClientChoosesTheServersPort(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(client, server, rrq("a", "octet"))
	k.packet(tid, client, data(1, "first")).packet(other, client, data(1, "again")).packet(client, other, ack(1))
	k.ends("closed final-ack 5")
	k.details(`"requests":2`, `"tids":2`)
	if k.last().Self.String() != other || k.last().Digest != sha("again") {
		t.Errorf("%+v", k.last())
	}
	k.packet(tid, client, data(1, "first")).wait(100 * time.Second).ends("closed final-ack 5")
}

func TestErrorToTheSecondPortLeavesTheTransferAlone(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(client, server, rrq("a", "octet"))
	k.packet(tid, client, data(1, full(512))).packet(client, tid, ack(1)).packet(other, client, data(1, full(512)))
	k.packet(client, other, failure(5, "Unknown transfer ID")).packet(tid, client, data(2, "")).packet(client, tid, ack(2))
	k.ends("closed final-ack 512")
}

// The client got no acknowledgement of the last block, and sends it again: the upload is whole, and the client may not know (RFC 1350, section 6).
func TestLastBlockAgainBehindItsAcknowledgementIsNoted(t *testing.T) {
	k := newTalk(t).packet(client, server, wrq("a", "octet")).packet(tid, client, ack(0)).packet(client, tid, data(1, full(512))).packet(tid, client, ack(1))
	k.packet(client, tid, data(2, "z")).packet(client, tid, data(2, "z")).packet(tid, client, ack(2)).ends("closed final-ack 513")
	told := len(k.got)
	k.packet(client, tid, data(1, full(512))) // an old one says nothing
	k.packet(client, tid, data(2, "z")).packet(tid, client, ack(2)).packet(client, tid, data(2, "z")).ends("closed final-ack 513")
	if e := k.last(); len(k.got) != told+1 || e.Kind != tallyman.KindProgress || e.Moved != 513 {
		t.Errorf("told %+v", k.got[told:])
	}
	k.details(`"note":"client-may-retry"`, `"duplicates":1`)
	newTalk(t).packet(client, server, rrq("a", "octet")).read("x", tid).packet(tid, client, data(1, "x")).ends("closed final-ack 1")
}

func TestEchoOfARequestThatWasServedIsNoTransfer(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).read("x", tid).packet(client, server, rrq("a", "octet"))
	k.packet(other, client, data(1, "x")).wait(100 * time.Second).ends("closed final-ack 1")
	// The same file fetched again is one.
	k = newTalk(t).packet(client, server, rrq("a", "octet")).read("x", tid).packet(client, server, rrq("a", "octet")).read("x", other)
	k.ends("closed final-ack 1", "closed final-ack 1")
}

func TestWritesAreWholeWhenTheServerAcknowledgedTheLastBlock(t *testing.T) {
	k := newTalk(t).packet(client, server, wrq("a", "octet", "tsize", "513")).packet(tid, client, oack("tsize", "513"))
	k.packet(client, tid, data(1, full(512))).packet(tid, client, ack(1)).packet(client, tid, data(2, "z"))
	k.ends()
	k.packet(tid, client, ack(2)).ends("closed final-ack 513")
	if e := k.last(); e.Expected != 513 || e.Op != tallyman.OpPut || e.Digest != sha(full(512)+"z") {
		t.Errorf("%+v", e)
	}
	k = newTalk(t).packet(client, server, wrq("a", "netascii", "tsize", "9")).packet(tid, client, ack(0)).packet(client, tid, data(1, "a\r\n"))
	k.packet(tid, client, ack(1)).ends("closed final-ack 2")
	if e := k.last(); e.Expected != -1 {
		t.Errorf("the size of a text on the wire is not that of the file: %d", e.Expected)
	}
}

func TestNetasciiIsHashedAsItStandsOnTheDisk(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "NetASCII")).packet(tid, client, data(1, full(511)+"\r")).packet(client, tid, ack(1))
	k.packet(tid, client, data(2, "\nb\r\x00c\r")).packet(client, tid, ack(2))
	k.ends(fmt.Sprintf("closed final-ack %d", 511+1+1+1+1+1))
	if k.last().Digest != sha(full(511)+"\nb\rc\r") {
		t.Errorf("digest %s", k.last().Digest)
	}
	k.details(`"wire_bytes":518`, `"wire_sha256":"`+string(sha(full(511) + "\r\nb\r\x00c\r"))[7:])
}

func TestRefusalsKeepTheServersWords(t *testing.T) {
	f := func(request []byte, code uint16, text string, want tallyman.Reason) {
		t.Helper()
		k := newTalk(t).packet(client, server, request).packet(tid, client, failure(code, text))
		k.ends(fmt.Sprintf("refusal %s -1", want))
		if k.last().Err != text || !tallyman.Legal(tallyman.Refused, k.last().Reason) {
			t.Errorf("%+v", k.last())
		}
	}
	f(rrq("a", "octet"), 1, "File not found", tallyman.NotFound)
	f(rrq("a", "octet"), 2, "File must have global read permissions", tallyman.NotReadable)
	f(wrq("a", "octet"), 2, "Access violation", tallyman.NotWritable)
	f(wrq("a", "octet"), 0, "Permission denied", tallyman.NotWritable)
	f(rrq("a", "octet"), 0, "Is a directory", tallyman.NotReadable)
	f(wrq("a", "octet"), 3, "", tallyman.DiskFull)
	f(rrq("a", "mail"), 4, "Unknown mode", tallyman.BadRequest)
	f(wrq("a", "octet"), 6, "exists", tallyman.Exists)
	f(rrq("a", "octet"), 8, "", tallyman.BadRequest)
	f(rrq("a", "octet"), 0, "go away", tallyman.Policy)
	f(ask(opRRQ, "no mode"), 4, "Missing mode", tallyman.BadRequest)
}

func TestErrorsInMidTransferNameTheirSender(t *testing.T) {
	begun := func() *talk {
		return newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1))
	}
	k := begun().packet(client, tid, failure(3, "disk full"))
	k.ends("closed client-error 512")
	k.details(`"client_code":3`)
	begun().packet(tid, client, failure(0, "read error")).ends("closed server-error 512")
	k = newTalk(t).packet(client, server, wrq("a", "octet", "tsize", "9")).packet(tid, client, ack(0)).packet(client, tid, data(1, "123"))
	k.packet(tid, client, failure(0, "fewer bytes")).ends("closed truncated 0")
}

func TestErrorInPlaceOfTheFirstAcknowledgementIsAProbe(t *testing.T) {
	f := func(request []byte, code uint16, want string) {
		t.Helper()
		newTalk(t).packet(client, server, request).packet(tid, client, oack("tsize", "9")).packet(client, tid, failure(code, "TFTP Aborted")).ends(want)
	}
	f(rrq("a", "octet", "tsize", "0"), 8, "closed size-probe 0")
	f(rrq("a", "octet", "tsize", "0"), 0, "closed size-probe 0")
	f(rrq("a", "octet", "tsize", "0"), 3, "closed client-error 0")
	f(wrq("a", "octet", "tsize", "9"), 8, "closed client-error 0")
	// A firmware that says nothing and asks for the content next.
	k := newTalk(t).packet(client, server, rrq("a", "octet", "tsize", "0")).packet(tid, client, oack("tsize", "1"))
	k.packet(client, server, rrq("a", "octet", "blksize", "1468")).packet(other, client, oack("blksize", "1468")).packet(client, other, ack(0))
	k.packet(other, client, data(1, "x")).packet(client, other, ack(1)).ends("closed size-probe 0", "closed final-ack 1")
}

func TestWhoeverFallsSilentIsNamed(t *testing.T) {
	stall := 70 * time.Second
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1)).packet(tid, client, data(2, full(512)))
	k.wait(stall).ends("closed client-silent 512")
	k = newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1))
	k.wait(stall).ends("closed timeout 512")
	newTalk(t).packet(client, server, wrq("a", "octet")).packet(tid, client, ack(0)).wait(stall).ends("closed client-silent 0")
	newTalk(t).packet(client, server, wrq("a", "octet")).wait(stall).ends("closed timeout 0")
	newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).unreachable(tid, client).wait(3 * time.Second).ends("closed client-gone 0")
	newTalk(t).packet(client, server, rrq("a", "octet")).unreachable(client, server).ends("closed server-gone 0")
}

func TestSilenceWhilePacketsWereLostIsAGap(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512)))
	k.table.Blind()
	k.wait(70 * time.Second).ends("closed gap 0")
	k = newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, "x"))
	k.table.Blind()
	k.packet(client, tid, ack(1)).ends("closed final-ack 1")
}

func TestStrangersAndMisfitsDoNotDisturb(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1))
	k.packet("10.9.9.9:5", client, data(2, "forged")).packet("10.0.0.1:7", client, failure(0, "forged")).packet(client, "10.9.9.9:5", failure(5, "?"))
	k.packet(tid, client, ack(9)).packet(client, tid, data(2, "?")).packet(client, tid, ack(700)).packet(tid, client, data(3000, "?"))
	k.packet(tid, client, data(2, full(600))).packet(tid, client, []byte{0, 9, 0, 0})
	k.packet(tid, client, data(2, "z")).packet(client, tid, ack(2))
	k.ends("closed final-ack 513")
	k.details(`"strays":`)
}

func TestBlockNumbersWrapToZeroOrToOne(t *testing.T) {
	f := func(after uint16, window string) {
		t.Helper()
		k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "8", "windowsize", window)).packet(tid, client, oack("blksize", "8", "windowsize", window))
		k.packet(client, tid, ack(0))
		n, sent := uint16(1), 0
		next := func() {
			if n++; n == 0 {
				n = after
			}
		}
		var text []byte
		for sent < 140000 {
			piece := binary.BigEndian.AppendUint64(nil, uint64(sent))
			text = append(text, piece...)
			k.packet(tid, client, data(n, string(piece))).packet(client, tid, ack(n))
			next()
			sent++
		}
		k.packet(tid, client, data(n, "end")).packet(client, tid, ack(n))
		k.ends("closed final-ack 1120003")
		if k.last().Digest != sha(string(text)+"end") {
			t.Errorf("wrap to %d in a window of %s: another digest", after, window)
		}
	}
	f(0, "1")
	f(1, "1")
	f(0, "4")
	f(1, "4")
}

func TestBurstsThatTheKernelHasNotCutAreCut(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "8", "windowsize", "4")).packet(tid, client, oack("blksize", "8", "windowsize", "4"))
	k.packet(client, tid, ack(0)).packet(tid, client, burst(data(1, "12345678"), data(2, "abcdefgh"), data(3, "ABCDEFGH"), data(4, "!")))
	k.packet(client, tid, ack(4)).ends("closed final-ack 25")
	if k.last().Digest != sha("12345678abcdefghABCDEFGH!") {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestLostWindowIsSentAgain(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet", "blksize", "8", "windowsize", "4")).packet(tid, client, oack("blksize", "8", "windowsize", "4"))
	k.packet(client, tid, ack(0))
	for _, n := range []uint16{1, 3, 4} { // 2 was lost before it came here
		k.packet(tid, client, data(n, fmt.Sprintf("block %02d", n)))
	}
	k.packet(client, tid, ack(1))
	for _, n := range []uint16{2, 3, 4} {
		k.packet(tid, client, data(n, fmt.Sprintf("block %02d", n)))
	}
	k.packet(client, tid, ack(4)).packet(tid, client, data(5, "")).packet(client, tid, ack(5))
	k.ends("closed final-ack 32")
	k.details(`"duplicates":2`)
	if k.last().Digest != sha("block 01block 02block 03block 04") {
		t.Errorf("digest %s", k.last().Digest)
	}
}

func TestBlockThatWasAcknowledgedAndNeverSeenLeavesNoDigest(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1)).packet(client, tid, ack(2))
	k.packet(tid, client, data(3, "z")).packet(client, tid, ack(3))
	k.ends("closed final-ack 1025")
	k.details(`"missing_bytes":512`)
	if k.last().Digest != "" {
		t.Errorf("digest %s", k.last().Digest)
	}
}

// A server answers whoever asks, and tftpd-hpa waits a minute for each: a flood of forged addresses fills the table with transfers that go nowhere.
func TestFloodOfAnsweredRequestsDrivesNoRealTransferOut(t *testing.T) {
	k := newTalk(t, func(c *Config) { c.Transfers = 100 })
	k.packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1))
	for i := range 3000 {
		forged := fmt.Sprintf("10.1.%d.%d:5", i>>8, i&255)
		k.packet(forged, server, rrq("x", "octet")).packet(fmt.Sprintf("10.0.0.1:%d", 1024+i), forged, data(1, full(512)))
	}
	k.packet(tid, client, data(2, "")).packet(client, tid, ack(2))
	if e := k.last(); e.Reason != tallyman.FinalAck || e.Moved != 512 {
		t.Errorf("the real one: %+v", e)
	}
	if k.table.Open() > 100 || len(k.table.clients) > 202 || k.table.Counts.Dropped < 2900 {
		t.Errorf("%d open, %d clients, %d dropped", k.table.Open(), len(k.table.clients), k.table.Counts.Dropped)
	}
	k.table.End(k.now)
	if n := len(k.got); n > 4*3002 {
		t.Errorf("%d evidence", n)
	}
}

func TestServerOfOnePortServesOneClientTwice(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).read("1", server).packet(client, server, rrq("b", "octet")).read("22", server)
	k.ends("closed final-ack 1", "closed final-ack 2")
}

func TestFloodOfRequestsIsBoundedAndRealTransfersAreJudged(t *testing.T) {
	k := newTalk(t, func(c *Config) { c.Transfers = 100 })
	k.packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512)))
	for i := range 5000 {
		k.packet(fmt.Sprintf("10.1.%d.%d:5", i>>8, i&255), server, rrq("x", "octet"))
	}
	k.packet(client, tid, ack(1)).packet(tid, client, data(2, "")).packet(client, tid, ack(2))
	k.ends("closed final-ack 512")
	if k.table.Open() > 100 || len(k.table.clients) > 202 || k.table.Counts.Dropped < 4800 {
		t.Errorf("%d open, %d clients, %d dropped", k.table.Open(), len(k.table.clients), k.table.Counts.Dropped)
	}
	k.wait(200 * time.Second)
	if len(k.table.clients) != 0 || len(k.table.open) != 0 || k.table.Open() != 0 {
		t.Errorf("%d clients are not forgotten", len(k.table.clients))
	}
}

func TestEndOfTheCaptureProvesNothing(t *testing.T) {
	k := newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, full(512))).packet(client, tid, ack(1))
	k.table.End(k.now)
	k.ends("closed gap 512")
	k = newTalk(t).packet(client, server, rrq("a", "octet")).packet(tid, client, data(1, "z"))
	k.table.End(k.now)
	k.ends("closed delivered-unconfirmed 0")
}

// FuzzTable: whatever packets come in whatever order, each request ends at most once, the evidence is bounded by the packets, and final-ack stands only
// behind a short DATA of one side and its ACK from the other.
func FuzzTable(f *testing.F) {
	f.Add([]byte{0, 3, 8, 4, 9})
	f.Add([]byte{1, 2, 10, 5, 11, 5, 20, 6})
	f.Add([]byte{0, 1, 7, 3, 3, 4, 13, 17, 18})
	parts := [][]byte{
		rrq("a", "octet"), wrq("a", "octet"), rrq("a", "netascii", "blksize", "8"), data(1, "x"), data(1, full(512)), data(2, "y"), ack(0), ack(1), ack(2),
		oack("blksize", "8"), oack("blksize", "8", "windowsize", "4"), data(1, "12345678"), data(2, "12345678"), failure(0, ""), failure(5, ""), failure(8, "no"),
		burst(data(1, "12345678"), data(2, "12345678")), data(65535, "x"), ack(65535), data(0, "x"),
		{0, 3},
		{},
		rrq("b", "octet"),
	}
	ways := [][2]string{{client, server}, {tid, client}, {client, tid}, {other, client}, {client, other}, {server, client}, {"10.9.9.9:1", client}}
	f.Fuzz(func(t *testing.T, script []byte) {
		script = script[:min(len(script), 400)]
		k := newTalk(t)
		shorts, acks := 0, 0
		for i := 0; i+1 < len(script); i += 2 {
			way, part := ways[int(script[i])%len(ways)], parts[int(script[i+1])%len(parts)]
			switch {
			case script[i] > 250:
				k.wait(70 * time.Second)
			case script[i] > 245:
				k.unreachable(way[0], way[1])
			default:
				if len(part) > 3 && part[1] == opDATA && len(part) < 516 {
					shorts++
				}
				if len(part) > 3 && part[1] == opACK {
					acks++
				}
				k.packet(way[0], way[1], part)
			}
		}
		k.table.End(k.now)
		finals, requests := 0, 0
		for _, e := range k.got {
			switch {
			case e.Kind == tallyman.KindRequest:
				requests++
			case e.Reason == tallyman.FinalAck:
				finals++
			}
			if e.Reason != "" && e.Kind == tallyman.KindRefusal && !tallyman.Legal(tallyman.Refused, e.Reason) {
				t.Fatalf("refused for %s", e.Reason)
			}
		}
		if finals > min(shorts, acks) || requests > len(script)/2 || len(k.got) > 3*len(script) {
			t.Fatalf("%d final-ack of %d short blocks and %d acknowledgements; %d requests and %d evidence of %d packets", finals, shorts, acks, requests, len(k.got), len(script)/2)
		}
		if k.table.Open() != 0 {
			t.Fatalf("%d transfers are open at the end", k.table.Open())
		}
	})
}

// FuzzParse: what is accepted is no longer than what came, and a burst is cut into pieces that add up.
func FuzzParse(f *testing.F) {
	f.Add(rrq("a", "octet", "blksize", "512"))
	f.Add(data(1, "abc"))
	f.Add(burst(data(1, "12345678"), data(2, "abc")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := parseRequest(b); ok && (len(r.name) > len(b) || len(r.name) > mostName || len(r.asked) > mostOptions) {
			t.Fatalf("%d bytes gave a request of %d, %d options", len(b), len(r.name), len(r.asked))
		}
		l := &lane{block: 8}
		sum, n := 0, 0
		l.pieces(b, len(b), func(p packet) { sum, n = sum+p.length+4, n+1 })
		if n > 1 && sum != len(b) {
			t.Fatalf("%d pieces hold %d of %d bytes", n, sum, len(b))
		}
	})
}
