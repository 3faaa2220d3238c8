package ssh

import (
	"time"

	"tallyman/source/logs/format/entry"
)

// Silence brings what sshd says of a connection to the sftp server behind it: that its client was given up because it did not answer. They are two
// processes, and nothing but user and client stands in the lines of both. So where one user has several sessions from one address, nothing is said.
type Silence struct {
	sessions map[sshWho]int // that are open
	given    map[sshWho]time.Time
}

type sshWho struct{ user, ip string }

// mostSilent bounds either map; what is over is not known, and its end is told as sftp-server tells it.
const mostSilent = 4096

// gaveUp is how long before the end of a session sshd says that it gives its client up.
const gaveUp = 2 * time.Second

// NewSilence returns one that has heard nothing.
func NewSilence() *Silence {
	return &Silence{sessions: map[sshWho]int{}, given: map[sshWho]time.Time{}}
}

// begin notes a session.
func (s *Silence) begin(user, ip string) {
	k := sshWho{user, ip}
	if n := s.sessions[k]; n > 0 || len(s.sessions) < mostSilent {
		s.sessions[k] = n + 1
	}
}

// end takes it away.
func (s *Silence) end(user, ip string) {
	k := sshWho{user, ip}
	if s.sessions[k]--; s.sessions[k] <= 0 {
		delete(s.sessions, k)
	}
}

// give notes that sshd gave a client up.
func (s *Silence) give(user, ip string, at time.Time) {
	if s.sessions[sshWho{user, ip}] != 1 {
		return
	}
	if len(s.given) >= mostSilent {
		clear(s.given)
	}
	s.given[sshWho{entry.Keep(user), entry.Keep(ip)}] = at
}

// took reports whether the end of the session at this time is that of a client that was given up. It says so once.
func (s *Silence) took(user, ip string, at time.Time) bool {
	k := sshWho{user, ip}
	given, ok := s.given[k]
	if !ok || at.Sub(given).Abs() > gaveUp {
		return false
	}
	delete(s.given, k)
	return true
}
