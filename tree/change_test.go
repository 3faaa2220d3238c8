package tree_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tallyman"
	"tallyman/tree"
)

func TestNamesAreChanged(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	ok(tr.Mkdir(named(t, "d")))
	ok(tr.Mkdir(named(t, "d/e")))
	put(t, filepath.Join(root, "f"), "one")
	put(t, filepath.Join(root, "g"), "two")
	ok(tr.Rename(named(t, "f"), named(t, "d/e/h"), false))
	if got := content(t, filepath.Join(root, "d/e/h")); got != "one" {
		t.Errorf("it holds %q", got)
	}
	refused(t, tr.Rename(named(t, "g"), named(t, "d/e/h"), false), tallyman.Exists, "exists")
	refused(t, tr.Rename(named(t, "d/e"), named(t, "g"), true), tallyman.Exists, "exists")
	ok(tr.Rename(named(t, "g"), named(t, "d/e/h"), true))
	if got := content(t, filepath.Join(root, "d/e/h")); got != "two" {
		t.Errorf("it holds %q", got)
	}
	refused(t, tr.Rmdir(named(t, "d/e")), tallyman.NotWritable, "not empty")
	refused(t, only(tr.Remove(named(t, "d"))), tallyman.NotWritable, "a folder")
	refused(t, tr.Rmdir(named(t, "d/e/h")), tallyman.NotFound, "")
	refused(t, tr.Mkdir(named(t, "d")), tallyman.Exists, "exists")
	refused(t, tr.Mkdir(named(t, "x/y")), tallyman.NotFound, "")
	at := time.Date(2001, 2, 3, 4, 5, 6, 7e6, time.UTC)
	ok(tr.SetModified(named(t, "d/e/h"), at))
	ok(tr.SetMode(named(t, "d/e/h"), 0o600))
	if i, err := tr.Stat(named(t, "d/e/h")); err != nil || !i.Modified.Equal(at) || i.Mode != 0o600 {
		t.Errorf("%+v, %v", i, err)
	}
	ok(tr.SetModified(named(t, "d/e"), at)) // of a folder too; its mode stays
	refused(t, tr.SetMode(named(t, "d/e"), 0o700), tallyman.NotWritable, "a folder")
	if i, err := tr.Stat(named(t, "d/e")); err != nil || !i.Modified.Equal(at) || i.Mode != 0o755 {
		t.Errorf("%+v, %v", i, err)
	}
	ok(only(tr.Remove(named(t, "d/e/h"))))
	ok(tr.Rmdir(named(t, "d/e")))
	ok(tr.Rmdir(named(t, "d")))
	refused(t, only(tr.Remove(named(t, "f"))), tallyman.NotFound, "does not exist")
}

func TestNoChangeLeavesTheRootOrTouchesWhatIsReserved(t *testing.T) {
	root, out := outside(t)
	tr := open(t, root, tree.Config{})
	put(t, filepath.Join(root, "f"), "one")
	put(t, filepath.Join(root, ".kept", "v"), "old")
	symlink(t, out, filepath.Join(root, "dir"))
	symlink(t, "../out", filepath.Join(root, "relative"))
	symlink(t, filepath.Join(out, "f"), filepath.Join(root, "link"))
	symlink(t, ".kept", filepath.Join(root, "shelf"))
	bad := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*tree.Refusal](err); !ok {
			t.Errorf("got %v", err)
		}
	}
	for _, dir := range []string{"dir/", "relative/", ".kept/", "shelf/"} {
		bad(tr.Mkdir(named(t, dir+"new")))
		bad(only(tr.Remove(named(t, dir+"f"))))
		bad(only(tr.Remove(named(t, dir+"v"))))
		bad(tr.Rename(named(t, "f"), named(t, dir+"g"), true))
		bad(tr.Rename(named(t, dir+"f"), named(t, "g"), true))
		bad(tr.SetMode(named(t, dir+"f"), 0))
		bad(tr.SetModified(named(t, dir+"v"), stamp))
	}
	bad(tr.Rmdir(named(t, ".kept")))
	bad(tr.Rename(named(t, "f"), named(t, ".tallyman-0123456789abcdef.part"), true))
	bad(tr.SetMode(named(t, "link"), 0))
	bad(tr.Rename(named(t, "link"), named(t, "g"), false))
	bad(tr.Mkdir(tallyman.Name{}))
	if gone, err := tr.Remove(named(t, "link")); gone != -1 || err != nil {
		t.Error(err)
	}
	if got := content(t, filepath.Join(out, "f")); got != canary {
		t.Errorf("outside stands %q", got)
	}
	if st, err := os.Stat(filepath.Join(out, "f")); err != nil || st.Mode() != 0o644 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestResumedUploadLeavesTheOldFileUntilItIsWhole(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	path := filepath.Join(root, "f")
	put(t, path, "0123456789")
	f := func(resume int64, more, want string) {
		t.Helper()
		u, err := tr.Create(named(t, "f"), tree.UploadOptions{Mode: tree.Overwrite, Resume: resume})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write([]byte(more)); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, 3)
		if _, err := u.ReadAt(head, 0); err != nil || string(head) != want[:3] {
			t.Errorf("reads %q, %v", head, err)
		}
		before := content(t, path)
		if u.Size() != int64(len(want)) {
			t.Errorf("size %d, not %d", u.Size(), len(want))
		}
		if _, err := u.Commit(); err != nil || before == want {
			t.Errorf("%v, and before it %q", err, before)
		}
		if got := content(t, path); got != want {
			t.Errorf("stored %q, not %q", got, want)
		}
	}
	f(4, "abc", "0123abc")
	f(tree.ToEnd, "xyz", "0123abcxyz")
	f(10, "!", "0123abcxyz!")
	if _, err := tr.Create(named(t, "f"), tree.UploadOptions{Resume: 12}); err == nil {
		t.Error("a hole was allowed")
	} else {
		refused(t, err, tallyman.BadRequest, "resumed at 12")
	}
	_, err := tr.Create(named(t, "none"), tree.UploadOptions{Resume: 5})
	refused(t, err, tallyman.NotFound, "")
	u, err := tr.Create(named(t, "none"), tree.UploadOptions{Resume: tree.ToEnd})
	if err != nil {
		t.Fatal(err)
	}
	u.Abort()
	if got := content(t, path); got != "0123abcxyz!" {
		t.Errorf("stands %q", got)
	}
}

// only is the error of a removal.
func only(_ int64, err error) error { return err }
