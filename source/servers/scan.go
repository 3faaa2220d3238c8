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
	met   map[id][]Server // that were seen to be started, by who starts them
}

// seen is what a process was found to be: the program, and nil if it is no server.
type seen struct {
	program string
	servers []Server // that it is, or starts
	child   bool     // of a server of the same program, or started for one connection
	again   bool     // it did not listen yet, or may be told to start others: look again
}

// id names a process on this boot.
type id struct {
	pid   int32
	ticks int64
}

// New returns a Scanner that looks into a /proc.
func New(dir string) *Scanner {
	return &Scanner{proc: dir, known: map[id]seen{}, met: map[id][]Server{}}
}

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
		if old, ok := s.known[id{st.PID, st.Start}]; ok && old.program == "" && !daemon.Worth(st.Comm) {
			continue
		}
		if p := s.program(st); daemon.Known(p) || daemon.Starter(p) {
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
			found = s.look(st, program)
		}
		fresh[key] = found
		out = append(out, found.servers...)
	}
	s.known = fresh
	for key, list := range s.met {
		if _, runs := fresh[key]; !runs {
			delete(s.met, key)
			continue
		}
		out = append(out, list...)
	}
	all := slices.Clone(out)
	out = slices.DeleteFunc(out, func(v Server) bool { return v.By != "" && v.stays && waitsItself(all, &v) })
	slices.SortFunc(out, func(a, b Server) int {
		return cmp.Or(cmp.Compare(a.Ticks, b.Ticks), cmp.Compare(a.PID, b.PID), cmp.Compare(a.Port, b.Port))
	})
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

// look finds out all about one process.
func (s *Scanner) look(st proc.Stat, program string) seen {
	found := seen{program: program}
	switch {
	case daemon.Starter(program):
		found.servers, found.again = s.starts(st, program), true
	default:
		if port := s.answers(st); port != 0 {
			s.observed(st, program, port)
			found.child = true
			break
		}
		found.servers, found.again = s.server(st, program)
	}
	return found
}

// server is one that waits itself. Of one that listens nowhere, as far as that can be seen, there is none, and there may be one later: it is the child of
// one that has ended, or has just begun.
func (s *Scanner) server(st proc.Stat, program string) (found []Server, again bool) {
	args := proc.CommandLine([]byte(s.text(st.PID, "cmdline")))
	v := s.told(st, program, args)
	if v == nil {
		return nil, false
	}
	v.Program = s.link(st.PID, "exe")
	all, seen := s.waits(v.PID, v.Proto)
	if seen && len(all) == 0 {
		return nil, true
	}
	for _, a := range all {
		// Of a server that serves all from one process, other ports are those of its transfers.
		if a.Port() == v.Port || v.Proto != "tftp" {
			v.Listens = append(v.Listens, a)
		}
	}
	if seen && len(v.Listens) == 0 {
		return nil, true
	}
	if len(v.Listens) > 0 && !slices.ContainsFunc(v.Listens, func(a netip.AddrPort) bool { return a.Port() == v.Port }) {
		v.Doubts = append(v.Doubts, fmt.Sprintf("it listens on %d and not on %d: it was told what cannot be seen, and its folders and logs may be others", v.Listens[0].Port(), v.Port))
		v.Port = v.Listens[0].Port()
	}
	s.places(v)
	return []Server{*v}, len(v.Listens) == 0
}

// told reads what a server was told by this command line, as a process sees it; nil if it serves no files.
func (s *Scanner) told(st proc.Stat, program string, args []string) *Server {
	its, err := openJail(s.path(st.PID, "root"))
	defer its.close()
	setup := daemon.Read(program, args, daemon.Look{File: its.file, Glob: its.glob})
	if setup == nil {
		return nil
	}
	if err != nil {
		setup.Doubts = append(setup.Doubts, "its files cannot be looked at without root: its configuration is not known")
	}
	v := &Server{Setup: *setup, PID: st.PID, Ticks: st.Start, Since: s.started(st.Start), Args: args, Unit: proc.Unit(s.text(st.PID, "cgroup"))}
	v.net = s.link(st.PID, "ns/net")
	v.Apart.Net, v.Apart.PIDs = s.apart(st.PID, "ns/net"), s.apart(st.PID, "ns/pid")
	return v
}

// apart reports whether a process is in another namespace than we.
func (s *Scanner) apart(pid int32, name string) bool {
	theirs, err := os.Readlink(s.path(pid, name))
	ours, err2 := os.Readlink("/proc/self/" + name)
	return err == nil && err2 == nil && theirs != ours
}

// waits finds the sockets on which a process waits, in its own network, and whether they could be looked at.
func (s *Scanner) waits(pid int32, proto string) (all []netip.AddrPort, seen bool) {
	held := s.held(pid)
	if held == nil {
		return nil, false
	}
	for _, sock := range s.sockets(pid, proto) {
		if sock.Listen && held[fmt.Sprintf("socket:[%d]", sock.Inode)] && !slices.Contains(all, sock.Local) {
			all = append(all, sock.Local)
		}
	}
	return all, true
}

// held are the sockets of a process, as its descriptors name them; nil if they cannot be looked at.
func (s *Scanner) held(pid int32) map[string]bool {
	dir := s.path(pid, "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	held := map[string]bool{}
	for _, fd := range fds {
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(to, "socket:[") {
			held[to] = true
		}
	}
	return held
}

// sockets are those of the network of a process: of UDP for TFTP, else of TCP.
func (s *Scanner) sockets(pid int32, proto string) []proc.Socket {
	tables := [...]string{"net/tcp", "net/tcp6"}
	if proto == "tftp" {
		tables = [...]string{"net/udp", "net/udp6"}
	}
	return append(proc.Sockets(s.text(pid, tables[0])), proc.Sockets(s.text(pid, tables[1]))...)
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
			v.Files = append(v.Files, daemon.Log{Path: here, Format: l.Format, Again: l.Again})
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
