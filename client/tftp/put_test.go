package tftp

import (
	"errors"
	"fmt"
	"testing"
	"testing/iotest"
)

func TestPutWithoutOptionsGoesBlockByBlock(t *testing.T) {
	p := newPutter(plainRequest(), reader(1024), 1024)
	d := begin(t, p, "WRQ f octet")
	d.hears("ACK 0", "DATA 1 x512")
	d.hears("ACK 1", "DATA 2 x512")
	d.hears("ACK 2", "DATA 3 x0")
	d.ends("still runs")
	d.hears("ACK 3")
	d.ends("complete final-ack")
	if p.wire != 1024 {
		t.Errorf("%d bytes", p.wire)
	}
}

func TestPutOfAnEmptyFileSendsOneEmptyBlock(t *testing.T) {
	d := begin(t, newPutter(plainRequest(), reader(0), 0), "WRQ f octet")
	d.hears("ACK 0", "DATA 1 x0")
	d.hears("ACK 1")
	d.ends("complete final-ack")
}

func TestPutAnnouncesASizeOnlyWhereOneIsKnown(t *testing.T) {
	begin(t, newPutter(richRequest(512, 1), reader(9), 9), "WRQ f octet tsize 9")
	begin(t, newPutter(richRequest(512, 1), reader(0), 0), "WRQ f octet tsize 0")
	begin(t, newPutter(richRequest(512, 1), reader(9), -1), "WRQ f octet")
	r := richRequest(512, 1)
	r.Mode = Netascii
	begin(t, newPutter(r, reader(9), 9), "WRQ f netascii")
}

func TestPutFillsTheWindow(t *testing.T) {
	p := newPutter(richRequest(8, 3), reader(36), 36)
	d := begin(t, p, "WRQ f octet tsize 36 blksize 8 windowsize 3")
	d.hears("OACK tsize=36 blksize=8 windowsize=3", "DATA 1 x8", "DATA 2 x8", "DATA 3 x8")
	d.hears("OACK tsize=36 blksize=8 windowsize=3")
	d.hears("ACK 3", "DATA 4 x8", "DATA 5 x4")
	d.hears("ACK 5")
	d.ends("complete final-ack")
	if p.retransmits != 0 || p.duplicates != 1 {
		t.Errorf("%+v", p.session)
	}
}

func TestPutResumesBehindTheLastBlockThatArrived(t *testing.T) {
	p := newPutter(richRequest(8, 4), reader(100), 100)
	d := begin(t, p, "WRQ f octet tsize 100 blksize 8 windowsize 4")
	d.hears("OACK blksize=8 windowsize=4", "DATA 1 x8", "DATA 2 x8", "DATA 3 x8", "DATA 4 x8")
	d.hears("ACK 2", "DATA 3 x8", "DATA 4 x8", "DATA 5 x8", "DATA 6 x8")
	if p.retransmits != 2 || p.wire != 16 {
		t.Errorf("%d retransmits, %d bytes", p.retransmits, p.wire)
	}
}

func TestRepeatedOrStrangeAckSendsNothing(t *testing.T) {
	d := begin(t, newPutter(plainRequest(), reader(2000), 2000), "WRQ f octet")
	d.hears("ACK 7")
	d.hears("ACK 0", "DATA 1 x512")
	d.hears("ACK 0")
	d.hears("ACK 2")
	d.hears("ACK 1", "DATA 2 x512")
	d.hears("ACK 1")
	d.hears("ACK 0")
	d.hears("DATA 1 x8")
	d.hears("ACK 2", "DATA 3 x512")
}

func TestPutRepeatsWhatIsNotAcknowledged(t *testing.T) {
	p := newPutter(richRequest(8, 2), reader(100), 100)
	d := begin(t, p, "WRQ f octet tsize 100 blksize 8 windowsize 2")
	d.waits("WRQ f octet tsize 100 blksize 8 windowsize 2")
	d.hears("OACK blksize=8 windowsize=2", "DATA 1 x8", "DATA 2 x8")
	d.waits("DATA 1 x8", "DATA 2 x8")
	d.waits("DATA 1 x8", "DATA 2 x8")
	d.hears("ACK 2", "DATA 3 x8", "DATA 4 x8")
	if p.timer.smooth != 0 {
		t.Errorf("a repeated packet gave a round trip of %s (Karn's rule)", p.timer.smooth)
	}
	if p.retransmits != 5 {
		t.Errorf("%d retransmits", p.retransmits)
	}
}

func TestRefusedPutSaysWhy(t *testing.T) {
	f := func(server, want string) {
		t.Helper()
		d := begin(t, newPutter(plainRequest(), reader(1), 1), "WRQ f octet")
		d.hears(server)
		d.ends(want)
	}
	f("ERROR 2 ", "refused not-writable")
	f("ERROR 3 ", "refused disk-full")
	f("ERROR 6 ", "refused exists")
}

func TestFullDiskInMidUploadIsNamed(t *testing.T) {
	d := begin(t, newPutter(plainRequest(), reader(2000), 2000), "WRQ f octet")
	d.hears("ACK 0", "DATA 1 x512")
	d.hears("ERROR 3 full")
	d.ends("failed disk-full")
}

func TestUnreadableContentEndsTheUpload(t *testing.T) {
	d := begin(t, newPutter(plainRequest(), iotest.ErrReader(errors.New("broken")), -1), "WRQ f octet")
	d.hears("ACK 0", "ERROR 0 cannot read the file")
	d.ends("failed io-error")
}

func TestPutCountsBlocksOverTheirEnd(t *testing.T) {
	const blocks = 70000
	p := newPutter(richRequest(8, 64), reader(blocks*8+3), -1)
	d := begin(t, p, "WRQ f octet blksize 8 windowsize 64")
	d.m.receive(d.now, packet{op: opOACK, options: []option{{"blksize", "8"}, {"windowsize", "64"}}})
	for n := 0; p.ended == nil; {
		sent := len(p.out)
		p.out = nil
		if sent == 0 {
			t.Fatalf("nothing is sent after block %d", n)
		}
		n += sent
		d.m.receive(d.now, packet{op: opACK, block: uint16(n)})
	}
	d.ends("complete final-ack")
	if p.wire != blocks*8+3 {
		t.Error(fmt.Sprint(p.wire, " bytes"))
	}
}
