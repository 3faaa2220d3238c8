package servers

import (
	"net/netip"
	"time"

	"tallyman/source/servers/daemon"
)

// Server is one that runs.
type Server struct {
	daemon.Setup
	PID     int32
	Ticks   int64 // of its start, since boot: with the pid it names the process
	Since   time.Time
	Program string // path of its executable
	Args    []string
	Unit    string // of systemd, or the scope of its container
	// By is the program that waits for it and starts it when somebody asks, a process for each connection: inetd, xinetd, systemd. PID and Ticks are then
	// those of that program. Empty: it waits itself.
	By      string
	Listens []netip.AddrPort
	Apart   Apart
	// Folders are its roots as we can reach them; Unreached are those that we cannot, as it sees them.
	Folders, Unreached []string
	// Shares are those Folders that lie on a network share, each with the kind of it, as in "/srv/tftp (nfs4)".
	Shares []string
	// Files are its logs as we can reach them.
	Files []daemon.Log
	// Syslog says that it writes to syslog.
	Syslog bool

	stays bool   // it takes over the socket from By, and waits itself
	net   string // its network, as the kernel names it
}

// Same reports whether two servers are one.
func (s *Server) Same(o *Server) bool {
	return s.PID == o.PID && s.Ticks == o.Ticks && s.Name == o.Name && s.By == o.By && (s.By == "" || s.Port == o.Port)
}

// Apart says in what the server lives apart from us.
type Apart struct {
	PIDs  bool // its own process numbers: those in its log are others than those that we see
	Net   bool // its own network: its loopback is unseen
	Files bool // its own mounts or root: a container, a chroot
}

// Ports are where it is asked: those it listens on that its configuration names, else what that names.
func (s *Server) Ports() []uint16 {
	if s.Port == 0 {
		return nil
	}
	return []uint16{s.Port}
}
