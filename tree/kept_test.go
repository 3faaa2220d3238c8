package tree_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
)

// without returns a step that makes a file system without the named operations.
func without(missing error, ops ...string) tallyman.Step {
	return func(op, _ string) error {
		if slices.Contains(ops, op) {
			return missing
		}
		return nil
	}
}

func TestOldVersionIsKeptUnderItsOwnTime(t *testing.T) {
	f := func(step tallyman.Step) {
		t.Helper()
		root := t.TempDir()
		put(t, filepath.Join(root, "a/b/sw-config"), "old")
		tr := open(t, root, tree.Config{Step: step})
		s := mustUpload(t, tr, "a/b/sw-config", tree.UploadOptions{}, "new")
		kept := filepath.Join(tr.Path(), ".kept/a/b/sw-config-"+stamped)
		if s.Kept != kept || content(t, kept) != "old" || content(t, s.Path) != "new" {
			t.Errorf("kept %q", s.Kept)
		}
		if got := listed(t, root); len(got) != 2 {
			t.Errorf("%q", got)
		}
		if st, err := os.Stat(kept); err != nil || !st.ModTime().Equal(stamp) {
			t.Errorf("its time: %v, %v", st.ModTime(), err)
		}
		if st, err := os.Stat(filepath.Join(root, ".kept")); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf(".kept: %v, %v", st.Mode(), err)
		}
	}
	f(nil)
	f(without(unix.EPERM, "link"))               // vfat, or protected_hardlinks
	f(without(unix.EINVAL, "exchange", "claim")) // NFS
	f(without(unix.EMLINK, "link"))              // a file with too many links
	f(without(unix.EOPNOTSUPP, "link"))          // some FUSE file systems
	f(without(unix.ENOSYS, "exchange"))          // an old kernel
}

func TestFileSystemThatCannotKeepSaysSo(t *testing.T) {
	root := t.TempDir()
	put(t, filepath.Join(root, "f"), "old")
	step := func(op, _ string) error {
		switch op {
		case "link":
			return unix.EPERM
		case "exchange":
			return unix.EINVAL
		}
		return nil
	}
	_, err := upload(open(t, root, tree.Config{Step: step}), named(t, "f"), tree.UploadOptions{}, "new")
	refused(t, err, "not-writable", "write: overwrite")
	if got := listed(t, root); len(got) != 1 || content(t, filepath.Join(root, "f")) != "old" {
		t.Errorf("left %q", got)
	}
}

func TestVersionsOfOneMomentTakeTheNextMillisecond(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{})
	var want []string
	for i := range 4 {
		put(t, filepath.Join(root, "f"), fmt.Sprint(i))
		s := mustUpload(t, tr, "f", tree.UploadOptions{}, "new")
		want = append(want, fmt.Sprintf("f-2020-04-20-11-05-37-%d", 345+i))
		if filepath.Base(s.Kept) != want[i] || content(t, s.Kept) != fmt.Sprint(i) {
			t.Errorf("kept %q, want %q", s.Kept, want[i])
		}
		_ = os.Remove(filepath.Join(root, "f"))
	}
}

