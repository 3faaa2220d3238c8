package socket_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tallyman/web/socket"
)

func TestSocketReplacesAStaleOneAndGoesWhenItCloses(t *testing.T) {
	dir := t.TempDir()
	path := socket.Path(dir, dir)
	stale, err := net.Listen("unix", path) // a dead process left its socket
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	l, err := socket.Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("%v, %v", info, err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.sock*")); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestFileInTheWayOfTheSocketIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), socket.Name)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := socket.Listen(t.Context(), path); err == nil || !strings.Contains(err.Error(), "is no socket") {
		t.Errorf("got %v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "precious" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLongPathMovesToTheRuntimeFolder(t *testing.T) {
	const longest = 107 // unix(7)
	if got := socket.Path("/var/lib/tallyman", "/run"); got != "/var/lib/tallyman/tallyman.sock" {
		t.Errorf("short: %s", got)
	}
	long := "/" + strings.Repeat("x", 100)
	got := socket.Path(long, "/run/user/1000")
	if !strings.HasPrefix(got, "/run/user/1000/tallyman-") || len(got) > longest || got == socket.Path(long+"y", "/run/user/1000") {
		t.Errorf("long: %s", got)
	}
}
