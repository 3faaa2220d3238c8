package tftp

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/tftp/packet"
)

func TestWhatIsNoRequestIsNotAnswered(t *testing.T) {
	r := serve(t)
	r.put(t, "file", 100)
	c := r.client(t)
	silent := func(why string, p []byte) {
		t.Helper()
		c.send(r.addr, p)
		c.silent(why)
	}
	silent("nothing", nil)
	silent("one byte", []byte{0})
	silent("an opcode alone", []byte{0, 1})
	silent("three bytes", []byte{0, 1, 'f'})
	silent("DATA", append(packet.AppendData(nil, 1), "file"...))
	silent("ACK", packet.AppendAck(nil, 0))
	silent("ERROR", packet.AppendError(nil, packet.Error{Text: "file"}))
	silent("OACK", packet.AppendOption(packet.AppendOACK(nil), "blksize", "8"))
	silent("opcode 0", []byte("\x00\x00file\x00octet\x00"))
	silent("opcode 7", []byte("\x00\x07file\x00octet\x00"))
	silent("opcode 65535", []byte("\xff\xfffile\x00octet\x00"))
	silent("no final NUL", []byte("\x00\x01file\x00octet"))
	silent("no mode", []byte("\x00\x01file\x00"))
	silent("empty name", []byte("\x00\x01\x00octet\x00"))
	silent("option without value", []byte("\x00\x01file\x00octet\x00blksize\x00"))
	silent("60 KB of options", request(packet.RRQ, "file", "octet", "x", strings.Repeat("y", 60_000)))
	silent("name of 60 KB", request(packet.RRQ, strings.Repeat("n", 60_000), "octet"))
	if n := r.server.Counts().Malformed; n != 17 {
		t.Errorf("%d malformed datagrams counted", n)
	}
	r.stop()
	var counts []string
	for _, e := range r.memory.all {
		if e.Reason == tallyman.BadRequest && e.Self == r.addr {
			counts = append(counts, e.Details)
		}
	}
	if strings.Join(counts, " ") != `{"count":1} {"count":5}` { // the first at once, the rest together
		t.Errorf("unreadable requests are recorded as %q", counts)
	}
}

