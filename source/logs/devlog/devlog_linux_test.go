package devlog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/source/logs/devlog"
)

func send(t *testing.T, path string, texts ...string) {
	t.Helper()
	c, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, text := range texts {
		if _, err := c.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

func listen(t *testing.T) (string, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	conn, err := devlog.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, conn
}

func TestDatagramKeepsItsBytesAndItsSender(t *testing.T) {
	path, conn := listen(t)
	at := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	ctx, stop := context.WithCancel(t.Context())
	got := make(chan devlog.Datagram, 10)
	done := make(chan error, 1)
	go func() {
		done <- devlog.Run(ctx, conn, func() time.Time { return at }, func(list []devlog.Datagram) error {
			for _, d := range list {
				got <- d
			}
			return nil
		})
	}()
	want := []string{"<29>Nov 20 00:00:00 in.tftpd[7]: RRQ from 192.0.2.1 filename a\nRRQ from 1.2.3.4 filename forged\n", "e\x1b[31m\xff ", ""}
	send(t, path, want...)
	for _, text := range want {
		d := <-got
		if d.Text != text || int(d.PID) != os.Getpid() || int(d.UID) != os.Getuid() || !d.At.Equal(at) {
			t.Errorf("got %+v, want %q", d, text)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket stays: %v", err)
	}
}

func TestWhatIsInTheSocketIsDeliveredAtTheEnd(t *testing.T) {
	path, conn := listen(t)
	var texts []string
	for i := range 5 {
		texts = append(texts, fmt.Sprint("m", i))
	}
	send(t, path, texts...)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var got []string
	err := devlog.Run(ctx, conn, time.Now, func(list []devlog.Datagram) error {
		for _, d := range list {
			got = append(got, d.Text)
		}
		return nil
	})
	if err != nil || strings.Join(got, " ") != strings.Join(texts, " ") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSocketOfAnotherProgramIsLeftAlone(t *testing.T) {
	path, conn := listen(t)
	if _, err := devlog.Listen(path); err == nil || !strings.Contains(err.Error(), "another program listens") {
		t.Errorf("got %v", err)
	}
	_ = conn.Close()
	again, err := devlog.Listen(path) // it was left behind
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := devlog.Listen(file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v", err)
	}
}

func TestFailedDeliveryEndsIt(t *testing.T) {
	path, conn := listen(t)
	send(t, path, "x")
	full := errors.New("full")
	if err := devlog.Run(t.Context(), conn, time.Now, func([]devlog.Datagram) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}
