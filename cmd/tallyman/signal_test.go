package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tallyman"
	client "tallyman/client/tftp"
)

// stalled starts a read and never acknowledges beyond the first block, so that a server that drains waits for it.
func stalled(t *testing.T, s *server) {
	t.Helper()
	r, err := client.ParseURL("tftp://" + s.where.TFTP + "/big")
	if err != nil {
		t.Fatal(err)
	}
	r.Plain = true
	begun, held := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(held) })
	go func() { _, _ = client.Get(t.Context(), r, &holding{begun: begun, held: held}, nil) }()
	<-begun
}

type holding struct {
	begun, held chan struct{}
	n           int
}

func (h *holding) Write(p []byte) (int, error) {
	if h.n++; h.n == 2 { // the first block is acknowledged by then
		close(h.begun)
		<-h.held
	}
	return len(p), nil
}

func shareWithBig(t *testing.T) string {
	t.Helper()
	share := t.TempDir()
	if err := os.Chmod(share, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(share, "big"), make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	return share
}

func TestSecondSignalEndsAServerThatDrains(t *testing.T) {
	state := t.TempDir()
	s := serveApart(t, "serve", shareWithBig(t), "--tftp", "127.0.0.1:0", "--state", state)
	stalled(t, s)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C { // the default drain is 30 s
		if s.cmd.Process.Signal(syscall.SIGTERM) != nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it drains on: %s", s.out.String())
		}
	}
}

func TestSignalsThatAreNoOrderToEndLetTheServerRun(t *testing.T) {
	s := serveApart(t, "serve", shareWithBig(t), "--tftp", "127.0.0.1:0", "--state", t.TempDir())
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGPIPE, syscall.SIGHUP} {
		if err := s.cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
	}
	a := askSocket(s.where.Socket)
	defer a.close()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		var answer struct {
			Raw []struct {
				Text string `json:"text"`
			} `json:"events"`
		}
		if err := a.Get(t.Context(), "events", nil, &answer); err != nil {
			t.Fatalf("it does not answer: %v: %s", err, s.out.String())
		}
		for _, e := range answer.Raw {
			if strings.HasPrefix(e.Text, "reload") {
				return
			}
		}
	}
	t.Fatal("SIGHUP is no order to reload")
}

func TestReadyFileOfAFormerRunIsNotFound(t *testing.T) {
	ready := filepath.Join(t.TempDir(), "ready")
	if err := os.WriteFile(ready, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := forgetReady(ready); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(ready); err == nil {
		t.Error("it is there still")
	}
	if err := forgetReady(filepath.Dir(ready)); err == nil {
		t.Error("a folder is taken for a ready file")
	}
}

func TestNameIsFoundAsItIsShown(t *testing.T) {
	for _, raw := range []string{"a\nb", "\x1b[31m", "\xff\xfe bad", "\u202ertl", `back\slash`, `a\nb`, `\x`, `end\`, "tab\tü", "plain", "\xc2\x9b"} {
		if got := unescape(tallyman.Escape(raw)); tallyman.Escape(got) != tallyman.Escape(raw) {
			t.Errorf("%q is shown as %s and taken for %q", raw, tallyman.Escape(raw), got)
		}
	}
	if got := unescape(`\x1b[31m\u202e`); got != "\x1b[31m\u202e" {
		t.Errorf("%q", got)
	}
}
