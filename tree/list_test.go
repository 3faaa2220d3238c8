package tree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

// told writes a listing as "dir/ file:size".
func told(t *testing.T, tr *tree.Tree, name tallyman.Name) string {
	t.Helper()
	list, err := tr.List(name)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range list {
		if i.Dir {
			out = append(out, i.Name+"/")
		} else {
			out = append(out, fmt.Sprintf("%s:%d", i.Name, i.Size))
		}
	}
	return strings.Join(out, " ")
}

func TestListTellsWhatMayBeReadAndNothingReserved(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		root, out := outside(t)
		tr := open(t, root, tree.Config{})
		if legacy {
			if err := tr.ForceLegacy(); err != nil {
				t.Fatal(err)
			}
		}
		put(t, filepath.Join(root, "b"), "12345")
		put(t, filepath.Join(root, "a", "inner"), "1")
		put(t, filepath.Join(root, ".kept", "b-"+stamped), "old")
		put(t, filepath.Join(root, ".tallyman-0123456789abcdef.part"), "part")
		symlink(t, "b", filepath.Join(root, "link"))
		symlink(t, "../out", filepath.Join(root, "escape"))
		symlink(t, filepath.Join(out, "f"), filepath.Join(root, "absolute"))
		symlink(t, ".kept", filepath.Join(root, "shelf"))
		symlink(t, "nowhere", filepath.Join(root, "dangling"))
		if err := unix.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := told(t, tr, tallyman.Name{}); got != "a/ b:5 link:5" {
			t.Errorf("the root holds %q", got)
		}
		if got := told(t, tr, named(t, "a")); got != "inner:1" {
			t.Errorf("a holds %q", got)
		}
		for name, want := range map[string]tallyman.Reason{
			"none": tallyman.NotFound, "b": tallyman.NotFound, ".kept": tallyman.NotFound, "shelf": tallyman.NotFound, "escape": tallyman.NotReadable,
		} {
			_, err := tr.List(named(t, name))
			refused(t, err, want, name)
		}
		i, err := tr.Stat(named(t, "/a//inner"))
		if err != nil || i.Size != 1 || i.Dir || i.Name != "inner" || !i.Modified.Equal(stamp) || i.Mode != 0o644 {
			t.Errorf("%+v, %v", i, err)
		}
		if i, err = tr.Stat(tallyman.Name{}); err != nil || !i.Dir || i.Name != "" {
			t.Errorf("the root is %+v, %v", i, err)
		}
		for name, want := range map[string]tallyman.Reason{
			"none": tallyman.NotFound, "fifo": tallyman.NotFound, "shelf": tallyman.NotFound, "absolute": tallyman.NotReadable, "a/../b": "",
		} {
			parsed, err := tallyman.ParseName(name)
			if err != nil {
				continue
			}
			_, err = tr.Stat(parsed)
			refused(t, err, want, name)
		}
	}
}

func TestOthersListOnlyWhatIsOpenToThem(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{WorldReadableOnly: true})
	put(t, filepath.Join(root, "closed", "open", "f"), "1")
	put(t, filepath.Join(root, "unlisted", "f"), "1")
	for name, mode := range map[string]os.FileMode{"closed": 0o700, "unlisted": 0o711} {
		if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"closed", "closed/open", "unlisted"} {
		_, err := tr.List(named(t, name))
		refused(t, err, tallyman.NotReadable, "closed to others")
	}
	_, err := tr.Stat(named(t, "closed/open/f"))
	refused(t, err, tallyman.NotReadable, "closed to others")
	if i, err := tr.Stat(named(t, "unlisted/f")); err != nil || i.Size != 1 {
		t.Errorf("%+v, %v", i, err)
	}
}
