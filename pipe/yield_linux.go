package pipe

import (
	"runtime"

	"golang.org/x/sys/unix"
)

const (
	// yieldBy is by how much the thread that judges and commits is nicer than those that serve: when more threads want to run than there
	// are processors, it gets about a tenth of what each of them gets. What waits, waits in the spool.
	yieldBy = 10
	// yieldUpTo is how much evidence may wait before the ledger gets its full share, so that the spool does not fill: about 150 MB of it.
	yieldUpTo = 1 << 19
)

// polite is a thread of its own that yields to others. Linux keeps a nice value for each thread; anybody may raise his own and few may
// lower it again, which is why the thread is not shared (man 2 setpriority).
type polite struct{ work, done chan func() }

func newPolite() polite {
	p := polite{work: make(chan func()), done: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		// The system call reports 20 less the nice value. Without the right one transfers are slower, not wrong.
		if inverse, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, 0, min(20-inverse+yieldBy, 19))
		}
		for f := range p.work {
			f()
			p.done <- f
		}
	}()
	return p
}

// do runs f on the thread and returns when it has ended.
func (p polite) do(f func()) {
	p.work <- f
	<-p.done
}

// end ends the thread. Nothing may be done any more.
func (p polite) end() { close(p.work) }
