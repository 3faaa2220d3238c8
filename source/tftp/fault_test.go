package tftp

import (
	"bytes"
	"strconv"
	"sync"
	"testing"

	"tallyman"
	"tallyman/source/tftp/packet"
	"tallyman/source/tftp/record"
)

// A client that breaks off sends an ERROR and closes its port; the DATA that was on its way then meets a closed port. The kernel tells the
// server of both at once.
func TestErrorBeforeAClosedPortIsWhatTheClientSaid(t *testing.T) {
	r := serve(t)
	for i := range 40 {
		name := "file" + strconv.Itoa(i)
		content := r.put(t, name, 5000)
		c := r.client(t)
		c.ask(packet.RRQ, name)
		c.wantData(1, content[:512])
		c.ack(1) // DATA 2 comes before or after the port is closed
		c.reply(packet.AppendError(nil, packet.Error{Code: packet.DiskFull, Text: "no space on flash"}))
		c.conn.Close()
		if e := r.memory.await(t, tallyman.KindClosed, name); e.Reason != tallyman.ClientError {
			t.Fatalf("%s ended as %s (%s)", name, e.Reason, e.Err)
		}
	}
}

// On a single port the closed port of one client fails a send to another one.
func TestVanishedClientsDoNoHarmToOthersOfTheirLane(t *testing.T) {
	r := serve(t, single)
	content := r.put(t, "file", 100_000)
	for i := range 30 {
		name := "lost" + strconv.Itoa(i)
		r.put(t, name, 5000)
		c := r.client(t)
		c.ask(packet.RRQ, name, "windowsize", "4")
		c.wantOACK("windowsize", "4")
		c.ack(0)
		c.conn.Close()
	}
	for range 3 {
		reader, writer := r.client(t), r.client(t)
		var wg sync.WaitGroup
		wg.Go(func() {
			if got := reader.get("file", "octet", "windowsize", "7"); !bytes.Equal(got, content) {
				t.Errorf("%d of %d bytes came, or others", len(got), len(content))
			}
		})
		wg.Go(func() { writer.upload("new", "octet", content, "windowsize", "7") })
		wg.Wait()
		if got := r.content(t, "new"); !bytes.Equal(got, content) {
			t.Errorf("%d of %d bytes stored, or others", len(got), len(content))
		}
	}
	for i := range 30 {
		if e := r.memory.await(t, tallyman.KindClosed, "lost"+strconv.Itoa(i)); e.Reason != tallyman.ClientGone {
			t.Errorf("a client that vanished ended as %s", e.Reason)
		}
	}
}

func TestStoredUploadThatDalliesTellsNothingMore(t *testing.T) {
	m := &memory{news: make(chan struct{})}
	up := &transfer{op: tallyman.OpPut, heard: true, opened: true, stored: true}
	up.tell(record.New(m, "lab", tallyman.Proc{}), 0)
	if len(m.all) != 0 || up.tellAt == 0 {
		t.Errorf("%d pieces of evidence, due again at %v", len(m.all), up.tellAt)
	}
}
