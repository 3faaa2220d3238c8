package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What stands in the state folder.
const (
	ledgerFile = "ledger.db"
	spoolDir   = "spool"
	outboxDir  = "outbox"
	lockFile   = "lock"
)

// lock keeps a second process away from a state folder. Its file names the process that has it, and nobody once that has closed its books.
type lock struct {
	file   *os.File
	former string    // the process that ended without closing its books, "" when none did
	last   time.Time // when that wrote to the spool for the last time
}

// release lets go. The file names nobody when the books were closed, else whoever it named before.
func (l *lock) release(closed bool) error {
	err := l.file.Truncate(0)
	if !closed && l.former != "" && err == nil {
		err = writeAt(l.file, l.former)
	}
	return errors.Join(err, l.file.Close())
}

// lastWrite is when the newest file of the spool was written.
func lastWrite(state string) (last time.Time) {
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(state), spoolDir, "*.seg"))
	for _, path := range paths {
		if st, err := os.Lstat(path); err == nil && st.ModTime().After(last) {
			last = st.ModTime()
		}
	}
	return last
}

// hold makes the state folder and locks it.
func hold(state string) (*lock, error) {
	if err := makeState(state); err != nil {
		return nil, fmt.Errorf("make state folder: %w: name another with --state DIR", err)
	}
	if err := refuseLinks(state); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(state, lockFile), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the state folder: %w: name another folder with --state DIR", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder := "another process"
		if pid, _ := os.ReadFile(f.Name()); len(pid) > 0 {
			holder = "pid " + strings.TrimSpace(string(pid))
		}
		_ = f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock state folder %s: %w", state, err)
		}
		return nil, fmt.Errorf("state folder %s is in use by %s: stop it with tallyman stop, or name another folder with --state DIR", state, holder)
	}
	former, _ := os.ReadFile(f.Name())
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return &lock{file: f, former: string(former), last: lastWrite(state)}, nil
}

// makeState makes the state folder for its owner alone, and the folders above it so that its owner, who may not be root later, can enter it.
func makeState(state string) error {
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		return err
	}
	return os.MkdirAll(state, 0o750)
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// bootTicks is when this process started, in clock ticks since boot (proc(5), field 22 of stat).
func bootTicks() int64 {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(after)
	if len(fields) < 20 {
		return 0
	}
	n, _ := strconv.ParseInt(fields[19], 10, 64)
	return n
}
