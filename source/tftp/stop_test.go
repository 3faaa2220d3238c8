package tftp

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/tftp/packet"
)

func TestStopLetsRunningTransfersEnd(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 600)
	get, put := r.client(t), r.client(t)
	get.ask(packet.RRQ, "file")
	get.wantData(1, content[:512])
	put.ask(packet.WRQ, "new")
	put.wantAck(0)
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	late := r.client(t)
	for { // until the request port is closed
		late.ask(packet.RRQ, "missing")
		if _, ok := late.within(20 * time.Millisecond); !ok {
			break
		}
	}
	get.ack(1)
	get.wantData(2, content[512:])
	get.ack(2)
	put.data(1, []byte("new"))
	put.wantAck(1)
	<-stopped
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.FinalAck {
		t.Errorf("the read ended as %+v", e)
	}
	if e := r.memory.await(t, tallyman.KindClosed, "new"); e.Reason != tallyman.Stored {
		t.Errorf("the upload ended as %+v", e)
	}
}

func TestStopEndsWhatOutlastsTheDrain(t *testing.T) {
	r := serve(t, func(c *Config, _ *rig) { c.Drain = 10 * time.Millisecond })
	content := r.put(t, "file", 512*2*longRead)
	get, put, long := r.client(t), r.client(t), r.client(t)
	get.ask(packet.RRQ, "file")
	get.wantData(1, content[:512])
	put.ask(packet.WRQ, "new")
	put.wantAck(0)
	put.data(1, make([]byte, 512))
	put.wantAck(1)
	long.ask(packet.RRQ, "file")
	for block := uint16(1); block <= longRead+1; block++ { // far enough to have a thread
		long.wantData(block, content[512*(int(block)-1):512*int(block)])
		if block <= longRead {
			long.ack(block)
		}
	}
	r.stop()
	for _, c := range []*client{get, put, long} {
		for p := c.next(); packet.Opcode(p) != packet.ERROR; p = c.next() {
			if op := packet.Opcode(p); op != packet.DATA && op != packet.ACK { // what the timer sent again before
				t.Errorf("stopping sends %q", p)
			}
		}
	}
	for _, name := range []string{"file", "new"} {
		if e := r.memory.await(t, tallyman.KindClosed, name); e.Reason != tallyman.Shutdown {
			t.Errorf("%s ended as %+v", name, e)
		}
	}
	r.stands(t, "file")
}

func TestStoppedServerLeavesItsPort(t *testing.T) {
	r := serve(t)
	r.stop()
	again := serve(t, func(c *Config, _ *rig) { c.Listen = r.addr.String() })
	content := again.put(t, "file", 10)
	if got := again.client(t).get("file", "octet"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes came", len(got))
	}
}

func TestTakenPortIsSaid(t *testing.T) {
	r := serve(t)
	cfg := Defaults()
	cfg.Listen = r.addr.String()
	if _, err := Listen(cfg, r.folder, nil, Identity{}, nil); err == nil || !strings.Contains(err.Error(), r.addr.String()) {
		t.Errorf("a taken port gave %v", err)
	}
}

func TestServerThatIsStoppedBeforeItRunsEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := Defaults()
	cfg.Listen = "127.0.0.1:0"
	s, err := Listen(cfg, &folder{}, nil, Identity{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Run(ctx, &memory{news: make(chan struct{})}); err != nil {
		t.Error(err)
	}
}
