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
}

// Apart says in what the server lives apart from us.
type Apart struct {
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