func TestRefusalsSayWhy(t *testing.T) {
	r := serve(t)
	r.put(t, "taken", 1)
	if err := syscall.Mkdir(filepath.Join(r.path, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(r.path, "fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	refuses := func(p []byte, code packet.Code, reason tallyman.Reason) {
		t.Helper()
		c := r.client(t)
		c.send(r.addr, p)
		c.wantError(code)
		if c.tid.Port() == r.addr.Port() {
			t.Errorf("the answer left from the request port")
		}
		req, _ := packet.ParseRequest(p)
		e := r.memory.await(t, tallyman.KindRefusal, string(req.Name))
		if e.Reason != reason || e.Err == "" || e.Peer.String() != c.conn.LocalAddr().String() || e.Self != c.tid {
			t.Errorf("recorded as %+v, want %s", e, reason)
		}
	}
	octet := func(op packet.Op, name string, options ...string) []byte {
		return request(op, name, "octet", options...)
	}
	refuses(octet(packet.RRQ, "missing"), packet.NotFound, tallyman.NotFound)
	refuses(octet(packet.RRQ, "dir"), packet.AccessViolation, tallyman.NotReadable)
	refuses(octet(packet.RRQ, "fifo"), packet.AccessViolation, tallyman.NotReadable)
	refuses(octet(packet.RRQ, "../etc/passwd"), packet.AccessViolation, tallyman.BadRequest)
	refuses(octet(packet.RRQ, "a\nb\x1b[2J\xff%s%n"), packet.NotFound, tallyman.NotFound)
	refuses(octet(packet.RRQ, strings.Repeat("n", 256)), packet.AccessViolation, tallyman.BadRequest)
	refuses(request(packet.RRQ, "mail", "mail"), packet.IllegalOperation, tallyman.BadRequest)
	refuses(request(packet.WRQ, "ebcdic", "ebcdic"), packet.IllegalOperation, tallyman.BadRequest)
	refuses(octet(packet.WRQ, "taken"), packet.FileExists, tallyman.Exists)
	refuses(octet(packet.WRQ, "vast", "tsize", "999999999999999"), packet.DiskFull, tallyman.DiskFull)
	if e := r.memory.await(t, tallyman.KindRefusal, "vast"); e.Details != `{"asked":{"tsize":"999999999999999"},"error_code":3,"mode":"octet"}` {
		t.Errorf("details are %s", e.Details)
	}
}

func TestPolicyRefuses(t *testing.T) {
	r := serve(t, func(c *Config, _ *rig) { c.Read = false; c.MaxSize = 1000 })
	r.put(t, "file", 10)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantError(packet.AccessViolation)
	c.ask(packet.WRQ, "large", "tsize", "1001")
	c.wantError(packet.DiskFull)
	if e := r.memory.await(t, tallyman.KindRefusal, "file"); e.Reason != tallyman.Policy || !strings.Contains(e.Err, "serve.tftp.read") {
		t.Errorf("recorded as %+v", e)
	}
	if e := r.memory.await(t, tallyman.KindRefusal, "large"); e.Reason != tallyman.Quota || !strings.Contains(e.Err, "max_size") {
		t.Errorf("recorded as %+v", e)
	}
	r = serve(t, func(c *Config, _ *rig) { c.Write = false })
	c = r.client(t)
	c.ask(packet.WRQ, "file")
	c.wantError(packet.AccessViolation)
}

func TestGateShutsOut(t *testing.T) {
	r := serve(t)
	r.put(t, "file", 10)
	c := clientAt(t, r.addr, "127.0.0.66")
	c.ask(packet.RRQ, "file")
	c.wantError(packet.AccessViolation)
	if e := r.memory.await(t, tallyman.KindRefusal, "file"); e.Reason != tallyman.NotAllowed || e.Err != "127.0.0.66 is not in serve.tftp.allow" {
		t.Errorf("recorded as %+v", e)
	}
	c = clientAt(t, r.addr, "127.0.0.67")
	c.ask(packet.RRQ, "another file")
	c.silent("a silent gate")
	if e := r.memory.await(t, tallyman.KindRefusal, "another file"); e.Reason != tallyman.NotAllowed || strings.Contains(e.Details, "error_code") {
		t.Errorf("recorded as %+v", e)
	}
}

func TestFloodOfOutsidersIsRecordedTogether(t *testing.T) {
	r := serve(t)
	c := clientAt(t, r.addr, "127.0.0.66")
	const more = 100
	for i := range 512 + more {
		c.ask(packet.RRQ, "file")
		if i < 512 {
			c.wantError(packet.AccessViolation)
		}
	}
	c.silent("a flood")
	r.stop()
	single, together := 0, 0
	for _, e := range r.memory.all {
		switch {
		case e.Reason == tallyman.NotAllowed && e.Name == "file":
			single++
		case e.Reason == tallyman.NotAllowed:
			var details struct{ Count int }
			if err := json.Unmarshal([]byte(e.Details), &details); err != nil {
				t.Fatal(err)
			}
			together += details.Count
		}
	}
	if single != 512 || together != more {
		t.Errorf("%d refusals are recorded singly, %d together", single, together)
	}
}

func TestRepeatedRequestIsOneTransfer(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 600)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	first := c.tid
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	if c.tid != first {
		t.Errorf("two ports answer: %v and %v", first, c.tid)
	}
	c.ack(1)
	c.wantData(2, content[512:])
	c.ask(packet.RRQ, "file")
	c.silent("a request that came late")
	c.ack(2)
	if e := r.memory.await(t, tallyman.KindClosed, "file"); !strings.Contains(e.Details, `"requests":2`) {
		t.Errorf("details are %s", e.Details)
	}
}

func TestRequestWithOtherOptionsIsTheOneThatCounts(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 100)
	c := r.client(t)
	c.ask(packet.RRQ, "file", "blksize", "1024")
	c.wantOACK("blksize", "1024")
	c.ask(packet.RRQ, "file") // a client that takes the silence for a dislike of options
	c.wantData(1, content)
	c.ack(1)
	c.ask(packet.WRQ, "new", "tsize", "5")
	c.wantOACK("tsize", "5")
	c.ask(packet.WRQ, "new")
	c.wantAck(0)
	c.data(1, []byte("hello"))
	c.wantAck(1)
	r.stop()
	r.stands(t, "file", "new")
	for _, name := range []string{"file", "new"} {
		closed := 0
		for _, kind := range r.memory.about(name) {
			if kind == tallyman.KindClosed {
				closed++
			}
		}
		if closed != 1 {
			t.Errorf("%s has %d ends", name, closed)
		}
	}
}

