package servers

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"tallyman/source/servers/daemon"
	"tallyman/source/servers/proc"
)

// starts finds the servers that a process starts for each connection: those that its configuration names, and on whose ports it waits.
func (s *Scanner) starts(st proc.Stat, program string) (out []Server) {
	tcp, seen := s.waits(st.PID, "")
	udp, _ := s.waits(st.PID, "tftp")
	if seen && len(tcp)+len(udp) == 0 || !seen && program == "systemd" { // of its many units only the sockets say which are active
		return nil
	}
	its, _ := openJail(s.path(st.PID, "root")) // where it cannot be looked at nothing is found
	defer its.close()
	args := proc.CommandLine([]byte(s.text(st.PID, "cmdline")))
	for _, start := range daemon.Starts(program, args, daemon.Look{File: its.file, Glob: its.glob}) {
		v := s.told(st, daemon.Program(start.Args), start.Args)
		if v == nil || (v.Proto == "tftp") != start.UDP {
			continue
		}
		v.By, v.Program, v.Port, v.stays = program, start.Args[0], start.Port, start.Stays
		v.Doubts = append(v.Doubts, start.Doubts...)
		if !seen {
			v.Doubts = append(v.Doubts, "whether "+program+" waits for it cannot be seen without root")
		}
		if start.Unit != "" {
			v.Unit = start.Unit
		}
		all := tcp
		if start.UDP {
			all = udp
		}
		for _, a := range all {
			if a.Port() == start.Port {
				v.Listens = append(v.Listens, a)
			}
		}
		if seen && len(v.Listens) == 0 || slices.ContainsFunc(out, func(o Server) bool { return o.Same(v) }) {
			continue // switched off, or told in two places
		}
		s.places(v)
		out = append(out, *v)
	}
	return out
}

// answers returns the port at which a process was asked that was started for one connection, or one request: that is then its standard input. 0 if it was
// not. A server that closed its standard input may wait on a socket of that number (ProFTPD); of one that was started its starter holds that socket too.
func (s *Scanner) answers(st proc.Stat) uint16 {
	pid := st.PID
	input := s.link(pid, "fd/0")
	if !strings.HasPrefix(input, "socket:[") {
		return 0
	}
	for _, proto := range [...]string{"", "tftp"} {
		for _, sock := range s.sockets(pid, proto) {
			if input == fmt.Sprintf("socket:[%d]", sock.Inode) && (!sock.Listen || s.held(st.Parent)[input]) {
				return sock.Local.Port()
			}
		}
	}
	return 0
}

// observed is told of a process that was started for one connection. If who started it, and waits on that port, is none of those whose configuration is
// read, the server is known from now on, as long as that one runs.
func (s *Scanner) observed(st proc.Stat, program string, port uint16) {
	b, err := os.ReadFile(s.path(st.Parent, "stat"))
	parent, ok := proc.ParseStat(b)
	if err != nil || !ok || daemon.Starter(s.program(parent)) || daemon.Known(s.program(parent)) {
		return
	}
	args := proc.CommandLine([]byte(s.text(st.PID, "cmdline")))
	v := s.told(st, program, args)
	if v == nil {
		return
	}
	all, _ := s.waits(parent.PID, v.Proto)
	v.Listens = slices.DeleteFunc(all, func(a netip.AddrPort) bool { return a.Port() != port })
	if len(v.Listens) == 0 {
		return
	}
	v.Program, v.By, v.Port = s.link(st.PID, "exe"), s.program(parent), port
	s.places(v) // as the child sees them
	v.PID, v.Ticks, v.Since = parent.PID, parent.Start, s.started(parent.Start)
	key := id{parent.PID, parent.Start}
	if !slices.ContainsFunc(s.met[key], func(o Server) bool { return o.Same(v) }) {
		s.met[key] = append(s.met[key], *v)
	}
}

// waitsItself reports whether a server that was started has taken over the socket, and waits on it itself.
func waitsItself(all []Server, v *Server) bool {
	return slices.ContainsFunc(all, func(o Server) bool {
		return o.By == "" && o.Name == v.Name && o.net == v.net && slices.ContainsFunc(o.Listens, func(a netip.AddrPort) bool { return slices.Contains(v.Listens, a) })
	})
}
