package format

import (
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/ftp"
	"tallyman/source/logs/format/line"
	"tallyman/source/logs/format/ssh"
	"tallyman/source/logs/format/tftp"
)

// spec is one format of the table. Own reads a line of a file that has no head of syslog; formats without it stand in syslog only.
type spec struct {
	name   string
	idents []string
	own    func(raw string, c line.Clock) (entry.Entry, bool)
	make   func(entry.Options) entry.Format
	ssh    func(*ssh.Silence) entry.Format // instead of make, for those that share what sshd said
}

// table is all formats. Where two could read one file, the stricter stands first.
var table = [...]spec{
	{name: "tftpd-hpa", idents: []string{"in.tftpd", "tftpd"}, make: tftp.NewHPA},
	{name: "atftpd", idents: []string{"atftpd"}, make: tftp.NewATFTPD},
	{name: "dnsmasq", idents: []string{"dnsmasq-tftp", "dnsmasq"}, make: tftp.NewDnsmasq},
	{name: "vsftpd", idents: []string{"vsftpd"}, own: ftp.VsftpdLine, make: ftp.NewVsftpd},
	{name: "xferlog", own: ftp.XferlogLine, make: ftp.NewXferlog},
	{name: "proftpd", idents: []string{"proftpd"}, make: ftp.NewProftpd},
	{name: "pure-ftpd-clf", own: ftp.PureCLFLine, make: ftp.NewPureCLF},
	{name: "proftpd-extended", own: ftp.ExtendedLine, make: ftp.NewExtended},
	{name: "pure-ftpd-w3c", own: ftp.PureW3CLine, make: ftp.NewPureW3C},
	{name: "pure-ftpd-stats", own: ftp.PureStatsLine, make: ftp.NewPureStats},
	{name: "pure-ftpd", idents: []string{"pure-ftpd"}, make: ftp.NewPureFTPd},
	{name: "sshd", idents: []string{"sshd", "sshd-session", "sshd-auth"}, ssh: ssh.NewSSHD},
	{name: "sftp-server", idents: []string{"internal-sftp", "sftp-server"}, ssh: ssh.NewSFTPServer},
	{name: "ftpd", idents: []string{"ftpd", "in.ftpd", "wu-ftpd"}, make: ftp.NewFTPD},
	{name: "sftpgo", own: ftp.SFTPGoLine, make: ftp.NewSFTPGo},
}

// Syslog is the name of a file that holds lines of several servers, each with its tag.
const Syslog = "syslog"

// Names lists the formats, and Syslog for files that hold several.
func Names() []string {
	names := make([]string, 0, len(table)+1)
	for _, s := range table {
		names = append(names, s.name)
	}
	return append(names, Syslog)
}

// Idents lists the tags under which servers of the known formats write to syslog.
func Idents() []string {
	var idents []string
	for _, s := range table {
		idents = append(idents, s.idents...)
	}
	return idents
}

// Known reports whether lines under this tag are read.
func Known(ident string) bool { return byIdent(ident) != nil }

func byIdent(ident string) *spec {
	if i := strings.LastIndexByte(ident, '/'); i >= 0 { // a program that tags with its path
		ident = ident[i+1:]
	}
	for i := range table {
		if slices.Contains(table[i].idents, ident) {
			return &table[i]
		}
	}
	return nil
}

