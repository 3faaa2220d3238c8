package servers

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"tallyman/source/servers/daemon"
	"tallyman/source/servers/proc"
)

// Scanner finds servers again and again, and remembers those it knows. It belongs to one goroutine.
type Scanner struct {
	proc  string
	known map[id]seen
}

// seen is what a process was found to be: the program, and nil if it is no server.
type seen struct {
	program string
	server  *Server
	child   bool // of a server of the same program
	again   bool // it did not listen yet: look again
}

// id names a process on this boot.
type id struct {
	pid   int32
	ticks int64
}

// New returns a Scanner that looks into a /proc.
func New(dir string) *Scanner { return &Scanner{proc: dir, known: map[id]seen{}} }

// Forget makes the next Scan look at every server anew: their configuration may have changed.
func (s *Scanner) Forget() { clear(s.known) }

// Scan returns the servers that run, the oldest first. A child of a server belongs to it and is none.
func (s *Scanner) Scan() ([]Server, error) {
	dir, err := os.Open(s.proc)
	if err != nil {
		return nil, fmt.Errorf("look for servers: %w", err)
	}
	names, err := dir.Readdirnames(-1)
	_ = dir.Close()
	if err != nil {
		return nil, fmt.Errorf("look for servers: %w", err)
	}
	stats := map[int32]proc.Stat{}
	programs := map[int32]string{}
	for _, name := range names {
		if _, err := strconv.ParseInt(name, 10, 32); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(s.proc, name, "stat"))
		st, ok := proc.ParseStat(b)
		if err != nil || !ok { // it has ended
			continue
		}
		stats[st.PID] = st
		if old, ok := s.known[id{st.PID, st.Start}]; ok && old.program == "" && !daemon.Known(st.Comm) {
			continue
		}
		if p := s.program(st); daemon.Known(p) {
			programs[st.PID] = p
		}
	}
	return s.among(stats, programs), nil
}

// among looks at the processes that may be servers, and forgets those that have ended.
func (s *Scanner) among(stats map[int32]proc.Stat, programs map[int32]string) (out []Server) {
	fresh := make(map[id]seen, len(stats))
	for pid, st := range stats {
		fresh[id{pid, st.Start}] = seen{}
	}
	for pid, program := range programs {
		st := stats[pid]
		key := id{pid, st.Start}
		found := s.known[key]
		if found.child || programs[st.Parent] == program { // it stays one when its parent ends
			fresh[key] = seen{program: program, child: true}
			continue
		}
		if found.program != program || found.again {
			found = seen{program: program}
			found.server, found.again = s.look(st, program)
		}
		fresh[key] = found
		if found.server != nil {
			out = append(out, *found.server)
		}
	}
	s.known = fresh
	slices.SortFunc(out, func(a, b Server) int { return cmp.Or(cmp.Compare(a.Ticks, b.Ticks), cmp.Compare(a.PID, b.PID)) })
	return out
}

// program is the name of a process by its executable, else the one it has itself.
func (s *Scanner) program(st proc.Stat) string {
	exe := s.link(st.PID, "exe")
	if exe == "" {
		return st.Comm
	}
	return filepath.Base(exe)
}

func (s *Scanner) path(pid int32, name string) string {
	return filepath.Join(s.proc, strconv.Itoa(int(pid)), name)
}

func (s *Scanner) link(pid int32, name string) string {
	to, err := os.Readlink(s.path(pid, name))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(to, " (deleted)") // the program was replaced while it runs
}

func (s *Scanner) text(pid int32, name string) string {
	b, _ := os.ReadFile(s.path(pid, name)) // it may have ended
	return string(b)
}

