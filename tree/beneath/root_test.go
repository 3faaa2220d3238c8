package beneath_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman/tree/beneath"
)

// both runs a test with openat2 and with what is used where that is missing. The root lies beside a folder "out" with a file "f".
func both(t *testing.T, test func(t *testing.T, root string, r *beneath.Root)) {
	for _, how := range []string{"openat2", "os.Root"} {
		t.Run(how, func(t *testing.T) {
			base := t.TempDir()
			root := filepath.Join(base, "root")
			put(t, filepath.Join(base, "out/f"), "outside")
			put(t, filepath.Join(root, "v2/image"), "two")
			r, err := beneath.Open(root)
			if err == nil && how == "os.Root" {
				err = r.WithoutOpenat2()
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = r.Close() }()
			test(t, root, r)
		})
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

// read returns the content of what the path leads to, and its real path.
func read(r *beneath.Root, path string) (content, real string, err error) {
	fd, real, err := r.Resolve(path, unix.O_RDONLY)
	if err != nil {
		return "", "", err
	}
	f := os.NewFile(uintptr(fd), path)
	b, err := io.ReadAll(f)
	return string(b), real, errors.Join(err, f.Close())
}

func TestLinksInsideAreFollowedAndTheRealPathIsKnown(t *testing.T) {
	both(t, func(t *testing.T, root string, r *beneath.Root) {
		link(t, "v2/image", filepath.Join(root, "image"))
		link(t, "v2", filepath.Join(root, "latest"))
		link(t, "../v2/image", filepath.Join(root, "v2/again"))
		for _, path := range []string{"v2/image", "image", "latest/image", "v2/again"} {
			if content, real, err := read(r, path); content != "two" || real != "v2/image" || err != nil {
				t.Errorf("%s: %q at %q, %v", path, content, real, err)
			}
		}
		fd, real, err := r.Resolve(".", unix.O_PATH)
		if err != nil || real != "." {
			t.Errorf("the root itself: %q, %v", real, err)
		}
		_ = unix.Close(fd)
	})
}

func TestNothingLeadsOut(t *testing.T) {
	both(t, func(t *testing.T, root string, r *beneath.Root) {
		link(t, filepath.Join(root, "../out/f"), filepath.Join(root, "absolute"))
		link(t, filepath.Join(root, "v2/image"), filepath.Join(root, "home")) // absolute, although it leads inside
		link(t, "../out/f", filepath.Join(root, "relative"))
		link(t, "../out", filepath.Join(root, "dir"))
		link(t, "/proc/self/root", filepath.Join(root, "magic"))
		link(t, "loop", filepath.Join(root, "loop"))
		for _, path := range []string{"absolute", "home", "relative", "dir/f", "magic/etc/passwd", "loop", "../out/f", "v2/../../out/f", "/etc/passwd"} {
			content, _, err := read(r, path)
			if !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.ELOOP) {
				t.Errorf("%s: %q, %v", path, content, err)
			}
		}
		if _, _, err := read(r, "none"); !errors.Is(err, unix.ENOENT) {
			t.Errorf("what is missing: %v", err)
		}
	})
}

// TestSwappingOpensNoWayOut lets one goroutine exchange a folder and a link that leads out, as fast as it can, while another reads through that name.
func TestSwappingOpensNoWayOut(t *testing.T) {
	both(t, func(t *testing.T, root string, r *beneath.Root) {
		put(t, filepath.Join(root, "door/f"), "inside")
		link(t, "../out", filepath.Join(root, "door2"))
		a, b := filepath.Join(root, "door"), filepath.Join(root, "door2")
		var stop atomic.Bool
		var swapper sync.WaitGroup
		swapper.Go(func() {
			for !stop.Load() {
				if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
					t.Error(err)
				}
			}
		})
		inside, refused := 0, 0
		for range 10_000 {
			content, _, err := read(r, "door/f")
			switch {
			case err != nil:
				refused++
			case content == "inside":
				inside++
			default:
				t.Errorf("read %q", content)
			}
		}
		stop.Store(true)
		swapper.Wait()
		if inside == 0 || refused == 0 {
			t.Errorf("%d inside, %d refused: the swapper was not met", inside, refused)
		}
	})
}

func TestClosedRootOpensNothing(t *testing.T) {
	both(t, func(t *testing.T, _ string, r *beneath.Root) {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, _, err := r.Resolve("v2/image", unix.O_RDONLY); err == nil {
			t.Error("opened below a closed root")
		}
	})
}