func TestNextRequestFromTheSamePortIsServed(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 600)
	c := r.client(t)
	var last netip.AddrPort
	for range 50 {
		c.ask(packet.RRQ, "file")
		c.wantData(1, content[:512])
		if c.tid == last {
			t.Fatal("the same port answers two transfers of one client in a row")
		}
		last = c.tid
		c.ack(1)
		c.wantData(2, content[512:])
		c.ack(2) // and at once the next request, which may be seen first
	}
}

func TestTwoTransfersOfOneClientAreApart(t *testing.T) {
	r := serve(t)
	one, two := r.put(t, "one", 600), r.put(t, "two", 700)
	c := r.client(t)
	c.ask(packet.RRQ, "one")
	c.wantData(1, one[:512])
	tid := c.tid
	c.ask(packet.RRQ, "two")
	c.wantData(1, two[:512])
	if c.tid == tid {
		t.Fatal("one port answers both")
	}
	c.ack(1)
	c.wantData(2, two[512:])
	c.ack(2)
	c.send(tid, packet.AppendAck(nil, 1))
	c.wantData(2, one[512:])
}

func TestClientThatBeginsAgainIsServed(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 2000)
	c := r.client(t)
	c.ask(packet.RRQ, "file", "timeout", "5") // keeps the timer quiet
	c.wantOACK("timeout", "5")
	c.ack(0)
	c.wantData(1, content[:512])
	first := c.tid
	// A boot ROM that was reset asks again, and again, from the same port.
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		c.ask(packet.RRQ, "file", "timeout", "5")
		if p, ok := c.within(100 * time.Millisecond); ok && packet.Opcode(p) == packet.OACK {
			break
		}
	}
	if c.tid == first {
		t.Error("the old transfer still answers")
	}
	c.ack(0)
	c.wantData(1, content[:512])
	c.reply(packet.AppendError(nil, packet.Error{Text: "enough"}))
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.ClientGone || e.Self != first {
		t.Errorf("the first transfer ended as %+v", e)
	}
}

func TestStrangerIsToldAndDoesNoHarm(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 600)
	c, stranger := r.client(t), r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content[:512])
	stranger.send(c.tid, packet.AppendAck(nil, 1))
	stranger.wantError(packet.UnknownTID)
	stranger.send(c.tid, packet.AppendError(nil, packet.Error{Text: "die"}))
	stranger.silent("a stranger's ERROR")
	c.ack(1)
	c.wantData(2, content[512:])
	c.ack(2)
	e := r.memory.await(t, tallyman.KindClosed, "file")
	if e.Reason != tallyman.FinalAck || !strings.Contains(e.Details, `"strangers":2`) {
		t.Errorf("closed says %+v", e)
	}
}

