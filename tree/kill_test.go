package tree_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/tree"
	"tallyman/tree/reserved"
)

// victimEnv makes this test binary a process that stores one upload and dies at one of its file operations: ROOT, MODE, LINKS, N.
const victimEnv = "TALLYMAN_TREE_VICTIM"

func TestMain(m *testing.M) {
	if order := os.Getenv(victimEnv); order != "" {
		victim(strings.Split(order, "\n"))
		return
	}
	os.Exit(m.Run())
}

const acknowledged = "acknowledged"

// victim dies by SIGKILL before its n-th operation. It acknowledges on standard output what Commit has stored.
func victim(order []string) {
	root, links := order[0], order[2] == "true"
	mode, _ := strconv.Atoi(order[1])
	n, _ := strconv.Atoi(order[3])
	die := func(string, string) error {
		if n--; n == 0 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	tr, err := tree.Open(root, tree.Config{Zone: time.UTC, Step: func(op, path string) error {
		_ = die(op, path)
		if op == "link" && !links {
			return unix.EPERM
		}
		return nil
	}})
	if err == nil {
		var name tallyman.Name
		if name, err = tallyman.ParseName("sub/f"); err == nil {
			_, err = upload(tr, name, tree.UploadOptions{Mode: tree.Mode(mode), MinFree: 1}, newContent)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(acknowledged)
	_ = die("acknowledge", "")
}

var newContent = strings.Repeat("new ", 50_000)

// TestKillAtEachOperationLeavesNothingPartial kills an upload at each of its file operations in turn.
func TestKillAtEachOperationLeavesNothingPartial(t *testing.T) {
	f := func(mode tree.Mode, exists, links bool) {
		t.Helper()
		n := 1
		for killOne(t, mode, exists, links, n) {
			n++
		}
		if n < 8 {
			t.Errorf("mode %d: only %d operations", mode, n)
		}
	}
	f(tree.Keep, true, true)
	f(tree.Keep, true, false)
	f(tree.Keep, false, true)
	f(tree.Create, false, true)
	f(tree.Overwrite, true, true)
}

// killOne kills at the n-th operation, checks what is left, and reports whether there was such an operation.
func killOne(t *testing.T, mode tree.Mode, exists, links bool, n int) bool {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	if exists {
		put(t, filepath.Join(root, "sub/f"), "old")
	}
	out, killed := runVictim(t, root, mode, links, n)
	acked := strings.Contains(out, acknowledged)
	got, err := os.ReadFile(filepath.Join(root, "sub/f"))
	switch {
	case err != nil && (exists || acked):
		t.Errorf("mode %d, killed at %d: %v", mode, n, err)
	case err == nil && string(got) != newContent && (acked || string(got) != "old"):
		t.Errorf("mode %d, killed at %d: %d bytes under the final name, acknowledged %v", mode, n, len(got), acked)
	}
	if _, err := open(t, root, tree.Config{}).Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	old := 0
	for _, path := range listed(t, root) {
		c := content(t, filepath.Join(root, path))
		if reserved.IsTemporary(filepath.Base(path)) || c != "old" && c != newContent {
			t.Errorf("mode %d, killed at %d: left %s with %d bytes", mode, n, path, len(c))
		}
		if c == "old" {
			old++
		}
	}
	if mode == tree.Keep && exists && old == 0 {
		t.Errorf("killed at %d: the old version is lost", n)
	}
	return killed
}

func runVictim(t *testing.T, root string, mode tree.Mode, links bool, n int) (out string, killed bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s\n%d\n%v\n%d", victimEnv, root, mode, links, n))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		status, _ := exit.Sys().(syscall.WaitStatus)
		killed = status.Signaled() && status.Signal() == syscall.SIGKILL
	}
	if err != nil && !killed {
		t.Fatalf("victim %d: %v\n%s", n, err, stderr.String())
	}
	return string(b), killed
}
