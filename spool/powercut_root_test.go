//go:build root

package spool

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// shutdownNow is FS_IOC_SHUTDOWN of linux/fs.h, and nolog its flag FS_SHUTDOWN_FLAGS_NOLOGFLUSH: the file system stops at once, its
// journal is not flushed. To the disk that is a power cut.
const (
	shutdownNow = 0x8004587d
	nolog       = 2
)

// island is an ext4 of its own on a loop device.
type island struct {
	image, at string
}

func newIsland(t *testing.T) island {
	t.Helper()
	base := t.TempDir()
	i := island{filepath.Join(base, "image"), filepath.Join(base, "mnt")}
	if err := os.Mkdir(i.at, 0o700); err != nil {
		t.Fatal(err)
	}
	command(t, "truncate", "-s", "64M", i.image)
	command(t, "mkfs.ext4", "-q", "-F", i.image)
	i.mount(t)
	t.Cleanup(func() { _ = unix.Unmount(i.at, unix.MNT_DETACH) })
	return i
}

// alone runs the test once more in a process with mounts of its own, and reports whether this is that process. Else every process that
// copies the mounts of this machine in the meantime (unshare, ip netns) would keep our file system alive over its unmount.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("tests with the tag root mount file systems: run them as root")
	}
	if os.Getenv("SPOOL_ALONE") == t.Name() {
		return true
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "SPOOL_ALONE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%s", out)
	return false
}

func command(t *testing.T, name string, arg ...string) {
	t.Helper()
	if out, err := exec.Command(name, arg...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, arg, err, out)
	}
}

func (i island) mount(t *testing.T) {
	t.Helper()
	command(t, "mount", "-o", "loop", i.image, i.at)
}

func (i island) cut() error {
	f, err := os.Open(i.at)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdownNow, nolog)
}

func (i island) remount(t *testing.T) {
	t.Helper()
	if err := unix.Unmount(i.at, 0); err != nil {
		t.Fatalf("unmount: %v", err)
	}
	i.mount(t)
}

func TestAPowerCutAtAnyFileOperationLosesNothingAcknowledged(t *testing.T) {
	if !alone(t) {
		return
	}
	at := newIsland(t)
	total, cuts := 1, 0
	for n := 0; n <= total; n++ {
		dir := filepath.Join(at.at, fmt.Sprint("spool", n))
		said, err := os.CreateTemp(t.TempDir(), "said")
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		ops := 0
		err = work(dir, "first", said, func(_, _ string) error {
			mu.Lock()
			defer mu.Unlock()
			if ops++; ops == n {
				return at.cut()
			}
			return nil
		})
		switch {
		case n == 0 && err != nil:
			t.Fatal(err)
		case n == 0:
			total = ops
		case ops >= n:
			cuts++
		}
		out, rerr := os.ReadFile(said.Name())
		if rerr != nil {
			t.Fatal(rerr)
		}
		l := newLedger()
		l.hear(t, string(out))
		if n > 0 {
			at.remount(t)
		}
		l.check(t, fmt.Sprintf("power cut at %d", n), dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if cuts < 80 {
		t.Fatalf("only %d power cuts", cuts)
	}
	t.Logf("%d power cuts", cuts)
}

func TestWhatAReaderGotAfterAKillSurvivesAPowerCut(t *testing.T) {
	if !alone(t) {
		return
	}
	files, want := filled(t, 6)
	at := newIsland(t)
	dir := filepath.Join(at.at, "spool")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	unix.Sync()
	for name, b := range files { // as after kill -9: in the page cache alone
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, small(dir))
	r := mustReader(t, s, "join")
	same(t, "after the kill", drain(t, s, r), want)
	r.Close()
	if err := at.cut(); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	at.remount(t)
	s = mustOpen(t, small(dir))
	defer s.Close()
	r = mustReader(t, s, "join")
	defer r.Close()
	same(t, "after the power cut", drain(t, s, r), want)
}

func TestARealFullDiskLosesNothingAndGoesOn(t *testing.T) {
	if !alone(t) {
		return
	}
	at := t.TempDir()
	if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	s := mustOpen(t, Config{Dir: filepath.Join(at, "spool"), SegmentSize: 8 << 10, MaxSize: 1 << 20})
	defer s.Close()
	r := mustReader(t, s, "join")
	defer r.Close()
	var want []string
	var err error
	for i := 0; err == nil; i++ {
		want = append(want, fmt.Sprintf("%d %0700d", i, i))
		_, err = s.Commit(t.Context(), []byte(want[i]))
	}
	if !errors.Is(err, unix.ENOSPC) || len(want) < 60 {
		t.Fatal(len(want), err)
	}
	got := entries(t, s, r)
	if len(got) < len(want)-12 || len(got) > len(want) {
		t.Fatalf("%d of %d are delivered", len(got), len(want))
	}
	if err := r.Commit(got[len(got)-1].ID); err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.segments) == 1 })
	mustCommit(t, s, "there is room")
	got = append(got, entries(t, s, r)...)
	want = append(want, "there is room")
	if len(got) != len(want) {
		t.Fatalf("%d of %d are delivered", len(got), len(want))
	}
	for i, e := range got {
		if string(e.Payload) != want[i] || e.Lost > 0 {
			t.Fatalf("entry %d is %v %q", i, e.ID, e.Payload)
		}
	}
}
