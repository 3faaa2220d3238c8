package tftp

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tallyman"
	"tallyman/source/tftp/packet"
)

// stands checks what is under the root.
func (r *rig) stands(t *testing.T, files ...string) {
	t.Helper()
	entries, err := os.ReadDir(r.path)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(files, " ") {
		t.Errorf("the root holds %q, want %q", got, files)
	}
}

func (r *rig) content(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.path, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryUploadBringsTheSameBytes(t *testing.T) {
	r := serve(t)
	uploads := func(size int, options ...string) {
		t.Helper()
		want := make([]byte, size)
		for i := range want {
			want[i] = byte(i * 13 >> 3)
		}
		r.client(t).upload("file", "octet", want, options...)
		if got := r.content(t, "file"); !bytes.Equal(got, want) {
			t.Errorf("%d bytes with %q became %d others", size, options, len(got))
		}
	}
	for _, size := range []int{0, 1, 511, 512, 513, 1024, 100_000} {
		uploads(size)
		uploads(size, "blksize", "1428", "windowsize", "64")
	}
	uploads(1000, "blksize", "8")
	uploads(8*70_000, "blksize", "8", "windowsize", "16")
	uploads(300_000, "blksize", "65464")
	uploads(1_000_000, "blksize", "8192", "windowsize", "64")
	uploads(1_000_000, "blksize", "1428", "windowsize", "4")
	r.stop()
	r.stands(t, "file")
}

func TestUploadIsRecordedBeforeItsLastAck(t *testing.T) {
	asked, answer := make(chan tallyman.Evidence), make(chan error)
	r := serve(t, func(_ *Config, r *rig) {
		r.memory.onCommit = func(e tallyman.Evidence) error {
			asked <- e
			return <-answer
		}
	})
	content := bytes.Repeat([]byte("line\n"), 200)
	c := r.client(t)
	c.ask(packet.WRQ, "config", "tsize", "1000", "blksize", "600")
	c.wantOACK("blksize", "600", "tsize", "1000")
	c.data(1, content[:600])
	c.wantAck(1)
	c.data(2, content[600:])
	e := <-asked
	if got := r.content(t, "config"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes stand under the name before the evidence", len(got))
	}
	c.data(2, content[600:]) // the client's timer
	c.silent("the file is being recorded")
	if e.Reason != tallyman.Stored || e.Kind != tallyman.KindClosed || e.Moved != 1000 || e.Size != 1000 || e.Expected != 1000 {
		t.Errorf("closed says %+v", e)
	}
	if e.Digest != digest(content) || e.Op != tallyman.OpPut || e.Path != filepath.Join(r.path, "config") {
		t.Errorf("closed says %+v", e)
	}
	if got := r.memory.about("config"); len(got) != 2 || got[0] != tallyman.KindRequest || got[1] != tallyman.KindOpened {
		t.Errorf("known of the running upload: %v", got)
	}
	answer <- nil
	c.wantAck(2)
	c.data(2, content[600:]) // that ACK was lost
	c.wantAck(2)
	if got := r.memory.about("config"); len(got) != 3 {
		t.Errorf("known at the end: %v", got)
	}
}

func TestUploadThatCannotBeRecordedIsNotAcknowledged(t *testing.T) {
	r := serve(t, func(_ *Config, r *rig) {
		r.memory.onCommit = func(tallyman.Evidence) error { return tallyman.ErrFull }
	})
	c := r.client(t)
	c.ask(packet.WRQ, "file")
	c.wantAck(0)
	c.data(1, []byte("short"))
	c.wantError(packet.DiskFull)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.DiskFull || !strings.Contains(e.Err, "record") {
		t.Errorf("closed says %+v", e)
	}
}

func TestFailedUploadLeavesNothing(t *testing.T) {
	r := serve(t, func(c *Config, r *rig) {
		c.MaxSize = 1 << 20
		r.onCommit = func() error { return &Refusal{Reason: tallyman.IOError, Text: "the rename"} }
		r.onWrite = func(name string, total int) error {
			if total > 300_000 && name == "full" {
				return &Refusal{Reason: tallyman.DiskFull, Text: "no room"}
			}
			return nil
		}
	})
	fails := func(name string, size int, code packet.Code, reason tallyman.Reason) {
		t.Helper()
		c := r.client(t)
		c.ask(packet.WRQ, name, "blksize", "8192")
		c.wantOACK("blksize", "8192")
		for block := 1; ; block++ {
			low := min((block-1)*8192, size)
			c.data(uint16(block), make([]byte, min(8192, size-low)))
			p := c.next()
			if got, _, ok := packet.ParseError(p); ok {
				if got != code {
					t.Errorf("ERROR %d, want %d", got, code)
				}
				break
			}
			if block > 200 {
				t.Fatal("no ERROR")
			}
		}
		if e := r.memory.await(t, tallyman.KindClosed, name); e.Reason != reason || e.Err == "" || e.Digest != "" {
			t.Errorf("closed says %+v", e)
		}
	}
	fails("rename", 100_000, packet.Undefined, tallyman.IOError)
	fails("full", 900_000, packet.DiskFull, tallyman.DiskFull)
	fails("large", 2_000_000, packet.DiskFull, tallyman.Quota)
	r.stop()
	r.stands(t)
}

func TestAbortedUploadLeavesNothingAndTheOldFile(t *testing.T) {
	r := serve(t)
	old := r.put(t, "file", 100)
	c := r.client(t)
	c.ask(packet.WRQ, "file")
	c.wantAck(0)
	c.data(1, make([]byte, 512))
	c.wantAck(1)
	c.reply(packet.AppendError(nil, packet.Error{Code: packet.DiskFull, Text: "changed my mind"}))
	e := r.memory.await(t, tallyman.KindClosed, "file")
	if e.Reason != tallyman.ClientError || e.Err != "changed my mind" || e.Moved != 512 || !strings.Contains(e.Details, `"client_code":3`) {
		t.Errorf("closed says %+v", e)
	}
	gone := r.client(t)
	gone.ask(packet.WRQ, "other")
	gone.wantAck(0)
	gone.data(1, make([]byte, 512))
	gone.conn.Close() // the ACK meets a closed port
	if e := r.memory.await(t, tallyman.KindClosed, "other"); e.Reason != tallyman.ClientGone {
		t.Errorf("closed says %+v", e)
	}
	r.stop()
	r.stands(t, "file")
	if got := r.content(t, "file"); !bytes.Equal(got, old) {
		t.Error("the old file changed")
	}
}

func TestUploadShorterThanAnnouncedIsNotKept(t *testing.T) {
	r := serve(t)
	c := r.client(t)
	c.ask(packet.WRQ, "file", "tsize", "1000")
	c.wantOACK("tsize", "1000")
	c.data(1, make([]byte, 500))
	c.wantError(packet.Undefined)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.Truncated {
		t.Errorf("closed says %+v", e)
	}
	r.stop()
	r.stands(t)
}

func TestUploadLongerThanAnnouncedIsKeptAndSaidSo(t *testing.T) {
	r := serve(t)
	c := r.client(t)
	c.upload("file", "octet", make([]byte, 700), "tsize", "600")
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.AnnouncedSize || e.Moved != 700 || e.Expected != 600 {
		t.Errorf("closed says %+v", e)
	}
}

func TestUploadedTextIsConverted(t *testing.T) {
	r := serve(t)
	var file, wire bytes.Buffer
	for range 2000 {
		file.WriteString("line\nre\rturn\n")
		wire.WriteString("line\r\nre\r\x00turn\r\n")
	}
	r.client(t).upload("text", "netascii", wire.Bytes(), "tsize", "5") // of whatever the client thinks it has
	if got := r.content(t, "text"); !bytes.Equal(got, file.Bytes()) {
		t.Errorf("%d bytes stored, want %d", len(got), file.Len())
	}
	e := r.memory.await(t, tallyman.KindClosed, "text")
	if e.Reason != tallyman.Stored || e.Size != int64(file.Len()) || e.Moved != int64(wire.Len()) || e.Digest != digest(file.Bytes()) {
		t.Errorf("closed says %+v", e)
	}
}

func TestBlocksOutOfPlaceAreNotStored(t *testing.T) {
	r := serve(t)
	c := r.client(t)
	c.ask(packet.WRQ, "file", "blksize", "512", "windowsize", "4")
	c.wantOACK("blksize", "512", "windowsize", "4")
	block := func(b byte) []byte { return bytes.Repeat([]byte{b}, 512) }
	c.data(1, block(1))
	c.data(2, block(2))
	c.data(4, block(4)) // 3 was lost
	c.wantAck(2)
	c.data(3, block(3))
	c.data(4, block(5))
	c.data(5, []byte("end"))
	c.wantAck(5)
	want := bytes.Join([][]byte{block(1), block(2), block(3), block(5), []byte("end")}, nil)
	if got := r.content(t, "file"); !bytes.Equal(got, want) {
		t.Errorf("%d bytes stored, want %d", len(got), len(want))
	}
	c = r.client(t)
	c.ask(packet.WRQ, "oversize")
	c.wantAck(0)
	c.data(1, make([]byte, 513))
	c.wantError(packet.IllegalOperation)
	r.stop()
	r.stands(t, "file")
}

func TestStrangerCannotFeedAnUpload(t *testing.T) {
	r := serve(t)
	c, stranger := r.client(t), r.client(t)
	c.ask(packet.WRQ, "file")
	c.wantAck(0)
	stranger.tid = c.tid
	stranger.data(1, []byte("poison"))
	stranger.wantError(packet.UnknownTID)
	c.data(1, []byte("mine"))
	c.wantAck(1)
	if got := r.content(t, "file"); string(got) != "mine" {
		t.Errorf("stored %q", got)
	}
}

func TestTwoUploadsOfOneNameNeverMix(t *testing.T) {
	r := serve(t)
	var wg sync.WaitGroup
	for i := range 8 {
		c := r.client(t)
		wg.Go(func() { c.upload("file", "octet", bytes.Repeat([]byte{byte(i)}, 50_000), "blksize", "1000") })
	}
	wg.Wait()
	got := r.content(t, "file")
	if len(got) != 50_000 || !bytes.Equal(got, bytes.Repeat(got[:1], len(got))) {
		t.Errorf("%d bytes, mixed", len(got))
	}
}

func TestSlowDiskHoldsTheClientBackAndNobodyElse(t *testing.T) {
	gate, reached := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r := serve(t, func(_ *Config, r *rig) {
		r.onWrite = func(string, int) error {
			once.Do(func() { close(reached) })
			<-gate
			return nil
		}
	})
	reading := r.put(t, "read", 5000)
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	c := r.client(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.upload("file", "octet", content, "blksize", "8192", "windowsize", "16")
	}()
	<-reached
	if got := r.client(t).get("read", "octet"); !bytes.Equal(got, reading) {
		t.Error("a read beside a stuck disk fails")
	}
	close(gate)
	<-done
	if got := r.content(t, "file"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes stored, want %d", len(got), len(content))
	}
}

func TestSameUploadAfterTheDallyIsANewOne(t *testing.T) {
	r := serve(t)
	c := r.client(t)
	c.upload("file", "octet", []byte("first"))
	c.ask(packet.WRQ, "file") // delayed on its way, or the next wish: for a moment nobody can tell
	c.silent("a request of an upload that has just been stored")
	c.send(r.addr, request(packet.WRQ, "file two", "octet"))
	c.wantAck(0)
	c.data(1, []byte("second"))
	c.wantAck(1)
	if got := r.content(t, "file two"); string(got) != "second" {
		t.Errorf("stored %q", got)
	}
}
