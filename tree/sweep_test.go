package tree_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tallyman/tree"
)

func TestSweepTakesOnlyOurLeftoversThatNobodyHolds(t *testing.T) {
	root, out := outside(t)
	const temp = ".tallyman-0123456789abcdef.part"
	for _, path := range []string{temp, "a/" + temp, "a/b/" + temp, ".kept/a/" + temp} {
		put(t, filepath.Join(root, path), "left")
	}
	stay := []string{
		"f", ".tallyman-0123456789abcde.part", ".tallyman-0123456789abcdef0.part", ".tallyman-0123456789ABCDEF.part", ".tallyman-0123456789abcdef.part~",
		"x" + temp, ".tallyman-0123456789abcdeg.part", ".tallyman-.part",
	}
	for _, path := range stay {
		put(t, filepath.Join(root, path), "not ours")
	}
	put(t, filepath.Join(out, temp), "outside")
	symlink(t, out, filepath.Join(root, "link"))
	symlink(t, filepath.Join(out, "f"), filepath.Join(root, "a/.tallyman-1111111111111111.part"))
	if err := os.Mkdir(filepath.Join(root, ".tallyman-2222222222222222.part"), 0o755); err != nil {
		t.Fatal(err)
	}
	tr := open(t, root, tree.Config{})
	running, err := open(t, root, tree.Config{}).Create(named(t, "a/running"), tree.UploadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer running.Abort()
	if n, err := tr.Sweep(t.Context()); n != 4 || err != nil {
		t.Errorf("swept %d, %v; want 4", n, err)
	}
	got := listed(t, root)
	for _, path := range append(stay, "link", "a/.tallyman-1111111111111111.part") {
		if !slices.Contains(got, path) {
			t.Errorf("%s is gone", path)
		}
	}
	if content(t, filepath.Join(out, temp)) != "outside" {
		t.Error("a link was followed")
	}
	if _, err := running.Write([]byte("still running")); err != nil {
		t.Error(err)
	}
	if s, err := running.Commit(); err != nil || content(t, s.Path) != "still running" {
		t.Errorf("the running upload: %v", err)
	}
}

func TestSweepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, t.TempDir(), tree.Config{}).Sweep(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
