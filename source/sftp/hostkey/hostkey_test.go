package hostkey

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestKeysAreMadeOnceAndStay(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	prints := make([]string, 4)
	for i := range prints {
		all.Go(func() {
			keys, _, err := Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			for _, k := range keys {
				prints[i] += k.PublicKey().Type() + " " + ssh.FingerprintSHA256(k.PublicKey()) + "\n"
			}
		})
	}
	all.Wait()
	for _, p := range prints {
		if p != prints[0] || strings.Count(p, "\n") != 2 {
			t.Errorf("keys %q and %q", p, prints[0])
		}
	}
	if _, fresh, err := Open(dir); fresh || err != nil {
		t.Errorf("fresh %v, %v", fresh, err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}

func TestKeyThatOthersMayReadOrThatIsDamagedIsRefused(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Open(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "ssh_host_ed25519_key")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("got %v", err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
