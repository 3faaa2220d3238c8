package who

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Person is all that is known of a process, for the record of what it did.
type Person struct {
	Process
	UID       int64  // real user; -1: not known
	Login     int64  // the user who logged in (loginuid), whoever it became since; -1: nobody did, or not known
	Cmdline   string // its arguments, with spaces between; cut at 1 KiB
	Container string // id of its container; "" none
	Why       string // why program or user is not known; "" they are
	checked   time.Time
	parents   []*Person
	asked     time.Time // for its parents
	told      bool      // of the arguments: they have been looked at
}

// Census knows processes by what they run: it is told of each program that is started, before that does anything, so that one which is gone after a
// millisecond is known all the same. It belongs to one goroutine. It remembers at most as many as its Table, about 500 bytes each; when it is full, it
// forgets all and looks again.
type Census struct {
	table *Table
	known map[int32]*Person
}

// NewCensus makes a census over a table. The table is closed by its owner.
func NewCensus(t *Table) *Census { return &Census{table: t, known: map[int32]*Person{}} }

// loader matches the program that loads others: it runs nothing for itself.
var loader = regexp.MustCompile(`^(ld-linux.*|ld-musl.*|ld\.so.*|ld64\.so.*|ld-[0-9.]+\.so)$`)

// Exec is told that a process starts a program. Its arguments are not there yet: they are looked at when it does something.
func (c *Census) Exec(pid int32, exe string, now time.Time) {
	if loader.MatchString(path.Base(exe)) {
		return
	}
	p := c.look(pid, now)
	if p.Gone {
		if old := c.known[pid]; old != nil { // the script before its interpreter
			p.Process, p.UID, p.Login, p.Container = old.Process, old.UID, old.Login, old.Container
		}
	}
	p.Exe = exe
	if p.User == "" {
		p.Why = "it was gone before its user could be looked at"
	}
	c.keep(pid, p)
}

// Of returns who a process is, or was.
func (c *Census) Of(pid int32, now time.Time) *Person {
	old := c.known[pid]
	if old != nil && old.told && now.Sub(old.checked) < trust {
		return old
	}
	stat, alive := ParseStat(c.table.read(strconv.Itoa(int(pid)) + "/stat"))
	switch {
	case !alive && old != nil:
		old.checked, old.told = now, true
		return old
	case alive && old != nil && old.Start == stat.Start:
		old.checked = now
	default:
		old = c.look(pid, now)
		if old.Exe = c.table.link(strconv.Itoa(int(pid)) + "/exe"); old.Exe == "" {
			old.Why = "it was gone before anybody could look"
			if !old.Gone && old.Parent == 2 {
				old.Why = "it is a thread of the kernel"
			}
		}
		c.keep(pid, old)
	}
	if !old.told {
		old.told = true
		if alive {
			old.Comm = stat.Comm
		}
		old.Cmdline = ParseCmdline(c.table.read(strconv.Itoa(int(pid)) + "/cmdline"))
	}
	return old
}

// parentsTold bounds a chain of parents.
const parentsTold = 8

// Parents returns those from whom a process descends, the nearest first, as far as they are known.
func (c *Census) Parents(p *Person, now time.Time) []*Person {
	if now.Sub(p.asked) < trust {
		return p.parents
	}
	var out []*Person
	for pid := p.Parent; pid > 0 && len(out) < parentsTold; {
		next := c.Of(pid, now)
		if next.Gone && next.Exe == "" {
			break
		}
		out = append(out, next)
		pid = next.Parent
	}
	p.parents, p.asked = out, now
	return out
}

// look reads what /proc says at once.
func (c *Census) look(pid int32, now time.Time) *Person {
	dir := strconv.Itoa(int(pid))
	p := &Person{UID: -1, Login: -1, checked: now}
	stat, ok := ParseStat(c.table.read(dir + "/stat"))
	if !ok {
		p.Process = Process{PID: pid, Gone: true}
		return p
	}
	p.Process = stat
	p.PID = pid
	if uid, ok := ParseUID(c.table.read(dir + "/status")); ok {
		p.UID, p.User = int64(uid), c.table.users.name(uid, now)
	}
	p.Login = ParseLogin(c.table.read(dir + "/loginuid"))
	p.Container = ParseContainer(c.table.read(dir + "/cgroup"))
	return p
}

func (c *Census) keep(pid int32, p *Person) {
	if len(c.known) >= c.table.max {
		clear(c.known)
	}
	c.known[pid] = p
}

// ParseLogin reads /proc/PID/loginuid: -1 where nobody logged in (4294967295).
func ParseLogin(b []byte) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n < 0 || n >= 1<<32-1 {
		return -1
	}
	return n
}

// mostArguments is how much of a command line is kept.
const mostArguments = 1024

// ParseCmdline reads /proc/PID/cmdline: arguments that end with NUL.
func ParseCmdline(b []byte) string {
	b = bytes.TrimRight(b[:min(len(b), mostArguments)], "\x00")
	return string(bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
}

// container matches the id by which Docker, containerd, CRI-O and Podman name a control group.
var container = regexp.MustCompile(`[0-9a-f]{64}`)

// ParseContainer reads the id of a container from /proc/PID/cgroup (cgroups(7)).
func ParseContainer(b []byte) string {
	lines := bytes.Split(b, []byte("\n"))
	if i := slices.IndexFunc(lines, container.Match); i >= 0 {
		return string(container.Find(lines[i]))
	}
	return ""
}
