package tree_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tallyman"
	"tallyman/tree"
)

func TestBytesStandWhereTheClientPutThem(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	u, err := tr.Create(named(t, "f"), tree.UploadOptions{MaxSize: 12})
	if err != nil {
		t.Fatal(err)
	}
	defer u.Abort()
	for _, w := range []struct {
		at   int64
		text string
	}{{6, "world"}, {0, "hello "}, {11, "!"}} {
		if n, err := u.WriteAt([]byte(w.text), w.at); err != nil || n != len(w.text) {
			t.Fatalf("%d, %v", n, err)
		}
	}
	if u.Size() != 12 {
		t.Errorf("size %d", u.Size())
	}
	_, err = u.WriteAt([]byte("x"), 12)
	refused(t, err, tallyman.Quota, "max_size")
	refused(t, u.Truncate(13), tallyman.Quota, "max_size")
	if _, err = u.WriteAt([]byte("x"), -1); err == nil {
		t.Error("written before the begin")
	}
	if err := u.Truncate(11); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2020, 4, 20, 11, 5, 37, 0, time.UTC)
	u.SetMode(0o640)
	u.SetModified(at)
	if err := u.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := listed(t, root); len(got) != 1 || got[0] == "f" {
		t.Errorf("visible before it is whole: %q", got)
	}
	s, err := u.Commit()
	if err != nil || s.Size != 11 {
		t.Fatalf("%+v, %v", s, err)
	}
	st, err := os.Stat(filepath.Join(root, "f"))
	if err != nil || content(t, filepath.Join(root, "f")) != "hello world" || st.Mode().Perm() != 0o640 || !st.ModTime().Equal(at) {
		t.Errorf("%v, %v", st, err)
	}
	if _, err := u.WriteAt([]byte("x"), 0); err == nil {
		t.Error("written after the end")
	}
	if _, err := u.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read after the end")
	}
}

func TestReplacedFileIsKept(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "new"), "new")
	put(t, filepath.Join(root, "dir/old"), "old")
	_, err := tr.Replace(named(t, "new"), named(t, "dir/old"), tree.Create)
	refused(t, err, tallyman.Exists, "dir/old")
	kept, err := tr.Replace(named(t, "new"), named(t, "dir/old"), tree.Keep)
	if err != nil || kept != filepath.Join(root, ".kept/dir/old-"+stamped) || content(t, kept) != "old" || content(t, filepath.Join(root, "dir/old")) != "new" {
		t.Errorf("%q, %v, %q", kept, err, listed(t, root))
	}
	if kept, err = tr.Replace(named(t, "dir/old"), named(t, "fresh"), tree.Keep); err != nil || kept != "" {
		t.Errorf("%q, %v", kept, err)
	}
	put(t, filepath.Join(root, "again"), "again")
	if _, err = tr.Replace(named(t, "again"), named(t, "fresh"), tree.Overwrite); err != nil || content(t, filepath.Join(root, "fresh")) != "again" {
		t.Errorf("%v", err)
	}
	_, err = tr.Replace(named(t, "none"), named(t, "fresh"), tree.Keep)
	refused(t, err, tallyman.NotFound, "none")
	if content(t, filepath.Join(root, "fresh")) != "again" {
		t.Error("what was to be replaced by nothing is gone")
	}
}

func TestSecondNameIsOfAFileAndFree(t *testing.T) {
	root, out := outside(t)
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "f"), "f")
	symlink(t, filepath.Join(out, "f"), filepath.Join(root, "way"))
	if err := tr.Link(named(t, "f"), named(t, "g")); err != nil || content(t, filepath.Join(root, "g")) != "f" {
		t.Error(err)
	}
	refused(t, tr.Link(named(t, "f"), named(t, "g")), tallyman.Exists, "g")
	refused(t, tr.Link(named(t, "way"), named(t, "h")), tallyman.NotWritable, "symbolic link")
	refused(t, tr.Link(named(t, "f"), named(t, ".kept/h")), tallyman.NotWritable, "reserved")
}

func TestUsageCountsBytesAndFiles(t *testing.T) {
	root, out := outside(t)
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "f"), "12345")
	put(t, filepath.Join(root, "a/b/g"), "123")
	put(t, filepath.Join(root, ".kept/f-"+stamped), "12")
	symlink(t, out, filepath.Join(root, "way"))
	if bytes, files, err := tr.Usage(t.Context()); bytes != 10 || files != 3 || err != nil {
		t.Errorf("%d bytes, %d files, %v", bytes, files, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := tr.Usage(ctx); err == nil {
		t.Error("walks on")
	}
	s, err := tr.Space(tallyman.Name{})
	if err != nil || s.BlockSize == 0 || s.NameMax != 255 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A rename that fails keeps nothing: else a client that repeats it would drive the real old versions out.
func TestRenameThatFailsKeepsNoVersion(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "f"), "stands")
	put(t, filepath.Join(root, "d/x"), "x")
	for _, from := range []string{"missing", "d"} {
		if kept, err := tr.Replace(named(t, from), named(t, "f"), tree.Keep); err == nil || kept != "" {
			t.Errorf("%s: kept %q, %v", from, kept, err)
		}
	}
	if got := listed(t, root); len(got) != 2 {
		t.Errorf("there is %q", got)
	}
}