func TestNewestVersionsStay(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{Kept: 3})
	others := []string{"f-" + stamped + "-" + stamped, "fine-" + stamped, "f-notes", "f-2020-04-20-11-05-37-34x"}
	for _, other := range others {
		put(t, filepath.Join(root, ".kept", other), "of another name")
	}
	for i := range 6 {
		path := filepath.Join(root, "f")
		put(t, path, fmt.Sprint(i))
		at := stamp.Add(time.Duration(i) * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		mustUpload(t, tr, "f", tree.UploadOptions{}, "new")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{".kept/f-2020-04-20-14-05-37-345", ".kept/f-2020-04-20-15-05-37-345", ".kept/f-2020-04-20-16-05-37-345"}
	for _, other := range others {
		want = append(want, ".kept/"+other)
	}
	slices.Sort(want)
	if got := listed(t, root); !slices.Equal(got, want) {
		t.Errorf("\n%q, want\n%q", got, want)
	}
}

func TestAllVersionsStayWhenAsked(t *testing.T) {
	root := t.TempDir()
	tr := open(t, root, tree.Config{Kept: -1})
	for i := range 40 {
		mustUpload(t, tr, "f", tree.UploadOptions{}, fmt.Sprint(i))
	}
	if got := listed(t, root); len(got) != 40 {
		t.Errorf("%d files", len(got))
	}
}

func TestShelfThatIsALinkIsRefused(t *testing.T) {
	root, out := outside(t)
	put(t, filepath.Join(root, "f"), "old")
	symlink(t, out, filepath.Join(root, ".kept"))
	_, err := upload(open(t, root, tree.Config{}), named(t, "f"), tree.UploadOptions{}, "new")
	refused(t, err, "not-writable", ".kept is no folder")
	if got := listed(t, out); len(got) != 1 || content(t, filepath.Join(root, "f")) != "old" {
		t.Errorf("outside: %q", got)
	}
}

// TestNoVersionIsLostWhenUploadsEndTogether commits many uploads of one name at once, through several trees: each content must be there afterwards,
// once, under the name or on the shelf.
func TestNoVersionIsLostWhenUploadsEndTogether(t *testing.T) {
	f := func(step tallyman.Step) {
		t.Helper()
		const writers, rounds = 8, 10
		root := t.TempDir()
		var wg sync.WaitGroup
		for w := range writers {
			tr := open(t, root, tree.Config{Kept: -1, Step: step})
			wg.Go(func() {
				for r := range rounds {
					if _, err := upload(tr, named(t, "f"), tree.UploadOptions{}, fmt.Sprintf("%d/%d", w, r)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		seen := map[string]int{}
		for _, path := range listed(t, root) {
			seen[content(t, filepath.Join(root, path))]++
		}
		for w := range writers {
			for r := range rounds {
				if n := seen[fmt.Sprintf("%d/%d", w, r)]; n != 1 {
					t.Errorf("upload %d/%d is there %d times", w, r, n)
				}
			}
		}
	}
	f(nil)
	f(without(unix.EPERM, "link"))
}

// TestReaderNeverFindsNoFileOrAMixedOne reads one name in a loop while a thousand uploads replace it.
func TestReaderNeverFindsNoFileOrAMixedOne(t *testing.T) {
	f := func(mode tree.Mode, uploads int, step tallyman.Step) {
		t.Helper()
		root := t.TempDir()
		tr := open(t, root, tree.Config{Step: step})
		generation := func(i int) string { return strings.Repeat(fmt.Sprintf("%08d", i), 1000+i%7) }
		mustUpload(t, tr, "f", tree.UploadOptions{}, generation(0))
		name, done := named(t, "f"), make(chan struct{})
		go func() {
			defer close(done)
			for i := 1; i <= uploads; i++ {
				if _, err := upload(tr, name, tree.UploadOptions{Mode: mode}, generation(i)); err != nil {
					t.Error(err)
				}
			}
		}()
		reads := 0
		for last := 0; ; reads++ {
			got, err := read(tr, name)
			i := 0
			if err == nil {
				_, err = fmt.Sscanf(got[:min(8, len(got))], "%d", &i)
			}
			if err != nil || got != generation(i) || i < last {
				t.Fatalf("mode %d: read %d after %d: %d bytes, %v", mode, i, last, len(got), err)
			}
			last = i
			select {
			case <-done:
				if last == uploads && reads < uploads/10 {
					t.Errorf("only %d reads", reads)
				}
				if last == uploads {
					return
				}
			default:
			}
		}
	}
	f(tree.Keep, 500, nil)
	f(tree.Overwrite, 500, nil)
	f(tree.Keep, 100, without(unix.EPERM, "link"))
}
