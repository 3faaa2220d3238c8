package demo_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman"
	"tallyman/cmd/tallyman/demo"
)

func TestActsWantLegalVerdictsOfNamedFiles(t *testing.T) {
	titles := map[string]bool{}
	for _, a := range demo.Acts() {
		if a.Title == "" || titles[a.Title] || len(a.Want) == 0 {
			t.Errorf("act %q", a.Title)
		}
		titles[a.Title] = true
		for _, w := range a.Want {
			if w.File == "" || !tallyman.Legal(w.Verdict, w.Reason) {
				t.Errorf("%s: %+v", a.Title, w)
			}
		}
	}
}

func TestSceneHoldsWhatTheActsFetch(t *testing.T) {
	root := t.TempDir()
	if err := demo.SetScene(root); err != nil {
		t.Fatal(err)
	}
	for _, a := range demo.Acts() {
		for _, w := range a.Want {
			st, err := os.Stat(filepath.Join(root, w.File))
			if w.Reason == tallyman.FinalAck && (err != nil || !st.Mode().IsRegular()) {
				t.Errorf("%s: %v", a.Title, err)
			}
			if w.Reason == tallyman.NotFound && err == nil {
				t.Errorf("%s: %s is there", a.Title, w.File)
			}
		}
	}
	if st, err := os.Stat(filepath.Join(root, demo.Tiny)); err != nil || !st.IsDir() {
		t.Errorf("%v", err)
	}
}

// TestActThatWasNotPlayedRightIsSaid answers every request with a file of one byte: no act that must be refused may call that well.
func TestActThatWasNotPlayedRightIsSaid(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for p := make([]byte, 2048); ; {
			n, from, err := conn.ReadFrom(p)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if n > 1 && p[1] == 1 { // RRQ
				_, _ = conn.WriteTo([]byte{0, 3, 0, 1, 'x'}, from)
			}
		}
	}()
	defer func() { _ = conn.Close(); <-done }()
	s := &demo.Stage{Server: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	played := 0
	for _, a := range demo.Acts() {
		if a.Want[0].Verdict != tallyman.Refused || len(a.Want) > 1 {
			continue
		}
		played++
		if err := a.Play(context.Background(), s); err == nil || !strings.Contains(err.Error(), "was not refused") {
			t.Errorf("%s: %v", a.Title, err)
		}
	}
	if played != 2 {
		t.Errorf("%d acts", played)
	}
}
