package tftp

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

func TestGetWithoutOptionsGoesBlockByBlock(t *testing.T) {
	var to bytes.Buffer
	d := begin(t, newGetter(plainRequest(), &to), "RRQ f octet")
	d.hears("DATA 1 x512", "ACK 1")
	d.hears("DATA 2 x512", "ACK 2")
	d.hears("DATA 3 x0", "ACK 3")
	d.ends("complete final-ack")
	if to.Len() != 1024 {
		t.Errorf("%d bytes", to.Len())
	}
}

func TestGetAgreesOptionsBeforeContent(t *testing.T) {
	var to bytes.Buffer
	g := newGetter(richRequest(8, 3), &to)
	d := begin(t, g, "RRQ f octet tsize 0 blksize 8 windowsize 3")
	d.hears("OACK TSIZE=28 blkSize=8 windowsize=3", "ACK 0")
	d.hears("OACK tsize=28 blksize=8 windowsize=3", "ACK 0")
	d.hears("DATA 1 x8")
	d.hears("OACK tsize=28 blksize=8 windowsize=3")
	d.hears("DATA 2 x8")
	d.hears("DATA 3 x8", "ACK 3")
	d.hears("DATA 4 x4", "ACK 4")
	d.ends("complete final-ack")
	if g.granted.Size != 28 || g.wire != 28 || g.duplicates != 1 {
		t.Errorf("%+v", g.session)
	}
}

func TestGetTakesDataFromAServerThatKnowsNoOptions(t *testing.T) {
	d := begin(t, newGetter(richRequest(1428, 4), &bytes.Buffer{}), "RRQ f octet tsize 0 blksize 1428 windowsize 4")
	d.hears("DATA 1 x512", "ACK 1")
	d.hears("DATA 2 x1", "ACK 2")
	d.ends("complete final-ack")
}

func TestGetReportsAGapOnceAndGoesOnBehindIt(t *testing.T) {
	g := newGetter(richRequest(8, 4), &bytes.Buffer{})
	d := begin(t, g, "RRQ f octet tsize 0 blksize 8 windowsize 4")
	d.hears("OACK blksize=8 windowsize=4", "ACK 0")
	d.hears("DATA 2 x8", "ACK 0")
	d.hears("DATA 3 x8")
	d.hears("DATA 1 x8")
	d.hears("DATA 2 x8")
	d.hears("DATA 4 x8", "ACK 2")
	d.hears("DATA 3 x8")
	d.hears("DATA 4 x8")
	d.hears("DATA 5 x8")
	d.hears("DATA 6 x8", "ACK 6")
	if g.wire != 48 {
		t.Errorf("%d bytes were taken", g.wire)
	}
}

func TestGetAcknowledgesARepeatedBlockAndStoresItOnce(t *testing.T) {
	var to bytes.Buffer
	g := newGetter(plainRequest(), &to)
	d := begin(t, g, "RRQ f octet")
	d.hears("DATA 1 x512", "ACK 1")
	d.hears("DATA 1 x512", "ACK 1")
	d.hears("DATA 2 x3", "ACK 2")
	d.hears("DATA 2 x3", "ACK 2")
	d.hears("DATA 1 x512")
	if to.Len() != 515 || g.duplicates != 1 {
		t.Errorf("%d bytes, %d duplicates", to.Len(), g.duplicates)
	}
}

func TestGetRepeatsWithGrowingWaitsAndGivesUp(t *testing.T) {
	g := newGetter(plainRequest(), &bytes.Buffer{})
	d := begin(t, g, "RRQ f octet")
	start := d.now
	var at []time.Duration
	for g.ended == nil {
		d.now = g.until
		at = append(at, d.now.Sub(start))
		g.tick(d.now)
		g.out = nil
	}
	d.ends("failed timeout")
	if fmt.Sprint(at) != "[1s 3s 7s 11s 15s 19s 23s 27s 30s]" || g.retransmits != 8 {
		t.Errorf("%v, %d retransmits", at, g.retransmits)
	}
}

func TestGetRepeatsTheLastAckAfterTheRoundTripThatWasSeen(t *testing.T) {
	g := newGetter(plainRequest(), &bytes.Buffer{})
	d := begin(t, g, "RRQ f octet")
	d.hears("DATA 1 x512", "ACK 1")
	before := d.now
	d.waits("ACK 1")
	if wait := d.now.Sub(before); wait != leastWait {
		t.Errorf("waited %s", wait)
	}
	for g.ended == nil {
		d.now = g.until
		g.tick(d.now)
	}
	d.ends("failed server-gone")
	if last := decode(g.out[len(g.out)-1]); last != "ERROR 0 timed out" {
		t.Errorf("the server was told %s", last)
	}
}

func TestGrantedTimeoutIsObeyed(t *testing.T) {
	r := plainRequest()
	r.Plain, r.Timeout, r.BlockSize, r.Window = false, 3*time.Second, 512, 1
	g := newGetter(r, &bytes.Buffer{})
	d := begin(t, g, "RRQ f octet tsize 0 timeout 3")
	d.hears("OACK timeout=3", "ACK 0")
	for range 3 {
		before := d.now
		d.waits("ACK 0")
		if wait := d.now.Sub(before); wait != 3*time.Second {
			t.Errorf("waited %s", wait)
		}
	}
}

