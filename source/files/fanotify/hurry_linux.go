package fanotify

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Hurry puts the thread before others as long as it reads events: what is looked at late is gone. Without root it stays where it is.
func Hurry() (restore func()) {
	runtime.LockOSThread()
	kernel, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	nice := 20 - kernel // the system call adds 20 to keep off negative numbers (getpriority(2))
	if err != nil || unix.Setpriority(unix.PRIO_PROCESS, 0, nice-10) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, nice)
		runtime.UnlockOSThread()
	}
}
