package who

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Held is how a process holds a file.
type Held struct {
	Open   int  // descriptors; -1: the process may not be looked at
	Reads  bool // one of them can only read
	Writes bool // one of them can write
}

// fdsLooked bounds how many descriptors of a process are looked at. A process with more is said to be unknown.
const fdsLooked = 4096

// Holds looks how a process holds a file, by device and inode. A process that has gone holds nothing.
func (t *Table) Holds(pid int32, dev, ino uint64) Held {
	var h Held
	err := t.descriptors(pid, func(dir int, name string) {
		var st unix.Statx_t
		// DONT_SYNC: what the kernel knows, without asking a file server.
		if unix.Statx(dir, name, unix.AT_STATX_DONT_SYNC|unix.AT_NO_AUTOMOUNT, unix.STATX_INO, &st) != nil ||
			st.Ino != ino || unix.Mkdev(st.Dev_major, st.Dev_minor) != dev {
			return
		}
		writes, ok := ParseFlags(t.read(strconv.Itoa(int(pid)) + "/fdinfo/" + name))
		if !ok {
			return // it was closed meanwhile
		}
		h.Open++
		h.Writes, h.Reads = h.Writes || writes, h.Reads || !writes
	})
	if err != nil {
		return Held{Open: -1}
	}
	return h
}

// Files calls f with the path of each file that a process holds open, as the kernel writes it.
func (t *Table) Files(pid int32, f func(path string)) error {
	var buf [unix.PathMax]byte
	return t.descriptors(pid, func(dir int, name string) {
		n, err := unix.Readlinkat(dir, name, buf[:])
		if err == nil && n > 0 && buf[0] == '/' {
			f(string(buf[:n]))
		}
	})
}

func (t *Table) descriptors(pid int32, f func(dir int, name string)) error {
	fd, err := unix.Openat(t.proc, strconv.Itoa(int(pid))+"/fd", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	}
	dir := os.NewFile(uintptr(fd), "fd")
	defer func() { _ = dir.Close() }() // it is only read
	names, err := dir.Readdirnames(fdsLooked)
	if len(names) == fdsLooked {
		return unix.E2BIG
	}
	for _, name := range names {
		f(fd, name)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		return nil // it holds none, or has gone
	}
	return err
}

// Pids returns all processes that run.
func (t *Table) Pids() ([]int32, error) {
	fd, err := unix.Openat(t.proc, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	dir := os.NewFile(uintptr(fd), "proc")
	defer func() { _ = dir.Close() }() // it is only read
	names, err := dir.Readdirnames(-1)
	var pids []int32
	for _, n := range names {
		if pid, err := strconv.ParseInt(n, 10, 32); err == nil {
			pids = append(pids, int32(pid))
		}
	}
	return pids, err
}

// ParseFlags reads from /proc/PID/fdinfo/FD whether the descriptor can write.
func ParseFlags(b []byte) (writes, ok bool) {
	for line := range bytes.Lines(b) {
		if rest, found := bytes.CutPrefix(line, []byte("flags:")); found {
			flags, err := strconv.ParseUint(string(bytes.TrimSpace(rest)), 8, 32)
			return flags&unix.O_ACCMODE != unix.O_RDONLY, err == nil
		}
	}
	return false, false
}
