//go:build root

package tree_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

// These tests mount file systems: they are compiled by "go test -tags root" and need root.

// tmpfs mounts a small RAM disk.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	root := t.TempDir()
	if err := unix.Mount("tmpfs", root, "tmpfs", 0, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	return root
}

// ext4 makes an ext4 file system in a file and mounts it; again mounts it anew.
func ext4(t *testing.T) (root string, again func()) {
	t.Helper()
	dir := t.TempDir()
	image, root := filepath.Join(dir, "image"), filepath.Join(dir, "mnt")
	run := func(name string, args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
			t.Fatalf("%s %q: %v\n%s", name, args, err, out)
		}
	}
	run("truncate", "-s", "64M", image)
	run("mkfs.ext4", "-q", "-F", image)
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run("mount", "-o", "loop", image, root)
	t.Cleanup(func() { _ = unix.Unmount(root, unix.MNT_DETACH) })
	return root, func() {
		t.Helper()
		run("umount", root)
		run("mount", "-o", "loop", image, root)
	}
}

func TestFullDiskIsSaidAndLeavesNothing(t *testing.T) {
	root := tmpfs(t, "size=1m")
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "f"), "old")
	_, err := upload(tr, named(t, "f"), tree.UploadOptions{}, strings.Repeat("x", 3<<20/2))
	refused(t, err, tallyman.DiskFull)
	_, err = tr.Create(named(t, "f"), tree.UploadOptions{Announced: 3 << 20 / 2})
	refused(t, err, tallyman.DiskFull, "1.5 MiB")
	if got := listed(t, root); len(got) != 1 || content(t, filepath.Join(root, "f")) != "old" {
		t.Errorf("left %q", got)
	}
	mustUpload(t, tr, "f", tree.UploadOptions{}, strings.Repeat("x", 1<<19))
}

func TestUploadStopsBeforeTheFreeSpaceFallsBelowItsBound(t *testing.T) {
	root := tmpfs(t, "size=8m")
	tr := open(t, root, tree.Config{})
	u, err := tr.Create(named(t, "f"), tree.UploadOptions{MinFree: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = u.Write(block)
	}
	refused(t, err, tallyman.DiskFull, "min_free")
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Fatal(err)
	}
	if free := int64(st.Bavail) * st.Bsize; free < 3<<20 || u.Size() < 3<<20 {
		t.Errorf("stopped with %d bytes free after %d", free, u.Size())
	}
	u.Abort()
	if got := listed(t, root); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

func TestDiskWithoutInodesIsSaid(t *testing.T) {
	root := tmpfs(t, "size=1m,nr_inodes=3")
	tr := open(t, root, tree.Config{})
	mustUpload(t, tr, "a", tree.UploadOptions{}, "x")
	mustUpload(t, tr, "b", tree.UploadOptions{}, "x")
	_, err := tr.Create(named(t, "c"), tree.UploadOptions{})
	refused(t, err, tallyman.DiskFull, "df -i")
}

func TestFolderOnAnotherFileSystemKeepsItsVersionsItself(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "disk"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", filepath.Join(root, "disk"), "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(filepath.Join(root, "disk"), unix.MNT_DETACH) })
	put(t, filepath.Join(root, "disk/f"), "old")
	tr := open(t, root, tree.Config{})
	s := mustUpload(t, tr, "disk/f", tree.UploadOptions{}, "new")
	if s.Kept != filepath.Join(tr.Path(), "disk/.kept/f-"+stamped) || content(t, s.Kept) != "old" {
		t.Errorf("kept %q", s.Kept)
	}
}

func TestReadOnlyRemountServesReadsAndRefusesWrites(t *testing.T) {
	root, _ := ext4(t)
	put(t, filepath.Join(root, "f"), "old")
	tr := open(t, root, tree.Config{})
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if got, err := read(tr, named(t, "f")); got != "old" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, name := range []string{"f", "g"} {
		_, err := tr.Create(named(t, name), tree.UploadOptions{})
		refused(t, err, tallyman.NotWritable, "read-only")
	}
}

// shutdown cuts the power of a file system: what was not synced is gone (ext4, fs/ext4/ioctl.c: EXT4_IOC_SHUTDOWN, flag NOLOGFLUSH).
func shutdown(t *testing.T, root string) {
	t.Helper()
	const (
		shutdownIoctl = 0x8004587d
		noLogFlush    = uint32(2)
	)
	dir, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	flag := noLogFlush
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, dir.Fd(), shutdownIoctl, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		t.Fatal(errno)
	}
}

func TestCommittedUploadSurvivesAPowerCut(t *testing.T) {
	root, again := ext4(t)
	for i, mode := range []tree.Mode{tree.Keep, tree.Keep, tree.Overwrite, tree.Create} {
		name := fmt.Sprintf("sub/f%d", i)
		if mode != tree.Create {
			put(t, filepath.Join(root, name), "old")
		}
		unix.Sync()
		tr, err := tree.Open(root, tree.Config{MakeDirs: true, Zone: stamp.Location()})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Repeat(name, 20_000)
		half, err := tr.Create(named(t, fmt.Sprintf("half%d", i)), tree.UploadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := half.Write([]byte(want)); err != nil {
			t.Fatal(err)
		}
		mustUpload(t, tr, name, tree.UploadOptions{Mode: mode}, want)
		shutdown(t, root)
		half.Abort()
		_ = tr.Close()
		again()
		if got := content(t, filepath.Join(root, name)); got != want {
			t.Errorf("mode %d: %d bytes after the cut, want %d", mode, len(got), len(want))
		}
		if kept := filepath.Join(root, ".kept", name+"-"+stamped); mode == tree.Keep && content(t, kept) != "old" {
			t.Errorf("%s after the cut: %q", kept, content(t, kept))
		}
		if got := listed(t, root); slices.Contains(got, fmt.Sprintf("half%d", i)) {
			t.Errorf("half an upload is visible: %q", got)
		}
		if tr, err = tree.Open(root, tree.Config{}); err != nil {
			t.Fatal(err)
		}
		if _, err := tr.Sweep(t.Context()); err != nil {
			t.Error(err)
		}
		_ = tr.Close()
		if temps := temporary(t, root); len(temps) != 0 {
			t.Errorf("left %q", temps)
		}
	}
}

// TestPowerCutAtEachOperationLeavesTheOldFileOrTheNewOne cuts the power at each file operation of an upload that replaces a file.
func TestPowerCutAtEachOperationLeavesTheOldFileOrTheNewOne(t *testing.T) {
	root, again := ext4(t)
	for n := 1; ; n++ {
		name := fmt.Sprintf("f%d", n)
		put(t, filepath.Join(root, name), "old")
		unix.Sync()
		count := 0
		tr, err := tree.Open(root, tree.Config{Zone: stamp.Location(), Step: func(string, string) error {
			if count++; count == n {
				shutdown(t, root)
			}
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = upload(tr, named(t, name), tree.UploadOptions{}, newContent)
		_ = tr.Close()
		if count < n {
			break
		}
		again()
		got := content(t, filepath.Join(root, name))
		if got != newContent && (got != "old" || err == nil) {
			t.Errorf("cut at %d: %d bytes, error %v", n, len(got), err)
		}
		kept, _ := os.ReadFile(filepath.Join(root, ".kept", name+"-"+stamped))
		if got == newContent && string(kept) != "old" {
			t.Errorf("cut at %d: the old version is lost", n)
		}
	}
}
