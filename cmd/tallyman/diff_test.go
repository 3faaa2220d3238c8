package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallyman/tree/reserved"
)

func TestNewestVersionOfALongNameIsFound(t *testing.T) {
	root, name := t.TempDir(), strings.Repeat("long-", 50)
	shelf := filepath.Join(root, reserved.Kept, "sub")
	if err := os.MkdirAll(shelf, 0o700); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	newest := reserved.Version(name, at)
	for _, kept := range []string{newest, reserved.Version(name, at.Add(-time.Hour)), reserved.Version(name+"x", at.Add(time.Hour))} {
		if err := os.WriteFile(filepath.Join(shelf, kept), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := newestKept(filepath.Join(root, "sub", name)); err != nil || filepath.Base(got) != newest {
		t.Errorf("%s, %v", got, err)
	}
}
