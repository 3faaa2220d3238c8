package tree_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

func TestUploadIsInvisibleUntilItIsWhole(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	u, err := tr.Create(named(t, "f"), tree.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if n, err := u.Write([]byte("part ")); n != 5 || err != nil {
			t.Fatal(n, err)
		}
	}
	_, err = tr.OpenRead(named(t, "f"))
	refused(t, err, tallyman.NotFound)
	temps := temporary(t, root)
	if len(temps) != 1 {
		t.Fatalf("temporary files: %q", temps)
	}
	_, err = tr.OpenRead(named(t, temps[0]))
	refused(t, err, tallyman.NotFound)
	s, err := u.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if want := (tree.Stored{Path: filepath.Join(tr.Path(), "f"), Size: 15, Gone: -1}); s != want {
		t.Errorf("stored %+v, want %+v", s, want)
	}
	if got, err := read(tr, named(t, "f")); got != "part part part " || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	u.Abort()
	if got := listed(t, root); len(got) != 1 {
		t.Errorf("after Abort of a stored file: %q", got)
	}
	if _, err := u.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write after Commit: %v", err)
	}
	if _, err := u.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Commit: %v", err)
	}
}

func TestEmptyUploadIsAFile(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	if s := mustUpload(t, tr, "empty", tree.UploadOptions{}, ""); s.Size != 0 {
		t.Errorf("size %d", s.Size)
	}
	if got := content(t, filepath.Join(root, "empty")); got != "" {
		t.Errorf("%q", got)
	}
}

func TestAbortLeavesNothingAndTheOldFile(t *testing.T) {
	for _, mode := range []tree.Mode{tree.Keep, tree.Overwrite} {
		root := t.TempDir()
		put(t, filepath.Join(root, "f"), "old")
		tr := open(t, root, tree.Config{})
		u, err := tr.Create(named(t, "f"), tree.UploadOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(u, "half")
		u.Abort()
		u.Abort()
		if got := listed(t, root); len(got) != 1 || content(t, filepath.Join(root, "f")) != "old" {
			t.Errorf("mode %d: %q", mode, got)
		}
	}
}

func TestCreateRefusesATakenNameAtTheStartAndAtTheEnd(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	opt := tree.UploadOptions{Mode: tree.Create}
	late, err := tr.Create(named(t, "f"), opt)
	if err != nil {
		t.Fatal(err)
	}
	if s := mustUpload(t, tr, "f", opt, "first"); s.Kept != "" {
		t.Errorf("kept %q", s.Kept)
	}
	_, err = tr.Create(named(t, "f"), opt)
	refused(t, err, tallyman.Exists, "f exists")
	_, err = late.Commit()
	refused(t, err, tallyman.Exists)
	if got := listed(t, root); len(got) != 1 || content(t, filepath.Join(root, "f")) != "first" {
		t.Errorf("%q", got)
	}
}

func TestOverwriteReplacesAndKeepsNothing(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "f"), "old")
	tr := open(t, root, tree.Config{})
	if s := mustUpload(t, tr, "f", tree.UploadOptions{Mode: tree.Overwrite}, "new"); s.Kept != "" {
		t.Errorf("kept %q", s.Kept)
	}
	if got := listed(t, root); len(got) != 1 || content(t, filepath.Join(root, "f")) != "new" {
		t.Errorf("%q", got)
	}
}

func TestModeAndOwnerAreTheConfiguredOnes(t *testing.T) {
	old := unix.Umask(0o077)
	defer unix.Umask(old)
	root := t.TempDir()
	cfg := tree.Config{MakeDirs: true}
	if os.Geteuid() == 0 {
		cfg.UID, cfg.GID = 12345, 54321
	}
	mustUpload(t, open(t, root, cfg), "dir/f", tree.UploadOptions{}, "")
	cfg.Mode = 0o600
	mustUpload(t, open(t, root, cfg), "dir/g", tree.UploadOptions{}, "")
	for path, want := range map[string]fs.FileMode{"dir/f": 0o644, "dir/g": 0o600} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(root, path), &st); err != nil {
			t.Fatal(err)
		}
		if fs.FileMode(st.Mode&0o7777) != want {
			t.Errorf("%s has mode %04o, want %04o", path, st.Mode&0o7777, want)
		}
		if os.Geteuid() == 0 && (st.Uid != 12345 || st.Gid != 54321) {
			t.Errorf("%s is owned by %d:%d", path, st.Uid, st.Gid)
		}
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(root, "dir"), &st); err != nil || os.Geteuid() == 0 && st.Uid != 12345 || st.Mode&0o7777 != 0o755 {
		t.Errorf("dir is owned by %d and has mode %04o, %v", st.Uid, st.Mode&0o7777, err)
	}
}

