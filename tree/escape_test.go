package tree_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

const canary = "canary: this file lies outside of the root"

// outside makes a root beside a folder with a canary, and returns both.
func outside(t *testing.T) (root, out string) {
	t.Helper()
	base := t.TempDir()
	root, out = filepath.Join(base, "root"), filepath.Join(base, "out")
	put(t, filepath.Join(out, "f"), canary)
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root, out
}

func symlink(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

func TestLinksOutOfTheRootAreRefused(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		root, out := outside(t)
		symlink(t, filepath.Join(out, "f"), filepath.Join(root, "absolute"))
		symlink(t, "../out/f", filepath.Join(root, "relative"))
		symlink(t, out, filepath.Join(root, "dir"))
		symlink(t, "/proc/self/root", filepath.Join(root, "magic"))
		symlink(t, "loop", filepath.Join(root, "loop"))
		tr := open(t, root, tree.Config{MakeDirs: true})
		if legacy {
			if err := tr.ForceLegacy(); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"absolute", "relative", "dir/f", "magic/etc/passwd", "loop"} {
			got, err := read(tr, named(t, name))
			if err == nil {
				t.Fatalf("%s was served: %q", name, got)
			}
			refused(t, err, tallyman.NotReadable, name[:3])
			for _, mode := range []tree.Mode{tree.Keep, tree.Create, tree.Overwrite} {
				if _, err := upload(tr, named(t, name), tree.UploadOptions{Mode: mode}, "overwritten"); err == nil {
					t.Errorf("%s was written", name)
				} else {
					refused(t, err, tallyman.NotWritable)
				}
			}
		}
		if _, err := tr.Create(named(t, "dir/new/file"), tree.UploadOptions{}); err == nil {
			t.Error("a folder was made outside of the root")
		}
		if got := listed(t, out); len(got) != 1 || content(t, filepath.Join(out, "f")) != canary {
			t.Errorf("outside of the root: %q", got)
		}
	}
}

// TestSwappingLinksOpensNoWayOut lets one goroutine exchange a folder and a link that leads out, as fast as it can, while the tree reads and
// writes through that name.
func TestSwappingLinksOpensNoWayOut(t *testing.T) {
	both := func(t *testing.T, legacy bool) {
		root, out := outside(t)
		put(t, filepath.Join(root, "door/f"), "inside")
		put(t, filepath.Join(root, "name"), "inside")
		symlink(t, out, filepath.Join(root, "door2"))
		symlink(t, filepath.Join(out, "f"), filepath.Join(root, "name2"))
		tr := open(t, root, tree.Config{})
		if legacy {
			if err := tr.ForceLegacy(); err != nil {
				t.Fatal(err)
			}
		}
		swap := func(a, b string) {
			a, b = filepath.Join(root, a), filepath.Join(root, b)
			if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
				t.Error(err)
			}
		}
		var stop atomic.Bool
		var swapper sync.WaitGroup
		swapper.Go(func() {
			for !stop.Load() {
				swap("door", "door2")
				swap("name", "name2")
			}
		})
		inside, refusals := 0, 0
		names := []tallyman.Name{named(t, "door/f"), named(t, "name")}
		for i := range 20_000 {
			got, err := read(tr, names[i%2])
			switch {
			case err != nil:
				refusals++
			case got == "inside":
				inside++
			default:
				t.Errorf("read %q", got)
			}
		}
		for i := range 200 {
			if _, err := upload(tr, names[i%2], tree.UploadOptions{Mode: tree.Overwrite}, "inside"); err != nil {
				refusals++
			}
		}
		stop.Store(true)
		swapper.Wait()
		if inside == 0 || refusals == 0 {
			t.Errorf("%d reads inside, %d refusals: the swapper was not met", inside, refusals)
		}
		if got := listed(t, out); strings.Join(got, " ") != "f" || content(t, filepath.Join(out, "f")) != canary {
			t.Errorf("outside of the root: %q", got)
		}
	}
	t.Run("openat2", func(t *testing.T) { both(t, false) })
	t.Run("os.Root", func(t *testing.T) { both(t, true) })
}

func TestUploadIntoAFolderThatWasMovedAwayIsRefused(t *testing.T) {
	root, out := outside(t)
	put(t, filepath.Join(root, "dir/other"), "")
	tr := open(t, root, tree.Config{})
	u, err := tr.Create(named(t, "dir/f"), tree.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, "dir"), filepath.Join(out, "dir")); err != nil {
		t.Fatal(err)
	}
	_, err = u.Commit()
	refused(t, err, tallyman.NotFound, "moved")
	if got := listed(t, out); strings.Join(got, " ") != "dir/other f" {
		t.Errorf("outside of the root: %q", got)
	}
}
