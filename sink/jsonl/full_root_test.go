//go:build root

package jsonl_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"tallyman/sink/jsonl"
)

// island mounts a disk of 64 KiB in memory.
func island(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("tests with the tag root mount file systems: run them as root")
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

func TestFullDiskRefusesWholeBatchesAndKeepsEveryLineOfManyWriters(t *testing.T) {
	at := island(t)
	file := filepath.Join(at, "r.jsonl")
	var mu sync.Mutex
	taken := map[string]bool{}
	var refused []string
	var wg sync.WaitGroup
	for w := range 3 {
		s := open(t, jsonl.Config{File: file, MaxSize: 20 << 10, Keep: 9})
		wg.Go(func() {
			for i := range 200 {
				name := strconv.Itoa(w) + "-" + strconv.Itoa(i) + strings.Repeat("n", 150)
				err := s.Write(t.Context(), batch(name+"a", name+"b", name+"c"))
				mu.Lock()
				if err == nil {
					taken[name] = true
				} else {
					refused = append(refused, name)
				}
				mu.Unlock()
				if err != nil && !errors.Is(err, unix.ENOSPC) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(taken) < 20 || len(refused) < 20 {
		t.Fatalf("%d taken, %d refused", len(taken), len(refused))
	}
	check := func() {
		t.Helper()
		got := names(t, file+"*")
		if len(got) != 3*len(taken) {
			t.Errorf("%d lines of %d batches", len(got), len(taken))
		}
		for name := range taken {
			for _, part := range []string{"a", "b", "c"} {
				if got[name+part] != 1 {
					t.Errorf("%s stands %d times", name+part, got[name+part])
				}
			}
		}
	}
	check()
	if err := unix.Mount("", at, "", unix.MS_REMOUNT, "size=1m"); err != nil {
		t.Fatal(err)
	}
	s := open(t, jsonl.Config{File: file, MaxSize: 20 << 10, Keep: 90})
	for _, name := range refused[:20] {
		write(t, s, name+"a", name+"b", name+"c")
		taken[name] = true
	}
	check()
}