// look finds out all about one server. Of one that listens nowhere, as far as that can be seen, it returns none, and that it may do so later: it
// is the child of one that has ended, or has just begun.
func (s *Scanner) look(st proc.Stat, program string) (found *Server, again bool) {
	args := proc.CommandLine([]byte(s.text(st.PID, "cmdline")))
	its, err := openJail(s.path(st.PID, "root"))
	defer its.close()
	setup := daemon.Read(program, args, daemon.Look{File: its.file, Glob: its.glob})
	if setup == nil {
		return nil, false
	}
	if err != nil {
		setup.Doubts = append(setup.Doubts, "its files cannot be looked at without root: its configuration is not known")
	}
	v := &Server{
		Setup: *setup, PID: st.PID, Ticks: st.Start, Since: s.started(st.Start), Program: s.link(st.PID, "exe"), Args: args,
		Unit: proc.Unit(s.text(st.PID, "cgroup")),
	}
	v.Apart.Net = s.apart(st.PID, "ns/net")
	if seen := s.listens(v); seen && len(v.Listens) == 0 {
		return nil, true
	}
	s.places(v)
	return v, len(v.Listens) == 0
}

// apart reports whether a process is in another namespace than we.
func (s *Scanner) apart(pid int32, name string) bool {
	theirs, err := os.Readlink(s.path(pid, name))
	ours, err2 := os.Readlink("/proc/self/" + name)
	return err == nil && err2 == nil && theirs != ours
}

// listens finds the sockets on which the server waits, in its own network. It reports whether they could be looked at.
func (s *Scanner) listens(v *Server) bool {
	held := map[string]bool{}
	dir := s.path(v.PID, "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(to, "socket:[") {
			held[to] = true
		}
	}
	tables := []string{"net/tcp", "net/tcp6"}
	if v.Proto == "tftp" {
		tables = []string{"net/udp", "net/udp6"}
	}
	for _, t := range tables {
		for _, sock := range proc.Sockets(s.text(v.PID, t)) {
			if !sock.Listen || !held[fmt.Sprintf("socket:[%d]", sock.Inode)] || slices.Contains(v.Listens, sock.Local) {
				continue
			}
			// Of a server that serves all from one process, other ports are those of its transfers.
			if sock.Local.Port() == v.Port || v.Proto != "tftp" {
				v.Listens = append(v.Listens, sock.Local)
			}
		}
	}
	if len(v.Listens) > 0 && !slices.ContainsFunc(v.Listens, func(a netip.AddrPort) bool { return a.Port() == v.Port }) {
		v.Port = v.Listens[0].Port()
	}
	return true
}

// places finds roots and logs as we can reach them.
func (s *Scanner) places(v *Server) {
	root := s.link(v.PID, "root")
	mounted := s.apart(v.PID, "ns/mnt")
	v.Apart.Files = mounted || root != "/" && root != ""
	b, _ := os.ReadFile("/proc/self/mountinfo")
	var theirs, ours []proc.Mount = nil, proc.Mounts(string(b))
	if mounted {
		theirs = proc.Mounts(s.text(v.PID, "mountinfo"))
	}
	reach := func(path string) (string, bool) {
		if root != "" && root != "/" {
			path = filepath.Join(root, path)
		}
		if !mounted {
			return path, true
		}
		return proc.Translate(theirs, ours, path)
	}
	for _, r := range v.Roots {
		if here, ok := reach(r); ok {
			v.Folders = append(v.Folders, here)
			if kind := proc.Share(ours, here); kind != "" {
				v.Shares = append(v.Shares, here+" ("+kind+")")
			}
		} else {
			v.Unreached = append(v.Unreached, r)
		}
	}
	for _, l := range v.Logs {
		if l.Path == "" {
			v.Syslog = true
		} else if here, ok := reach(filepath.Clean(l.Path)); ok {
			v.Files = append(v.Files, daemon.Log{Path: here, Format: l.Format})
		} else {
			v.Doubts = append(v.Doubts, "its log "+l.Path+" is in a container and cannot be reached from here")
		}
	}
}

// ticks is how many clock ticks a second has in /proc (USER_HZ, the same on all machines that Go knows).
const ticks = 100

// started is when a process began, by the wall clock; zero if the uptime is not known.
func (s *Scanner) started(at int64) time.Time {
	b, _ := os.ReadFile(filepath.Join(s.proc, "uptime"))
	f := strings.Fields(string(b))
	if len(f) == 0 {
		return time.Time{}
	}
	up, err := strconv.ParseFloat(f[0], 64)
	if err != nil {
		return time.Time{}
	}
	age := time.Duration((up - float64(at)/ticks) * float64(time.Second))
	return time.Now().Add(-max(age, 0)).UTC().Truncate(time.Second)
}
