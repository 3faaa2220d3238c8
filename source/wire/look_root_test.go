//go:build root

package wire

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"tallyman"
)

// ledger keeps all evidence.
type ledger struct {
	mu      sync.Mutex
	all     []tallyman.Evidence
	changed chan struct{}
}

func (l *ledger) Record(batch ...tallyman.Evidence) {
	l.mu.Lock()
	l.all = append(l.all, batch...)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

func (l *ledger) Commit(context.Context, ...tallyman.Evidence) error {
	panic("the wire commits nothing")
}

// ends are the transfers that ended, by client.
func (l *ledger) ends() (ended map[netip.AddrPort][]tallyman.Evidence, gaps []tallyman.Evidence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended = map[netip.AddrPort][]tallyman.Evidence{}
	for _, e := range l.all {
		switch e.Kind {
		case tallyman.KindClosed, tallyman.KindRefusal:
			ended[e.Peer] = append(ended[e.Peer], e)
		case tallyman.KindGap:
			gaps = append(gaps, e)
		default: // nothing ends with it
		}
	}
	return ended, gaps
}

func addr(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// fetch plays one read of one block, each packet on its way before the next is sent.
func fetch(t *testing.T, server *net.UDPConn, name, content string) netip.AddrPort {
	t.Helper()
	client, answer := socket(t), socket(t)
	buf := make([]byte, 2048)
	pass := func(from, to *net.UDPConn, payload string) {
		send(t, from, to, payload)
		if _, _, err := to.ReadFrom(buf); err != nil {
			t.Fatal(err)
		}
	}
	pass(client, server, "\x00\x01"+name+"\x00octet\x00")
	pass(answer, client, "\x00\x03\x00\x01"+content)
	pass(client, answer, "\x00\x04\x00\x01")
	return addr(client)
}

// Ports come to be watched while transfers run: each packet before, during and after is seen, and none is seen twice.
func TestOtherPortsAreLookedAtWithoutLosingAPacket(t *testing.T) {
	run := apart(t)
	old, fresh := socket(t), socket(t)
	control, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	cfg := LiveDefaults()
	cfg.Analyzer.TFTPPorts, cfg.Analyzer.FTPPorts, cfg.Analyzer.Flows, cfg.Data = []uint16{addr(old).Port()}, nil, false, false
	cfg.Ring, cfg.Processes = 4<<20, false // others turn sockets too, and that may be too many: it is about packets
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	live, got, done := NewLive(cfg), &ledger{changed: make(chan struct{}, 1)}, make(chan error, 1)
	if live.Look(Ports{}) == nil {
		t.Error("what does not run looks at other ports")
	}
	go func() { done <- run(live, ctx, got) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	const rounds, looks = 600, 20
	want := map[netip.AddrPort]string{}
	long := socket(t) // one transfer goes on all the time
	longAnswer := socket(t)
	send(t, long, old, "\x00\x01long\x00octet\x00")
	block := func(n int, content string) {
		send(t, longAnswer, long, "\x00\x03"+string([]byte{byte(n >> 8), byte(n)})+content)
		send(t, long, longAnswer, "\x00\x04"+string([]byte{byte(n >> 8), byte(n)}))
	}
	full := fmt.Sprintf("%0512d", 7)
	ports := Ports{TFTP: []uint16{addr(old).Port()}}
	for i := range rounds {
		if i%(rounds/looks) == rounds/looks/2 {
			if n := i / (rounds / looks); n == 0 {
				ports.TFTP = append(ports.TFTP, addr(fresh).Port())
			} else {
				ports.Data = n%2 == 1
				ports.FTP = []uint16{21, uint16(1000 + n), uint16(control.Addr().(*net.TCPAddr).Port)}
			}
			if err := live.Look(ports); err != nil {
				t.Fatal(err)
			}
		}
		block(i+1, full)
		name, content := fmt.Sprintf("f%d", i), fmt.Sprintf("content %d", i)
		want[fetch(t, old, name, content)] = sha(content)
		if len(ports.TFTP) == 2 {
			want[fetch(t, fresh, name, content)] = sha(content)
		}
	}
	block(rounds+1, "")
	want[addr(long)] = ""
	loginFails(t, control)
	for {
		ended, gaps := got.ends()
		if len(gaps) > 0 {
			t.Fatalf("a gap: %+v", gaps[0])
		}
		if len(ended) >= len(want) && got.has(tallyman.KindLoginFailed) {
			break
		}
		select {
		case <-got.changed:
		case err := <-done:
			t.Fatalf("it stopped: %v", err)
		case <-ctx.Done():
			t.Fatalf("%d of %d transfers were seen; failed login seen: %t", len(ended), len(want), got.has(tallyman.KindLoginFailed))
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	ended, gaps := got.ends()
	if len(gaps) > 0 || len(ended) != len(want) {
		t.Errorf("%d transfers, want %d; gaps, want none: %+v", len(ended), len(want), gaps)
	}
	for peer, digest := range want {
		list := ended[peer]
		if len(list) != 1 || list[0].Reason != tallyman.FinalAck || digest != "" && string(list[0].Digest) != digest {
			t.Errorf("%s: %+v", peer, list)
		}
	}
	if e := ended[addr(long)][0]; e.Moved != rounds*512 {
		t.Errorf("of the long one %d bytes were seen, each once they are %d", e.Moved, rounds*512)
	}
}

func (l *ledger) has(kind tallyman.Kind) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.all {
		if e.Kind == kind {
			return true
		}
	}
	return false
}

// loginFails talks FTP on a port that nobody watched at first. Its lines are longer than the headers that are captured of other connections.
func loginFails(t *testing.T, listener net.Listener) {
	t.Helper()
	client, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	buf := make([]byte, 4096)
	pass := func(from, to net.Conn, line string) {
		if _, err := from.Write([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Read(buf); err != nil {
			t.Fatal(err)
		}
	}
	pass(server, client, "220 here")
	pass(client, server, "USER "+fmt.Sprintf("%0300d", 1))
	pass(server, client, "331 and the password")
	pass(client, server, "PASS wrong")
	pass(server, client, "530 no")
}

// More sockets are turned than the kernel has room to note: that is told, and no transfer is called blind for it.
func TestDialsThatTheKernelCouldNotNoteAreAGap(t *testing.T) {
	run := apart(t)
	cfg := LiveDefaults()
	ready := make(chan struct{})
	cfg.Ready, cfg.Ring = func() { close(ready) }, 2<<20
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	got, done := &ledger{changed: make(chan struct{}, 1)}, make(chan error, 1)
	go func() { done <- run(NewLive(cfg), ctx, got) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	to := net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 50007}
	for !got.has(tallyman.KindGap) {
		if ctx.Err() != nil {
			t.Fatal("no gap was told")
		}
		for range 20_000 { // in about a tenth of a second; without packets the notes are read twice a second
			c, err := net.DialUDP("udp4", nil, &to)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_, gaps := got.ends()
	for _, g := range gaps {
		if g.Witness != "wire" || g.Moved <= 0 || !strings.Contains(g.Err, "which process") || g.Began.After(g.Time) {
			t.Errorf("%+v", g)
		}
	}
}
