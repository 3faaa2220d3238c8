package tree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tallyman/tree"
)

func TestNearestNamesTheFileThatWasMeant(t *testing.T) {
	root, out := outside(t)
	for _, path := range []string{"pxelinux.0", "pxelinux.cfg/default", "Images/c2960-lanbase.bin", "sw1-confg", "sw2-confg", ".kept/vmlinuz-" + stamped, "boot/x86/vmlinuz", "secret-key"} {
		put(t, filepath.Join(root, path), "")
	}
	if err := os.Chmod(filepath.Join(root, "secret-key"), 0o600); err != nil {
		t.Fatal(err)
	}
	symlink(t, out+"/f", filepath.Join(root, "away"))
	tr := open(t, root, tree.Config{WorldReadableOnly: true})
	f := func(asked, want string) {
		t.Helper()
		if got := tr.Nearest(named(t, asked)); got != want {
			t.Errorf("nearest to %q is %q, want %q", asked, got, want)
		}
	}
	f("PXELINUX.0", "pxelinux.0")
	f("pxelinux.O", "pxelinux.0")
	f("pxelinxu.0", "pxelinux.0")
	f("images/c2960-lanbase.bin", "Images/c2960-lanbase.bin")
	f("IMAGES/C2960-LANBASE.BIM", "Images/c2960-lanbase.bin")
	f("pxelinux.cfg/defualt", "pxelinux.cfg/default") //nolint:misspell // the slip is what is tested
	f("tftpboot/pxelinux.0", "pxelinux.0")
	f("vmlinuz", "boot/x86/vmlinuz")
	f("sw2-config", "sw2-confg")
	f("secret-kei", "")
	f("awax", "")
	f("nothing-like-it", "")
	f("\xff\xfe\n", "")
}

func TestNearestLooksAtABoundedNumberOfNames(t *testing.T) {
	root := t.TempDir()
	for i := range 300 {
		put(t, filepath.Join(root, fmt.Sprintf("d%03d", i), "f"), "")
	}
	opened := 0
	tr := open(t, root, tree.Config{Step: func(op, _ string) error {
		if op == "readdir" {
			opened++
		}
		return nil
	}})
	if got := tr.Nearest(named(t, "zzz/wanted-file")); got != "" || opened > 4096 {
		t.Errorf("%q after %d folders", got, opened)
	}
}

func TestDistanceCountsEdits(t *testing.T) {
	f := func(a, b string, want int) {
		t.Helper()
		if got := tree.Distance(a, b, 10); got != want {
			t.Errorf("distance(%q, %q) = %d, want %d", a, b, got, want)
		}
		if got := tree.Distance(b, a, 10); got != want {
			t.Errorf("distance(%q, %q) = %d, want %d", b, a, got, want)
		}
	}
	f("", "", 0)
	f("abc", "abc", 0)
	f("abc", "acb", 1)
	f("abc", "abd", 1)
	f("abc", "ab", 1)
	f("kitten", "sitting", 3)
	f("", "abcdefghijklm", 10)
	f("aaaaaaaaaaaa", "bbbbbbbbbbbb", 10)
}
