package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// resident is the highest resident memory of pid so far in bytes.
func resident(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	return field(text, "VmHWM:", 1024)
}

// field is the number behind a name in a file of lines, times unit.
func field(text []byte, name string, unit int64) (int64, error) {
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n * unit, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

// account is a control group of one server and its children, ended ones included. (A
// parent's account in /proc lacks the children of tftpd-hpa, which ignores SIGCHLD.)
type account struct {
	processor, memory string // folders; the same one in cgroup v2
}

// newAccount makes the group and moves pid into it; what pid used before is not counted.
func newAccount(pid int) (*account, error) {
	a, err := emptyAccount("tallyman-bench-" + strconv.Itoa(pid))
	if err != nil {
		return nil, err
	}
	for _, dir := range a.folders() {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
			return nil, fmt.Errorf("move the server into its control group: %w", err)
		}
	}
	return a, nil
}

// emptyAccount makes a group without a process.
func emptyAccount(name string) (*account, error) {
	const root = "/sys/fs/cgroup"
	a := &account{filepath.Join(root, "cpuacct", name), filepath.Join(root, "memory", name)}
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		a = &account{filepath.Join(root, name), filepath.Join(root, name)}
	}
	for _, dir := range a.folders() {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make a control group: %w", err)
		}
	}
	return a, nil
}

func (a *account) folders() []string {
	return slices.Compact([]string{a.processor, a.memory})
}

// used is the processor time of the group, user and system.
func (a *account) used() (time.Duration, error) {
	if text, err := os.ReadFile(filepath.Join(a.processor, "cpuacct.usage")); err == nil {
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return time.Duration(n), err
	}
	text, err := os.ReadFile(filepath.Join(a.processor, "cpu.stat"))
	if err != nil {
		return 0, err
	}
	n, err := field(text, "usage_usec", int64(time.Microsecond))
	return time.Duration(n), err
}

// held is the memory that the group and the kernel for it hold, without page cache:
// anonymous memory, slabs, stacks, page tables, sockets.
func (a *account) held() (int64, error) {
	stat, err := os.ReadFile(filepath.Join(a.memory, "memory.stat"))
	if err != nil {
		return 0, err
	}
	kernel, err := os.ReadFile(filepath.Join(a.memory, "memory.kmem.usage_in_bytes"))
	if err != nil {
		return sum(stat, "anon", "kernel", "sock")
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(kernel)), 10, 64)
	if err != nil {
		return 0, err
	}
	own, err := sum(stat, "rss")
	return own + n, err
}

func sum(text []byte, names ...string) (int64, error) {
	var total int64
	for _, name := range names {
		n, err := field(text, name, 1)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// close removes the group. Processes that have just been killed still fill it for a moment.
func (a *account) close() {
	for _, dir := range a.folders() {
		for deadline := time.Now().Add(2 * time.Second); time.Now().Before(deadline); {
			if err := os.Remove(dir); !errors.Is(err, unix.EBUSY) {
				break
			}
			<-time.After(10 * time.Millisecond)
		}
	}
}

// pin keeps a running server and all it will start on serverProcessor. It comes after the
// start, so that our server sees how many processors there are.
func pin(pid int) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return err
	}
	var set unix.CPUSet
	set.Set(serverProcessor)
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("pin the server: %w", err)
		}
	}
	return nil
}
