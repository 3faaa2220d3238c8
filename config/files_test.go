package config

import (
	"os"
	"strings"
	"testing"
)

func TestExampleOfWatchedFoldersIsRead(t *testing.T) {
	text, err := os.ReadFile("../doc/files.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	c, err := Parse("t.yaml", []byte(example), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Watch.Files.Paths) == 0 || len(c.Watch.Files.Exclude) == 0 {
		t.Errorf("%q reads as %+v", example, c.Watch.Files)
	}
}

func TestWrongFoldersAreRefused(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := Parse("t.yaml", []byte(text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	f("watch: {files: {paths: [srv]}}", "is no whole path")
	f("watch: {files: {exclude: [cache]}}", "begins neither with /")
	f(`watch: {files: {exclude: ["/a/[b"]}}`, "is not closed")
	f("watch: {files: {integrity: sha256}}", "is not in this version")
}
