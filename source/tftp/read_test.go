package tftp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/tftp/packet"
)

func TestEveryReadBringsTheSameBytes(t *testing.T) {
	r := serve(t)
	reads := func(size int, options ...string) {
		t.Helper()
		want := r.put(t, "file", size)
		if got := r.client(t).get("file", "octet", options...); !bytes.Equal(got, want) {
			t.Errorf("%d bytes with %q came as %d others", size, options, len(got))
		}
	}
	for _, size := range []int{0, 1, 511, 512, 513, 1024, 100_000} {
		reads(size)
		reads(size, "blksize", "8", "windowsize", "16")
		reads(size, "blksize", "1428", "windowsize", "64")
	}
	reads(1000, "blksize", "8")
	reads(300_000, "blksize", "1428")
	reads(300_000, "blksize", "65464")
	reads(300_000, "blksize", "65464", "windowsize", "4")
	reads(1_000_000, "blksize", "8192", "windowsize", "64")
}

func TestBlockNumbersWrap(t *testing.T) {
	r := serve(t)
	want := r.put(t, "file", 8*70_000+3)
	for _, options := range [][]string{{"blksize", "8"}, {"blksize", "8", "windowsize", "16"}} {
		if got := r.client(t).get("file", "octet", options...); !bytes.Equal(got, want) {
			t.Errorf("with %q %d of %d bytes came", options, len(got), len(want))
		}
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	r := serve(t)
	want := r.put(t, "file", 200_000)
	var wg sync.WaitGroup
	for i := range 64 {
		c := r.client(t)
		options := [][]string{nil, {"blksize", "1428"}, {"blksize", "512", "windowsize", "8"}}[i%3]
		wg.Go(func() {
			if got := c.get("file", "octet", options...); !bytes.Equal(got, want) {
				t.Errorf("reader got %d bytes", len(got))
			}
		})
	}
	wg.Wait()
}

func TestReadIsRecordedWithDigest(t *testing.T) {
	r := serve(t)
	content := r.put(t, "startup-config", 3000)
	c := r.client(t)
	c.get("startup-config", "octet", "blksize", "1024", "tsize", "0", "x-unknown", "1")
	e := r.memory.await(t, tallyman.KindClosed, "startup-config")
	if e.Reason != tallyman.FinalAck || e.Moved != 3000 || e.Size != 3000 || e.Expected != 3000 || e.Op != tallyman.OpGet {
		t.Errorf("closed says %+v", e)
	}
	if e.Digest != digest(content) {
		t.Errorf("digest is %q", e.Digest)
	}
	if e.Host != "here" || e.Witness != "server" || e.Proto != "tftp" || e.Proc.PID != 7 || e.File != "handle" || e.Path != filepath.Join(r.path, "startup-config") {
		t.Errorf("signed %+v", e)
	}
	if e.Peer.String() != c.conn.LocalAddr().String() || e.Self != c.tid {
		t.Errorf("ends are %v and %v", e.Peer, e.Self)
	}
	want := `{"asked":{"blksize":"1024","tsize":"0","x-unknown":"1"},"blksize":1024,"blocks":3,"blocks_acked":3,"granted":{"blksize":"1024","tsize":"3000"},"mode":"octet",`
	if !strings.HasPrefix(e.Details, want) || !strings.HasSuffix(e.Details, `"window":1}`) {
		t.Errorf("details are %s", e.Details)
	}
	if got := r.memory.about("startup-config"); len(got) != 2 || got[0] != tallyman.KindRequest || r.memory.calls != 1 {
		t.Errorf("a quick read made %v in %d calls, want one batch", got, r.memory.calls)
	}
	if request := r.memory.await(t, tallyman.KindRequest, "startup-config"); !request.Began.Equal(e.Began) || !request.Time.Equal(e.Began) {
		t.Errorf("request at %v, began %v and %v", request.Time, request.Began, e.Began)
	}
}

func TestSlowReadIsToldOfWhileItRuns(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 1500)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	c.ack(1)
	c.wantData(2, content[512:1024])
	if e := r.memory.await(t, tallyman.KindOpened, "file"); e.Size != 1500 || !e.Time.Equal(e.Began) {
		t.Errorf("opened says %+v", e)
	}
	if e := r.memory.await(t, tallyman.KindProgress, "file"); e.Moved != 512 {
		t.Errorf("progress is %d bytes", e.Moved)
	}
	c.reply(packet.AppendError(nil, packet.Error{Text: "enough\x1b[2J"}))
	e := r.memory.await(t, tallyman.KindClosed, "file")
	if e.Reason != tallyman.ClientError || e.Moved != 512 || e.Digest != "" || e.Err != "enough\x1b[2J" {
		t.Errorf("closed says %+v", e)
	}
	for p, ok := c.within(time.Millisecond); ok; p, ok = c.within(time.Millisecond) {
		if packet.Opcode(p) != packet.DATA { // sent again before the ERROR came
			t.Errorf("an ERROR was answered with %q", p)
		}
	}
}

