package who

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what is known of a process.
type Process struct {
	PID, Parent int32
	Start       int64  // clock ticks since boot (proc(5), field 22); 0: it was gone
	Exe         string // path of the program; "" not known (a kernel thread, or gone)
	Comm        string
	User        string // name of its effective user, or the number if it has none
	Gone        bool   // it was gone before it could be looked at
}

// Table remembers processes. It belongs to one goroutine.
type Table struct {
	proc  int // descriptor of /proc
	known map[int32]*entry
	max   int
	users users
	buf   [4096]byte
}

type entry struct {
	Process
	checked time.Time
	met     bool // its start alone is known: it may have become another program since
}

// trust is how long the process behind a pid is taken to be the same without a look: a pid comes again only when all others were used.
const trust = 100 * time.Millisecond

// New opens the table over a /proc. It remembers at most max processes, about 300 bytes each; when it is full, it forgets all and looks again.
func New(proc, passwd string, max int) (*Table, error) {
	fd, err := unix.Open(proc, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return &Table{proc: fd, known: map[int32]*entry{}, max: max, users: users{path: passwd}}, nil
}

// Close lets go of /proc.
func (t *Table) Close() error { return unix.Close(t.proc) }

// Of returns the process of a pid. Of a process that has gone it returns what was known of it.
func (t *Table) Of(pid int32, now time.Time) Process {
	old := t.known[pid]
	if old != nil && !old.met && now.Sub(old.checked) < trust {
		return old.Process
	}
	dir := strconv.Itoa(int(pid))
	p, ok := ParseStat(t.read(dir + "/stat"))
	switch {
	case !ok && old != nil:
		old.checked, old.met = now, false
		return old.Process
	case !ok:
		p = Process{PID: pid, Gone: true}
	case old != nil && !old.met && old.Start == p.Start && old.Comm == p.Comm:
		old.checked = now
		return old.Process // it runs what it ran: exec changes the name
	default:
		p.PID = pid
		p.Exe = t.link(dir + "/exe")
		if uid, ok := ParseUID(t.read(dir + "/status")); ok {
			p.User = t.users.name(uid, now)
		}
	}
	t.keep(pid, &entry{Process: p, checked: now})
	return p
}

// Meet learns when a process began, if it is not known yet: at its first event, whatever that is. When it opens a file that matters, it may be gone
// before anybody can look.
func (t *Table) Meet(pid int32) {
	if _, ok := t.known[pid]; ok {
		return
	}
	if p, ok := ParseStat(t.read(strconv.Itoa(int(pid)) + "/stat")); ok {
		t.keep(pid, &entry{Process: Process{PID: pid, Parent: p.Parent, Start: p.Start, Gone: true}, met: true})
	}
}

func (t *Table) keep(pid int32, e *entry) {
	if len(t.known) >= t.max {
		clear(t.known)
	}
	t.known[pid] = e
}

func (t *Table) read(name string) []byte {
	fd, err := unix.Openat(t.proc, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }() // it is only read
	n, err := unix.Read(fd, t.buf[:])
	if err != nil || n < 0 {
		return nil
	}
	return t.buf[:n]
}

func (t *Table) link(name string) string {
	n, err := unix.Readlinkat(t.proc, name, t.buf[:])
	if err != nil || n <= 0 {
		return ""
	}
	return strings.TrimSuffix(string(t.buf[:n]), " (deleted)") // the program was replaced while it runs
}

// ParseStat reads /proc/PID/stat (proc(5)). The name of the program stands in parentheses and may itself hold some.
func ParseStat(b []byte) (p Process, ok bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 2 || end < open {
		return Process{}, false
	}
	pid, err := strconv.ParseInt(string(b[:open-1]), 10, 32)
	fields := bytes.Fields(b[end+1:])
	if err != nil || len(fields) < 20 {
		return Process{}, false
	}
	parent, err := strconv.ParseInt(string(fields[1]), 10, 32)
	if err != nil {
		return Process{}, false
	}
	start, err := strconv.ParseInt(string(fields[19]), 10, 64)
	if err != nil || start < 0 {
		return Process{}, false
	}
	return Process{PID: int32(pid), Parent: int32(parent), Comm: string(b[open+1 : end]), Start: start}, true
}

// ParseUID reads the effective user from /proc/PID/status.
func ParseUID(b []byte) (uint32, bool) {
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("Uid:")); ok {
			f := bytes.Fields(rest)
			if len(f) != 4 {
				return 0, false
			}
			uid, err := strconv.ParseUint(string(f[1]), 10, 32)
			if err != nil {
				return 0, false
			}
			return uint32(uid), true
		}
	}
	return 0, false
}

// Len returns how many processes are remembered.
func (t *Table) Len() int { return len(t.known) }
