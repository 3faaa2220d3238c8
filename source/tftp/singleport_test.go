package tftp

import (
	"bytes"
	"net/netip"
	"sync"
	"testing"

	"tallyman"
	"tallyman/source/tftp/packet"
)

func single(c *Config, _ *rig) { c.SinglePort = true }

func TestSinglePortAnswersFromTheRequestPort(t *testing.T) {
	r := serve(t, single, func(c *Config, _ *rig) { c.Listen = ":0" })
	content := r.put(t, "file", 3000)
	for _, ip := range []string{"127.0.0.1", "127.0.0.5", "::1"} {
		from := "127.0.0.1"
		if ip == "::1" {
			from = ip
		}
		to := netip.AddrPortFrom(netip.MustParseAddr(ip), r.addr.Port())
		for range 3 { // the first request comes by the port of all addresses
			c := clientAt(t, to, from)
			if got := c.get("file", "octet", "blksize", "600", "windowsize", "3"); !bytes.Equal(got, content) {
				t.Errorf("%d bytes came", len(got))
			}
			if netip.AddrPortFrom(c.tid.Addr().Unmap(), c.tid.Port()) != to {
				t.Errorf("%v was asked, %v answered", to, c.tid)
			}
			c.upload("new", "octet", content, "blksize", "600", "windowsize", "3")
			if got := r.content(t, "new"); !bytes.Equal(got, content) {
				t.Errorf("%d bytes stored", len(got))
			}
			c.ask(packet.RRQ, "missing")
			c.wantError(packet.NotFound)
		}
	}
}

func TestSinglePortServesManyAtOnce(t *testing.T) {
	r := serve(t, single)
	content := r.put(t, "file", 512*2*longRead)
	var wg sync.WaitGroup
	for i := range 32 {
		c := r.client(t)
		wg.Go(func() {
			if i%4 == 0 {
				c.upload("new"+string(rune('a'+i)), "octet", content)
			} else if got := c.get("file", "octet"); !bytes.Equal(got, content) {
				t.Errorf("%d bytes came", len(got))
			}
		})
	}
	wg.Wait()
	if n := r.server.Counts(); n.Strangers+n.Malformed != 0 || n.Served != 32 {
		t.Errorf("counted %+v", n)
	}
}

func TestSinglePortTellsTransfersOfOneClientApart(t *testing.T) {
	r := serve(t, single)
	one, two := r.put(t, "one", 600), r.put(t, "two", 700)
	c := r.client(t)
	c.ask(packet.RRQ, "one")
	c.wantData(1, one[:512])
	c.ask(packet.RRQ, "one")
	c.wantData(1, one[:512])
	c.ask(packet.RRQ, "two") // what is acknowledged from now on is this one
	c.wantData(1, two[:512])
	c.ack(1)
	c.wantData(2, two[512:])
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "one"); e.Reason != tallyman.ClientGone {
		t.Errorf("the first ended as %+v", e)
	}
	if e := r.memory.await(t, tallyman.KindClosed, "two"); e.Reason != tallyman.FinalAck || e.Self != r.addr {
		t.Errorf("the second ended as %+v", e)
	}
}

func TestSinglePortIsSilentToStrangers(t *testing.T) {
	r := serve(t, single)
	content := r.put(t, "file", 600)
	c, stranger := r.client(t), r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	stranger.tid = r.addr
	stranger.ack(1)
	stranger.data(1, []byte("poison"))
	stranger.silent("packets of no transfer")
	c.ack(1)
	c.wantData(2, content[512:])
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.FinalAck {
		t.Errorf("closed says %+v", e)
	}
}

func TestSinglePortEndsItsTransfersWhenItStops(t *testing.T) {
	r := serve(t, single)
	content := r.put(t, "file", 600)
	c, late := r.client(t), r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	go r.stop()
	for p := []byte(nil); ; { // until requests are no longer taken
		late.ask(packet.RRQ, "missing")
		var ok bool
		if p, ok = late.within(20e6); !ok {
			break
		}
		if packet.Opcode(p) != packet.ERROR {
			t.Fatalf("got %q", p)
		}
	}
	c.ack(1)
	c.wantData(2, content[512:])
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.FinalAck {
		t.Errorf("closed says %+v", e)
	}
}