func byName(name string) *spec {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

// detectLines is how many lines Detect looks at.
const detectLines = 200

// Detect says which format the first lines of a file have, and false if none of the table's. A file whose lines carry tags of syslog is Syslog
// if one of them is a server's.
func Detect(lines []string, c line.Clock) (name string, ok bool) {
	lines = lines[:min(len(lines), detectLines)]
	full := 0
	hits := make([]int, len(table))
	tagged := false
	for _, raw := range lines {
		raw = strings.TrimRight(raw, "\r\n")
		if strings.TrimSpace(raw) == "" || raw[0] == '#' {
			continue
		}
		full++
		if e, ok := entry.FromLine(raw, c); ok {
			tagged = tagged || Known(e.Ident)
		}
		for i := range table {
			if table[i].own == nil {
				continue
			}
			if _, ok := table[i].own(raw, c); ok {
				hits[i]++
			}
		}
	}
	best, most := -1, 0
	for i, n := range hits {
		if n > most && 2*n >= full {
			best, most = i, n
		}
	}
	switch {
	case best >= 0:
		return table[best].name, true
	case tagged:
		return Syslog, true
	}
	return "", false
}

// Reader reads entries of many servers, each by its format.
type Reader struct {
	opt     entry.Options
	silence *ssh.Silence
	formats map[*spec]entry.Format
	counts  map[count]int64
}

// count is what is counted apart. Whys are constants and formats are few: the map is bounded.
type count struct {
	format string
	entry.Result
}

// NewReader returns a Reader that has seen nothing.
func NewReader(opt entry.Options) *Reader {
	if opt.Zone == nil {
		opt.Zone = time.UTC
	}
	return &Reader{opt: opt, silence: ssh.NewSilence(), formats: map[*spec]entry.Format{}, counts: map[count]int64{}}
}

// Reasons for lines that no format gets to see.
const (
	whyNoFormat = "no format reads lines of this tag"
	whyNoHead   = "no time and tag at the start of the line"
	whyNoStamp  = "the entry has no time"
	whyEmpty    = "an empty line"
)

// Take reads an entry by the format of its tag, and appends what it tells to out.
func (r *Reader) Take(e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	s := byIdent(e.Ident)
	if s == nil {
		return out, r.count("", entry.Note(whyNoFormat))
	}
	return r.take(s, e, out)
}

// Line reads one line of a text file of the named format, without its newline. Now is the reference for stamps without a year.
func (r *Reader) Line(name, raw string, now time.Time, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	c := line.Clock{Now: now, Zone: r.opt.Zone}
	raw = strings.TrimSuffix(raw, "\r")
	if strings.TrimSpace(raw) == "" {
		return out, r.count(name, entry.Note(whyEmpty))
	}
	s := byName(name)
	if s != nil && s.own != nil {
		if e, ok := s.own(raw, c); ok {
			return r.take(s, &e, out)
		}
		if s.idents == nil {
			return out, r.count(name, entry.Refuse(entry.WhyNotOwn))
		}
	}
	e, ok := entry.FromLine(raw, c)
	switch {
	case !ok:
		return out, r.count(name, entry.Refuse(whyNoHead))
	case s == nil:
		return r.Take(&e, out)
	case byIdent(e.Ident) != s:
		return out, r.count(name, entry.Note(whyNoFormat))
	}
	return r.take(s, &e, out)
}

func (r *Reader) take(s *spec, e *entry.Entry, out []tallyman.Evidence) ([]tallyman.Evidence, entry.Result) {
	if e.Time.IsZero() {
		return out, r.count(s.name, entry.Refuse(whyNoStamp))
	}
	if e.Host == "" {
		e.Host = r.opt.Host
	}
	f := r.formats[s]
	if f == nil {
		if s.ssh != nil {
			f = s.ssh(r.silence)
		} else {
			f = s.make(r.opt)
		}
		r.formats[s] = f
	}
	e.Format = s.name
	out, result := f.Take(e, out)
	return out, r.count(s.name, result)
}

func (r *Reader) count(name string, result entry.Result) entry.Result {
	r.counts[count{name, result}]++
	return result
}

// Settle appends what formats held back since before then, because a later line could have changed it.
func (r *Reader) Settle(then time.Time, out []tallyman.Evidence) []tallyman.Evidence {
	for i := range table {
		if s, ok := r.formats[&table[i]].(entry.Settler); ok {
			out = s.Settle(then, out)
		}
	}
	return out
}

// Count calls f with each format, outcome and reason, and how many lines had them.
func (r *Reader) Count(f func(format string, result entry.Result, n int64)) {
	for k, n := range r.counts {
		f(k.format, k.Result, n)
	}
}
