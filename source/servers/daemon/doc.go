// Package daemon reads what the file servers of other makers were told: by their command line and their configuration files.
//
// It promises: it is pure, and reads files only through what it is handed. A line that it does not understand changes nothing and is passed over, as
// long as it cannot say where files or logs are; what it could not read is a doubt that is told. It never guesses a folder.
//
// One file per server, and two for those who start servers for each connection: inetd and its kin, and the socket units of systemd.
// It leaves to others: which processes run, where their files are for us, and what is done with all that.
package daemon

import (
	"path"
	"slices"
	"strings"
)

// Look is how the files of a server are read: as the server sees them.
type Look struct {
	File func(name string) ([]byte, error)
	Glob func(pattern string) []string // in order
}

// Log is a place where a server writes lines.
type Log struct {
	Path   string // "" = syslog
	Format string // a name of source/logs/format; "" = to be found out
	Again  bool   // it repeats what the server writes to syslog
}

// Tells is what the lines of a server can say, with its present configuration.
type Tells struct{ Requests, Refusals, Ends bool }

// Setup is what a server was told.
type Setup struct {
	Name     string   // tftpd-hpa
	Proto    string   // tftp, ftp, sftp
	Programs []string // by whom its files are opened
	Roots    []string // absolute, as the server sees them
	Logs     []Log
	Tells    Tells
	Port     uint16
	TLS      bool     // contents and replies may be encrypted
	Advice   []string // what is unseen as it is, and what would show it
	Doubts   []string // what could not be read or understood
}

// known maps the name of a program to its reader. Reader returns nil for a process that serves no files.
var known = map[string]func(args []string, look Look) *Setup{
	"in.tftpd": hpa, "tftpd-hpa": hpa, "atftpd": atftpd, "dnsmasq": dnsmasq, "vsftpd": vsftpd, "proftpd": proftpd, "sshd": sshd,
	"pure-ftpd": pureFTPd, "pure-ftpd-mysql": pureFTPd, "pure-ftpd-ldap": pureFTPd, "pure-ftpd-postgresql": pureFTPd,
}

// Names are the servers that are looked for, for people.
func Names() []string {
	return []string{"tftpd-hpa", "atftpd", "dnsmasq", "vsftpd", "proftpd", "pure-ftpd", "openssh"}
}

// Known reports whether a program is one of the servers.
func Known(program string) bool { return known[program] != nil }

// Read reads what the server was told; nil if it serves no files, or is none. args is its command line with its own name.
func Read(program string, args []string, look Look) *Setup {
	reader := known[program]
	if reader == nil {
		return nil
	}
	if len(args) > 0 {
		args = args[1:]
	}
	s := reader(args, look)
	if s == nil {
		return nil
	}
	if !slices.Contains(s.Programs, program) {
		s.Programs = append(s.Programs, program)
	}
	var roots []string
	for _, r := range s.Roots {
		if clean := path.Clean(r); path.IsAbs(clean) && !slices.Contains(roots, clean) && len(roots) < mostRoots {
			roots = append(roots, clean)
		}
	}
	s.Roots = roots
	return s
}

// mostRoots bounds the folders of one server; further ones are not watched.
const mostRoots = 64

func (s *Setup) advise(text string) { s.Advice = append(s.Advice, text) }

func (s *Setup) doubt(text string) {
	if len(s.Doubts) < 8 {
		s.Doubts = append(s.Doubts, text)
	}
}

// file reads a configuration file, and doubts when it cannot.
func (s *Setup) file(look Look, name string) string {
	b, err := look.File(name)
	if err != nil {
		s.doubt(name + " cannot be read: what it sets is not known")
	}
	return string(b)
}

// lines calls f for each line that is neither empty nor a comment, without white space around it.
func lines(text string, f func(line string)) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && line[0] != '#' {
			f(line)
		}
	}
}
