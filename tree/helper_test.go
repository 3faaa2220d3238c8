package tree_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman"
	"tallyman/tree"
	"tallyman/tree/reserved"
)

// stamp is the time of the seed's example, in the zone that the tests write kept names in.
var stamp = time.Date(2020, 4, 20, 11, 5, 37, 345e6, time.UTC)

const stamped = "2020-04-20-11-05-37-345"

func open(t testing.TB, root string, cfg tree.Config) *tree.Tree {
	t.Helper()
	cfg.Zone = time.UTC
	tr, err := tree.Open(root, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tr.Close() })
	return tr
}

func named(t testing.TB, raw string) tallyman.Name {
	t.Helper()
	n, err := tallyman.ParseName(raw)
	if err != nil {
		t.Fatalf("ParseName(%q): %v", raw, err)
	}
	return n
}

// put makes a file of the seed's time, and the folders above it.
func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamp, stamp); err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// read opens a name and reads it whole.
func read(tr *tree.Tree, name tallyman.Name) (string, error) {
	f, err := tr.OpenRead(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	return string(b), err
}

// upload stores content under a name.
func upload(tr *tree.Tree, name tallyman.Name, opt tree.UploadOptions, content string) (tree.Stored, error) {
	u, err := tr.Create(name, opt)
	if err != nil {
		return tree.Stored{}, err
	}
	defer u.Abort()
	if _, err := io.WriteString(u, content); err != nil {
		return tree.Stored{}, err
	}
	return u.Commit()
}

func mustUpload(t testing.TB, tr *tree.Tree, name string, opt tree.UploadOptions, content string) tree.Stored {
	t.Helper()
	s, err := upload(tr, named(t, name), opt, content)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refused fails the test unless the error is a refusal with the reason, in one line, that names what is wanted.
func refused(t testing.TB, err error, reason tallyman.Reason, words ...string) {
	t.Helper()
	var r *tree.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal %s", err, reason)
	}
	if r.Reason != reason {
		t.Errorf("reason %s, want %s: %v", r.Reason, reason, err)
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			t.Errorf("text %q does not say %q", r.Text, w)
		}
	}
	if tallyman.Escape(r.Text) != r.Text {
		t.Errorf("text %q is not escaped", r.Text)
	}
}

// listed returns the paths of all files below a root, relative to it, sorted.
func listed(t testing.TB, root string) []string {
	t.Helper()
	out := []string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// temporary returns those files below a root that carry our temporary pattern.
func temporary(t testing.TB, root string) (out []string) {
	t.Helper()
	for _, path := range listed(t, root) {
		if reserved.IsTemporary(filepath.Base(path)) {
			out = append(out, path)
		}
	}
	return out
}