func TestGetOfARefusedFileSaysWhy(t *testing.T) {
	f := func(server, want, why string) {
		t.Helper()
		g := newGetter(plainRequest(), &bytes.Buffer{})
		d := begin(t, g, "RRQ f octet")
		d.hears(server)
		d.ends(want)
		if g.ended.text != why {
			t.Errorf("%s: %q", server, g.ended.text)
		}
	}
	f("ERROR 0 no", "refused policy", "the server says ERROR 0: no")
	f("ERROR 1 ", "refused not-found", "the server says ERROR 1: file not found")
	f("ERROR 2 \x1b[2J", "refused not-readable", `the server says ERROR 2: \x1b[2J`)
	f("ERROR 3 x", "refused disk-full", "the server says ERROR 3: x")
	f("ERROR 4 x", "refused bad-request", "the server says ERROR 4: x")
	f("ERROR 6 x", "refused exists", "the server says ERROR 6: x")
	f("ERROR 7 x", "refused not-allowed", "the server says ERROR 7: x")
	f("ERROR 99 ", "refused policy", "the server says ERROR 99")
}

func TestErrorInMidTransferIsAFailureAndIsNotAnswered(t *testing.T) {
	d := begin(t, newGetter(plainRequest(), &bytes.Buffer{}), "RRQ f octet")
	d.hears("DATA 1 x512", "ACK 1")
	d.hears("ERROR 0 gone")
	d.ends("failed server-error")
}

func TestOptionsThatWereNotAskedForAreRefused(t *testing.T) {
	f := func(oack string) {
		t.Helper()
		g := newGetter(richRequest(1024, 4), &bytes.Buffer{})
		d := begin(t, g, "RRQ f octet tsize 0 blksize 1024 windowsize 4")
		d.hears(oack, "ERROR 8 option refused")
		d.ends("failed server-error")
		if !g.ended.plainer {
			t.Errorf("%s: the server is not asked again", oack)
		}
	}
	f("OACK blksize=1025")
	f("OACK blksize=7")
	f("OACK blksize=abc")
	f("OACK blksize=512 blksize=1024")
	f("OACK windowsize=0")
	f("OACK windowsize=5")
	f("OACK timeout=1")
	f("OACK tsize=-1")
	f("OACK multicast=1")
}

func TestRefusedOptionsLeadToAPlainRequest(t *testing.T) {
	g := newGetter(richRequest(1024, 4), &bytes.Buffer{})
	d := begin(t, g, "RRQ f octet tsize 0 blksize 1024 windowsize 4")
	d.hears("ERROR 8 none please")
	if d.ends("refused bad-request"); !g.ended.plainer {
		t.Error("the server is not asked again")
	}
	g = newGetter(plainRequest(), &bytes.Buffer{})
	d = begin(t, g, "RRQ f octet")
	d.hears("ERROR 8 none please")
	if g.ended.plainer {
		t.Error("a plain request is asked again")
	}
}

func TestBlockLargerThanAgreedIsRefused(t *testing.T) {
	d := begin(t, newGetter(plainRequest(), &bytes.Buffer{}), "RRQ f octet")
	d.hears("DATA 1 x513", "ERROR 4 block too large")
	d.ends("failed server-error")
}

func TestGetFollowsBlockNumbersOverTheirEnd(t *testing.T) {
	f := func(after uint16) {
		t.Helper()
		g := newGetter(Request{Host: "h", Name: "f", BlockSize: 8, Window: 1}.filled(), &bytes.Buffer{})
		d := begin(t, g, "RRQ f octet tsize 0 blksize 8")
		d.hears("OACK blksize=8", "ACK 0")
		n, payload := uint16(1), make([]byte, 8)
		for range 140000 {
			for range 2 {
				g.receive(d.now, packet{op: opDATA, block: n, payload: payload})
				if len(g.out) != 1 || !bytes.Equal(g.out[0], ack(n)) {
					t.Fatalf("wrap to %d: block %d was answered with %q", after, n, g.out)
				}
				g.out = nil
			}
			if n++; n == 0 {
				n = after
			}
		}
		d.hears(fmt.Sprintf("DATA %d x1", n), fmt.Sprintf("ACK %d", n))
		d.ends("complete final-ack")
		if g.wire != 140000*8+1 {
			t.Errorf("wrap to %d: %d bytes", after, g.wire)
		}
	}
	f(0)
	f(1)
}

type fullDisk struct{ err error }

func (f fullDisk) Write([]byte) (int, error) { return 0, f.err }

func TestGetTellsTheServerThatTheContentCannotBeStored(t *testing.T) {
	d := begin(t, newGetter(plainRequest(), fullDisk{fmt.Errorf("write f: %w", syscall.ENOSPC)}), "RRQ f octet")
	d.hears("DATA 1 x512", "ERROR 3 cannot store the file")
	d.ends("failed disk-full")
	d = begin(t, newGetter(plainRequest(), fullDisk{errors.New("broken")}), "RRQ f octet")
	d.hears("DATA 1 x512", "ERROR 0 cannot store the file")
	d.ends("failed io-error")
}