func TestFoldersAreMadeOnlyWhenAllowed(t *testing.T) {
	root := t.TempDir()
	_, err := open(t, root, tree.Config{}).Create(named(t, "a/b/f"), tree.UploadOptions{})
	refused(t, err, tallyman.NotFound, "mkdir")
	if got := listed(t, root); len(got) != 0 {
		t.Errorf("%q", got)
	}
	tr := open(t, root, tree.Config{MakeDirs: true})
	mustUpload(t, tr, "a/b/f", tree.UploadOptions{}, "x")
	symlink(t, "a", filepath.Join(root, "link"))
	mustUpload(t, tr, "link/c/f", tree.UploadOptions{}, "y")
	if got := content(t, filepath.Join(root, "a/c/f")); got != "y" {
		t.Errorf("%q", got)
	}
	_, err = tr.Create(named(t, "a/b/f/g/h"), tree.UploadOptions{})
	refused(t, err, tallyman.NotFound)
}

func TestOnlyRegularFilesAreReplaced(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "target"), "old")
	symlink(t, "target", filepath.Join(root, "link"))
	if err := errors.Join(os.Mkdir(filepath.Join(root, "dir"), 0o755), unix.Mkfifo(filepath.Join(root, "fifo"), 0o666)); err != nil {
		t.Fatal(err)
	}
	tr := open(t, root, tree.Config{})
	for _, mode := range []tree.Mode{tree.Keep, tree.Create, tree.Overwrite} {
		for name, sort := range map[string]string{"link": "a symbolic link", "dir": "a folder", "fifo": "a FIFO"} {
			_, err := tr.Create(named(t, name), tree.UploadOptions{Mode: mode})
			refused(t, err, tallyman.NotWritable, sort)
		}
	}
	u, err := tr.Create(named(t, "late"), tree.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	symlink(t, "target", filepath.Join(root, "late"))
	_, err = u.Commit()
	refused(t, err, tallyman.NotWritable, "a symbolic link")
	if got := content(t, filepath.Join(root, "target")); got != "old" {
		t.Errorf("through a link: %q", got)
	}
}

func TestSizeAboveTheLimitIsRefusedAtTheStartOrWhenItIsReached(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	_, err := tr.Create(named(t, "f"), tree.UploadOptions{MaxSize: 1024, Announced: 1025})
	refused(t, err, tallyman.Quota, "1 KiB", "max_size")
	mustUpload(t, tr, "exact", tree.UploadOptions{MaxSize: 5, Announced: 5}, "12345")
	_, err = upload(tr, named(t, "f"), tree.UploadOptions{MaxSize: 5}, "123456")
	refused(t, err, tallyman.Quota)
	if got := listed(t, root); len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestUploadThatWouldFillTheDiskIsRefusedBeforeItsFirstByte(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	f := func(opt tree.UploadOptions) {
		t.Helper()
		_, err := tr.Create(named(t, "f"), opt)
		refused(t, err, tallyman.DiskFull, "min_free")
	}
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Fatal(err)
	}
	free := int64(st.Bavail) * st.Bsize
	f(tree.UploadOptions{Announced: 999_999_999_999_999})
	f(tree.UploadOptions{MinFree: 1 << 60})
	f(tree.UploadOptions{MinFree: free / 2, Announced: free/2 + free/4})
	if got := listed(t, root); len(got) != 0 {
		t.Errorf("%q", got)
	}
	mustUpload(t, tr, "f", tree.UploadOptions{MinFree: free / 2, Announced: 1}, "x")
}

func TestTwoUploadsOfOneNameNeverMix(t *testing.T) {
	for _, mode := range []tree.Mode{tree.Keep, tree.Overwrite} {
		root := t.TempDir()
		tr := open(t, root, tree.Config{})
		a, errA := tr.Create(named(t, "f"), tree.UploadOptions{Mode: mode})
		b, errB := tr.Create(named(t, "f"), tree.UploadOptions{Mode: mode})
		if err := errors.Join(errA, errB); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			_, errA = io.WriteString(a, "aaaa")
			_, errB = io.WriteString(b, "bb")
			if err := errors.Join(errA, errB); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := b.Commit(); err != nil {
			t.Fatal(err)
		}
		s, err := a.Commit()
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, filepath.Join(root, "f")); got != strings.Repeat("aaaa", 100) {
			t.Errorf("mode %d: %q", mode, got)
		}
		if mode == tree.Keep && content(t, s.Kept) != strings.Repeat("bb", 100) {
			t.Error("the other upload was not kept")
		}
	}
}