func TestLatePacketsAfterTheEndAreNotAnswered(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 10)
	c := r.client(t)
	c.ask(packet.RRQ, "file")
	c.wantData(1, content)
	c.ack(1)
	c.ack(1)
	c.ack(1)
	c.silent("the last ACK, three times")
}

func TestVanishedClientIsNoticedByItsClosedPort(t *testing.T) {
	r := serve(t)
	content := r.put(t, "file", 2000)
	c := r.client(t)
	c.ask(packet.RRQ, "file", "blksize", "512", "windowsize", "2")
	c.wantOACK("blksize", "512", "windowsize", "2")
	c.ack(0)
	c.wantData(1, content[:512])
	c.conn.Close() // the timer repeats the window into the void
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.ClientGone || e.Moved != 0 {
		t.Errorf("closed says %+v", e)
	}
}

func TestAnswersLeaveFromTheAddressThatWasAsked(t *testing.T) {
	r := serve(t, func(c *Config, _ *rig) { c.Listen = ":0" })
	content := r.put(t, "file", 10)
	asked := func(ip, from string) {
		t.Helper()
		c := clientAt(t, netip.AddrPortFrom(netip.MustParseAddr(ip), r.addr.Port()), from)
		c.ask(packet.RRQ, "file")
		c.wantData(1, content)
		if c.tid.Addr().Unmap().String() != ip {
			t.Errorf("%s was asked, %v answered", ip, c.tid)
		}
		c.ack(1)
		c.ask(packet.RRQ, "missing")
		c.wantError(packet.NotFound)
		if c.tid.Addr().Unmap().String() != ip {
			t.Errorf("%s was asked, %v refused", ip, c.tid)
		}
	}
	asked("127.0.0.1", "127.0.0.1")
	asked("127.0.0.9", "127.0.0.1")
	asked("::1", "::1")
	if ports := r.server.Addrs(); len(ports) != 2 || ports[0].Port() != ports[1].Port() {
		t.Errorf("ports are %v", ports)
	}
}

func TestProbeOfTheSizeIsNoFailure(t *testing.T) {
	r := serve(t)
	r.put(t, "file", 12345)
	c := r.client(t)
	c.ask(packet.RRQ, "file", "tsize", "0")
	c.wantOACK("tsize", "12345")
	c.reply(packet.AppendError(nil, packet.Error{Code: packet.OptionRefused, Text: "thanks"}))
	if e := r.memory.await(t, tallyman.KindClosed, "file"); e.Reason != tallyman.SizeProbe || e.Digest != "" {
		t.Errorf("closed says %+v", e)
	}
}

func TestNamesAreTrimmedOnlyWhenConfigured(t *testing.T) {
	r := serve(t)
	content := r.put(t, "pxelinux.0", 10)
	c := r.client(t)
	c.ask(packet.RRQ, "pxelinux.0\xff")
	c.wantError(packet.NotFound)
	r = serve(t, func(c *Config, _ *rig) { c.TrimNames = true })
	r.put(t, "pxelinux.0", 10)
	if got := r.client(t).get("pxelinux.0\xff\x01", "octet"); !bytes.Equal(got, content) {
		t.Errorf("%d bytes came", len(got))
	}
	if e := r.memory.await(t, tallyman.KindClosed, "pxelinux.0\xff\x01"); filepath.Base(e.Path) != "pxelinux.0" {
		t.Errorf("path is %q", e.Path)
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	says := func(want string, change func(*Config)) {
		t.Helper()
		cfg := Defaults()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	says("ADDRESS:PORT", func(c *Config) { c.Listen = "69" })
	says("port must be a number", func(c *Config) { c.Listen = ":tftp" })
	says("IP address of this machine", func(c *Config) { c.Listen = "localhost:69" })
	says("max_size", func(c *Config) { c.MaxSize = -1 })
	says("drain", func(c *Config) { c.Drain = -1 })
	says("give-up", func(c *Config) { c.GiveUp = 0 })
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
}