func TestFileThatChangesWhileItIsReadHasNoDigest(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 600)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	if err := os.WriteFile(filepath.Join(r.path, "file"), append(content[:599:599], 'x', 'y'), 0o644); err != nil {
		t.Fatal(err)
	}
	c.ack(1)
	c.wantData(2, append(content[512:599:599], 'x'))
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Digest != "" || !strings.Contains(e.Err, "changed") || e.Moved != 600 {
		t.Errorf("closed says %+v", e)
	}
}

func TestFileThatShrinksEndsTheRead(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 2000)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	if err := os.Truncate(filepath.Join(r.path, "file"), 700); err != nil {
		t.Fatal(err)
	}
	c.ack(1)
	c.wantError(packet.Undefined)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.IOError || !strings.Contains(e.Err, "shorter") {
		t.Errorf("closed says %+v", e)
	}
}

func TestKnownDigestIsNotComputedAgain(t *testing.T) {
	r := serve(t, func(_ *Config, r *rig) { r.digest = "sha256:known" })
	r.put(t, "file", 100)
	r.client(t).get("file", "octet")
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Digest != "sha256:known" {
		t.Errorf("digest is %q", e.Digest)
	}
}

func TestTextIsConvertedAcrossBlocks(t *testing.T) {
	r := serve(t)
	var text, wire bytes.Buffer
	for i := range 3000 {
		line := strings.Repeat("x", i%7)
		text.WriteString(line + "\n" + "a\rb")
		wire.WriteString(line + "\r\n" + "a\r\x00b")
	}
	if err := os.WriteFile(filepath.Join(r.path, "text"), text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{nil, {"blksize", "8"}, {"blksize", "100", "windowsize", "7", "tsize", "0"}} {
		if got := r.client(t).get("text", "NetASCII", options...); !bytes.Equal(got, wire.Bytes()) {
			t.Errorf("with %q %d bytes came, want %d", options, len(got), wire.Len())
		}
	}
	e := r.memory.await(t, tallyman.KindClosed, "text")
	if e.Digest != digest(text.Bytes()) || e.Moved != int64(wire.Len()) || e.Size != int64(text.Len()) {
		t.Errorf("closed says %+v", e)
	}
	if strings.Contains(e.Details, "tsize") || !strings.Contains(e.Details, `"mode":"netascii"`) {
		t.Errorf("details are %s", e.Details)
	}
}

func TestTextThatFillsItsLastBlockEndsWithAnEmptyOne(t *testing.T) {
	r := serve(t)
	if err := os.WriteFile(filepath.Join(r.path, "text"), bytes.Repeat([]byte("\n"), 256), 0o644); err != nil {
		t.Fatal(err)
	}
	c := r.client(t)
	c.send(c.to, request(packet.RRQ, "text", "netascii"))
	c.wantData(1, bytes.Repeat([]byte("\r\n"), 256))
	c.ack(1)
	c.wantData(2, nil)
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "text"); e.Moved != 512 || e.Reason != tallyman.FinalAck {
		t.Errorf("closed says %+v", e)
	}
}

func TestLongLockstepReadSurvivesItsThread(t *testing.T) {
	r := serve(t)
	want := r.put(t, "file", 512*3*longRead+100)
	var wg sync.WaitGroup
	for range mostThreads + 2 { // threads first, and then all back in the loop
		c := r.client(t)
		wg.Go(func() {
			if got := c.get("file", "octet"); !bytes.Equal(got, want) {
				t.Errorf("reader got %d bytes", len(got))
			}
		})
	}
	wg.Wait()
	e := r.memory.await(t, tallyman.KindClosed, "file")
	if e.Digest != digest(want) || e.Reason != tallyman.FinalAck {
		t.Errorf("closed says %+v", e)
	}
}

func TestThreadRepeatsWhatIsLostAndAnswersStrangers(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 512*(longRead+20))
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	last := uint16(longRead + 10)
	for block := uint16(1); block <= last; block++ {
		c.wantData(block, content[512*(int(block)-1):512*int(block)])
		if block < last {
			c.ack(block)
		}
	}
	c.wantData(last, content[512*(int(last)-1):512*int(last)])
	stranger := r.client(t)
	stranger.send(c.tid, packet.AppendAck(nil, last))
	stranger.wantError(packet.UnknownTID)
	c.reply(packet.AppendError(nil, packet.Error{Text: "enough"}))
	e := r.memory.await(t, tallyman.KindClosed, "file")
	if e.Reason != tallyman.ClientError || !strings.Contains(e.Details, `"strangers":1`) || !strings.Contains(e.Details, `"retransmits":`) {
		t.Errorf("closed says %+v", e)
	}
}