func TestNamesOfAnyBytesAreStoredAsTheyAre(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	for _, name := range []string{
		strings.Repeat("n", 255), "new\nline", "%s%n", "\xff\xfe", "esc\x1b[31m", `..\..\back`, "%2e%2e%2f", "\xc0\xae\xc0\xae", " ", "-rf", "~", "...",
	} {
		for i := range 3 {
			want := fmt.Sprint(name, i)
			mustUpload(t, tr, name, tree.UploadOptions{}, want)
			if got, err := read(tr, named(t, name)); got != want || err != nil {
				t.Errorf("%q: %q, %v", name, got, err)
			}
			if got := content(t, root+"/"+name); got != want {
				t.Errorf("%q on disk: %q", name, got)
			}
		}
	}
	if temps := temporary(t, root); len(temps) != 0 {
		t.Errorf("left: %q", temps)
	}
}

func TestUploadStaysTheSameFileWhenItGetsItsName(t *testing.T) {
	f := func(step tallyman.Step, mode tree.Mode) {
		t.Helper()
		root := t.TempDir()
		put(t, filepath.Join(root, "f"), "old")
		tr := open(t, root, tree.Config{Step: step})
		u, err := tr.Create(named(t, "f"), tree.UploadOptions{Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		was := u.Identity()
		if _, err := u.Commit(); err != nil {
			t.Fatal(err)
		}
		is, err := tree.Identify(u.Path())
		if err != nil || is.Dev != was.Dev || is.Ino != was.Ino || was.Ino == 0 {
			t.Errorf("mode %d: %+v became %+v, %v", mode, was, is, err)
		}
	}
	f(nil, tree.Keep)
	f(without(unix.EPERM, "link"), tree.Keep)
	f(nil, tree.Overwrite)
	if _, err := tree.Identify(filepath.Join(t.TempDir(), "none\n")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestDiskSizeIsThatOfTheRoot(t *testing.T) {
	root := t.TempDir()
	var st unix.Statfs_t
	if err := unix.Statfs(root, &st); err != nil {
		t.Fatal(err)
	}
	if size, err := open(t, root, tree.Config{}).DiskSize(); err != nil || size != st.Blocks*uint64(st.Bsize) {
		t.Errorf("%d, %v", size, err)
	}
}

// TestEveryFailingOperationLeavesTheOldFileOrTheNewOne fails each file operation of an upload in turn.
func TestEveryFailingOperationLeavesTheOldFileOrTheNewOne(t *testing.T) {
	for _, fail := range []struct {
		err    error
		reason tallyman.Reason
	}{{unix.EIO, tallyman.IOError}, {unix.ENOSPC, tallyman.DiskFull}, {unix.EDQUOT, tallyman.DiskFull}, {unix.EROFS, tallyman.NotWritable}} {
		for _, mode := range []tree.Mode{tree.Keep, tree.Create, tree.Overwrite} {
			for n := 1; failOne(t, mode, n, fail.err, fail.reason, nil); n++ {
			}
		}
		for n := 1; failOne(t, tree.Keep, n, fail.err, fail.reason, without(unix.EPERM, "link")); n++ {
		}
	}
}

// failOne fails the operation n and reports whether there was one.
func failOne(t *testing.T, mode tree.Mode, n int, fail error, reason tallyman.Reason, missing tallyman.Step) bool {
	t.Helper()
	root := t.TempDir()
	if mode != tree.Create {
		put(t, filepath.Join(root, "sub/f"), "old")
	} else if err := os.Mkdir(filepath.Join(root, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	count, failed := 0, ""
	tr := open(t, root, tree.Config{Step: func(op, path string) error {
		if count++; count == n {
			failed = op
			return fail
		}
		return missing.Do(op, path)
	}})
	_, err := upload(tr, named(t, "sub/f"), tree.UploadOptions{Mode: mode, MinFree: 1}, "new")
	if err != nil {
		refused(t, err, reason)
	} else if failed != "" && failed != "unlink" && failed != "readdir" {
		t.Errorf("mode %d: failing %s (operation %d) was not said", mode, failed, n)
	}
	got, _ := os.ReadFile(filepath.Join(root, "sub/f"))
	whole := string(got) == "new" || string(got) == "old" && mode != tree.Create || got == nil && mode == tree.Create
	if !whole || err == nil && string(got) != "new" {
		t.Errorf("mode %d: failing %s (operation %d) left %q, error %v", mode, failed, n, got, err)
	}
	if err != nil && strings.Contains(err.Error(), "stored") != (string(got) == "new") {
		t.Errorf("mode %d: failing %s (operation %d) left %q and says %v", mode, failed, n, got, err)
	}
	if temps := temporary(t, root); failed != "unlink" && len(temps) != 0 {
		t.Errorf("mode %d: failing %s (operation %d) left %q", mode, failed, n, temps)
	}
	if _, err := open(t, root, tree.Config{}).Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if temps := temporary(t, root); len(temps) != 0 {
		t.Errorf("mode %d: swept, and left %q", mode, temps)
	}
	return failed != ""
}
