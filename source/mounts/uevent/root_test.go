//go:build root

package uevent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests make the kernel speak, and forge what it says: they are compiled by "go test -tags root" and need root.

// next waits for the next message.
func next(t *testing.T, s *Socket) Event {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		e, ok, err := s.Next()
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			return e
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}, 100); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	t.Fatal("no message came")
	return Event{}
}

func open(t *testing.T) *Socket {
	t.Helper()
	s, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// speak has the kernel tell about a block device.
func speak(t *testing.T) (name string) {
	t.Helper()
	all, err := filepath.Glob("/sys/block/*/uevent")
	if err != nil || len(all) == 0 {
		t.Fatalf("no block device: %v", err)
	}
	if err := os.WriteFile(all[0], []byte("change"), 0o200); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(filepath.Dir(all[0]))
}

func TestKernelIsHeardAndOthersAreNot(t *testing.T) {
	s := open(t)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	forged := "remove@/devices/virtual/block/forged\x00ACTION=remove\x00DEVPATH=/devices/virtual/block/forged\x00SUBSYSTEM=block\x00MAJOR=8\x00MINOR=17\x00"
	for range 3 {
		if err := unix.Sendto(fd, []byte(forged), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
			t.Fatal(err)
		}
	}
	name := speak(t)
	for {
		e := next(t, s)
		if strings.Contains(e.Path, "forged") {
			t.Fatalf("a forged message was taken: %+v", e)
		}
		if e.Action == "change" && e.Fields["DEVNAME"] == name {
			break
		}
	}
	if c := s.Counts(); c.Forged < 3 || c.Taken == 0 {
		t.Errorf("counted %+v", c)
	}
}

func TestSenderIsCheckedTwice(t *testing.T) {
	f := func(port, group uint32, pid int32, uid uint32, flags int, want bool) {
		t.Helper()
		oob := unix.UnixCredentials(&unix.Ucred{Pid: pid, Uid: uid})
		if got := ofKernel(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: port, Groups: group}, oob, flags); got != want {
			t.Errorf("port %d, group %d, pid %d, user %d, flags %x: %v", port, group, pid, uid, flags, got)
		}
	}
	f(0, 1, 0, 0, 0, true)
	f(4711, 1, 0, 0, 0, false)
	f(0, 2, 0, 0, 0, false) // udev's group
	f(0, 0, 0, 0, 0, false) // sent to us alone
	f(0, 1, 4711, 0, 0, false)
	f(0, 1, 0, 1000, 0, false)
	f(0, 1, 0, 0, unix.MSG_TRUNC, false)
	if ofKernel(&unix.SockaddrNetlink{Groups: 1}, nil, 0) {
		t.Error("without credentials it is taken for the kernel's")
	}
}
