//go:build root

package wire

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
)

// recorder hands over the ends of transfers.
type recorder chan tallyman.Evidence

func (r recorder) Record(batch ...tallyman.Evidence) {
	for _, e := range batch {
		if e.Kind == tallyman.KindClosed {
			r <- e
		}
	}
}

func (r recorder) Commit(context.Context, ...tallyman.Evidence) error {
	panic("the wire commits nothing")
}

func sha(text string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text))) }

// socket is a UDP socket on the loopback.
func socket(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, from, to *net.UDPConn, payload string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(payload), to.LocalAddr()); err != nil {
		t.Fatal(err)
	}
}

func TestLoopbackIsSeenOnceAndBurstsAreCut(t *testing.T) {
	run := apart(t)
	client, request, answer := socket(t), socket(t), socket(t)
	port := uint16(request.LocalAddr().(*net.UDPAddr).Port)
	cfg := LiveDefaults()
	cfg.Analyzer.TFTPPorts = []uint16{port}
	cfg.Ring = 2 << 20
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := make(recorder, 16)
	done := make(chan error, 1)
	go func() { done <- run(NewLive(cfg), ctx, got) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	var text strings.Builder
	send(t, client, request, "\x00\x01big\x00octet\x00blksize\x001024\x00windowsize\x0016\x00")
	send(t, answer, client, "\x00\x06blksize\x001024\x00windowsize\x0016\x00")
	send(t, client, answer, "\x00\x04\x00\x00")
	raw, err := answer.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// The kernel cuts what is sent behind this (udp(7), UDP_SEGMENT); the capture shows it uncut.
	if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_SEGMENT, 4+1024) }); err != nil {
		t.Fatal(err)
	}
	for window := range 4 {
		var burst strings.Builder
		for i := range 16 {
			n := window*16 + i + 1
			piece := strings.Repeat(string(rune('a'+n%26)), 1024)
			if n == 64 {
				piece = "end"
			}
			text.WriteString(piece)
			burst.WriteString("\x00\x03\x00" + string([]byte{byte(n)}) + piece)
		}
		send(t, answer, client, burst.String())
		send(t, client, answer, "\x00\x04\x00"+string([]byte{byte(window*16 + 16)}))
	}
	select {
	case e := <-got:
		want := fmt.Sprintf("final-ack %d %s", text.Len(), sha(text.String()))
		if have := fmt.Sprintf("%s %d %s", e.Reason, e.Moved, e.Digest); have != want || strings.Contains(e.Details, "duplicates") {
			t.Errorf("%s, want %s; %s", have, want, e.Details)
		}
	case err := <-done:
		t.Fatalf("it stopped: %v", err)
	case <-ctx.Done():
		t.Fatal("the transfer was not seen")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestInterfaceThatIsNotThereIsNamed(t *testing.T) {
	cfg := LiveDefaults()
	cfg.Interfaces = []string{"nosuch0"}
	if err := NewLive(cfg).Run(t.Context(), make(recorder)); err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("%v", err)
	}
}
