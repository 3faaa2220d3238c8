package tree_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

// both runs a test with openat2 and with what is used where that is missing.
func both(t *testing.T, cfg tree.Config, test func(t *testing.T, root string, tr *tree.Tree)) {
	for _, how := range []string{"openat2", "os.Root"} {
		t.Run(how, func(t *testing.T) {
			root := t.TempDir()
			tr := open(t, root, cfg)
			if how == "os.Root" {
				if err := tr.ForceLegacy(); err != nil {
					t.Fatal(err)
				}
			}
			test(t, root, tr)
		})
	}
}

func TestFileIsReadByteForByte(t *testing.T) {
	both(t, tree.Config{}, func(t *testing.T, root string, tr *tree.Tree) {
		want := strings.Repeat("0123456789", 10_000)
		put(t, filepath.Join(root, "boot/image"), want)
		for _, name := range []string{"boot/image", "/boot/image", "//boot/./image"} {
			if got, err := read(tr, named(t, name)); err != nil || got != want {
				t.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
			}
		}
		f, err := tr.OpenRead(named(t, "boot/image"))
		if err != nil {
			t.Fatal(err)
		}
		if f.Path() != filepath.Join(tr.Path(), "boot/image") || f.Size() != int64(len(want)) || !f.Modified().Equal(stamp) {
			t.Errorf("path %s, size %d, modified %s", f.Path(), f.Size(), f.Modified())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, err := f.ReadAt(make([]byte, 1), 0); err == nil {
			t.Error("a closed file was read")
		}
	})
}

func TestSizeIsTheOneAtOpen(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "log")
	put(t, path, "12345")
	tr := open(t, root, tree.Config{})
	f, err := tr.OpenRead(named(t, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if changed, err := f.Changed(); changed || err != nil {
		t.Errorf("Changed of an untouched file: %v, %v", changed, err)
	}
	if err := os.WriteFile(path, []byte("12345678"), 0o644); err != nil {
		t.Fatal(err)
	}
	read := func(at int64, size, n int, want error) {
		t.Helper()
		got, err := f.ReadAt(make([]byte, size), at)
		if got != n || err != want { //nolint:errorlint // io.ReaderAt: callers compare with ==
			t.Errorf("%d bytes at %d: %d, %v; want %d, %v", size, at, got, err, n, want)
		}
	}
	read(0, 16, 5, io.EOF)
	read(3, 2, 2, nil)
	read(5, 16, 0, io.EOF)
	read(-1, 16, 0, os.ErrInvalid)
	if changed, err := f.Changed(); !changed || err != nil {
		t.Errorf("Changed of a grown file: %v, %v", changed, err)
	}
	if err := os.Truncate(path, 2); err != nil {
		t.Fatal(err)
	}
	read(0, 5, 2, io.ErrUnexpectedEOF)
}

func TestOverwritingInPlaceIsNoticed(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "f")
	put(t, path, "aaaa")
	tr := open(t, root, tree.Config{})
	f, err := tr.OpenRead(named(t, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put(t, path, "bbbb") // same size, and the modification time is set back
	if changed, err := f.Changed(); !changed || err != nil {
		t.Errorf("Changed: %v, %v", changed, err)
	}
}

func TestOnlyRegularFilesAreServedAndNobodyBlocks(t *testing.T) {
	both(t, tree.Config{}, func(t *testing.T, root string, tr *tree.Tree) {
		if err := os.Mkdir(filepath.Join(root, "dir"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o666); err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("unix", filepath.Join(root, "sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		put(t, filepath.Join(root, "file"), "x")
		f := func(name string, reason tallyman.Reason, words ...string) {
			t.Helper()
			_, err := tr.OpenRead(named(t, name))
			refused(t, err, reason, words...)
		}
		f("dir", tallyman.NotReadable, "a folder")
		f("fifo", tallyman.NotReadable, "a FIFO")
		f("sock", tallyman.NotReadable, "socket")
		f("none", tallyman.NotFound, "does not exist")
		f("none/none", tallyman.NotFound)
		f("file/below", tallyman.NotFound)
		f("none\n%s%n\x1b[31m\xff", tallyman.NotFound, `\n%s%n\x1b[31m\xff`)
		_, err = tr.OpenRead(tallyman.Name{})
		refused(t, err, tallyman.BadRequest, "empty")
	})
}

func TestReservedNamesAreNotServed(t *testing.T) {
	both(t, tree.Config{}, func(t *testing.T, root string, tr *tree.Tree) {
		const temp = ".tallyman-0123456789abcdef.part"
		for _, path := range []string{".kept/a-" + stamped, "sub/.kept/a", temp, "sub/" + temp, ".tallyman-0123456789abcdef.part2", ".kept2", ".profile"} {
			put(t, filepath.Join(root, path), "secret")
		}
		if err := os.Symlink(".kept/a-"+stamped, filepath.Join(root, "link")); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{".kept/a-" + stamped, "sub/.kept/a", temp, "sub/" + temp, ".kept", ".KEPT/a", "link"} {
			_, err := tr.OpenRead(named(t, name))
			refused(t, err, tallyman.NotFound, "reserved")
			_, err = tr.Create(named(t, name), tree.UploadOptions{Mode: tree.Overwrite})
			refused(t, err, tallyman.NotWritable)
		}
		for _, name := range []string{".tallyman-0123456789abcdef.part2", ".kept2", ".profile"} {
			if _, err := read(tr, named(t, name)); err != nil {
				t.Errorf("%s is nobody's reserved name: %v", name, err)
			}
		}
	})
}

func TestFilesClosedToOthersAreRefusedEvenToRoot(t *testing.T) {
	both(t, tree.Config{WorldReadableOnly: true}, func(t *testing.T, root string, tr *tree.Tree) {
		put(t, filepath.Join(root, "open"), "x")
		put(t, filepath.Join(root, "closed"), "x")
		put(t, filepath.Join(root, "dir/sub/file"), "x")
		put(t, filepath.Join(root, "private/sub/file"), "x")
		for path, mode := range map[string]os.FileMode{"closed": 0o640, "private": 0o700} {
			if err := os.Chmod(filepath.Join(root, path), mode); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"open", "dir/sub/file"} {
			if _, err := read(tr, named(t, name)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := tr.OpenRead(named(t, "closed"))
		refused(t, err, tallyman.NotReadable, "chmod o+r", "0640")
		_, err = tr.OpenRead(named(t, "private/sub/file"))
		refused(t, err, tallyman.NotReadable, "chmod o+x", "private")
		if err := os.Chmod(filepath.Join(root, "closed"), 0); err != nil {
			t.Fatal(err)
		}
		_, err = tr.OpenRead(named(t, "closed"))
		refused(t, err, tallyman.NotReadable)
	})
}

func TestSystemErrorsBecomeReasons(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "f"), "x")
	var fail error
	tr := open(t, root, tree.Config{Step: func(string, string) error { return fail }})
	f := func(err error, reading, writing tallyman.Reason) {
		t.Helper()
		fail = err
		_, err = tr.OpenRead(named(t, "f"))
		refused(t, err, reading)
		if !errors.Is(err, fail) {
			t.Errorf("the refusal hides %v", fail)
		}
		_, err = tr.Create(named(t, "f"), tree.UploadOptions{})
		refused(t, err, writing)
	}
	f(unix.EACCES, tallyman.NotReadable, tallyman.NotWritable)
	f(unix.EPERM, tallyman.NotReadable, tallyman.NotWritable)
	f(unix.EROFS, tallyman.NotWritable, tallyman.NotWritable)
	f(unix.ENOSPC, tallyman.DiskFull, tallyman.DiskFull)
	f(unix.EDQUOT, tallyman.DiskFull, tallyman.DiskFull)
	f(unix.EFBIG, tallyman.Quota, tallyman.Quota)
	f(unix.EIO, tallyman.IOError, tallyman.IOError)
	f(unix.ESTALE, tallyman.IOError, tallyman.IOError)
	f(unix.EMFILE, tallyman.IOError, tallyman.IOError)
	f(unix.ENAMETOOLONG, tallyman.BadRequest, tallyman.BadRequest)
	f(unix.ELOOP, tallyman.NotReadable, tallyman.NotWritable)
	f(unix.ENOENT, tallyman.NotFound, tallyman.NotFound)
}

func TestRootThatIsMissingOrNoFolderIsNamed(t *testing.T) {
	dir := t.TempDir()
	if _, err := tree.Open(filepath.Join(dir, "none"), tree.Config{}); err == nil || !strings.Contains(err.Error(), "none") || !strings.Contains(err.Error(), "mkdir") {
		t.Errorf("missing root: %v", err)
	}
	put(t, filepath.Join(dir, "file"), "")
	if _, err := tree.Open(filepath.Join(dir, "file"), tree.Config{}); err == nil || !strings.Contains(err.Error(), "file") {
		t.Errorf("a file as root: %v", err)
	}
}

// BenchmarkOpenRead is the hot path of a small file: open, read, close.
func BenchmarkOpenRead(b *testing.B) {
	root := b.TempDir()
	put(b, filepath.Join(root, "f"), strings.Repeat("x", 1024))
	tr := open(b, root, tree.Config{WorldReadableOnly: true})
	name, p := named(b, "f"), make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		f, err := tr.OpenRead(name)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := f.ReadAt(p, 0); n != 1024 || err != nil {
			b.Fatal(n, err)
		}
		_ = f.Close()
	}
}

// BenchmarkOSRoot is what os.Root costs for the same.
func BenchmarkOSRoot(b *testing.B) {
	dir := b.TempDir()
	put(b, filepath.Join(dir, "f"), strings.Repeat("x", 1024))
	root, err := os.OpenRoot(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	p := make([]byte, 1024)
	b.ReportAllocs()
	for b.Loop() {
		f, err := root.OpenFile("f", os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Stat(); err != nil {
			b.Fatal(err)
		}
		if n, err := f.ReadAt(p, 0); n != 1024 || err != nil {
			b.Fatal(n, err)
		}
		_ = f.Close()
	}
}
