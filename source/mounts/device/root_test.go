//go:build root

package device

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// These tests make file systems with tools of /usr/sbin: they are compiled by "go test -tags root".

// image makes a file, and a file system in it with the tools of Debian.
func image(t *testing.T, size int64, command ...string) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err == nil {
		err = f.Truncate(size)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if out, err := exec.CommandContext(t.Context(), command[0], append(command[1:], path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", command, err, out)
	}
	return f
}

func TestLabelIsReadFromRealFileSystem(t *testing.T) {
	m, ok := marksIn(image(t, 4<<20, "mkfs.ext4", "-q", "-F", "-L", "my stick", "-U", "0b5ad32a-8d5c-4b3d-9a45-6d2bca1f4f11"))
	if want := (marks{"my stick", "0b5ad32a-8d5c-4b3d-9a45-6d2bca1f4f11"}); !ok || m != want {
		t.Errorf("got %+v, want %+v", m, want)
	}
}
