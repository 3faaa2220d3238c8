package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tallyman/source/files"
	"tallyman/source/logs"
	"tallyman/source/servers"
)

// plan is where the witnesses are to look.
type plan struct {
	roots   []files.Root
	journal bool
	logs    []logs.File
	tftp    []uint16
	ftp     []uint16
	data    bool // count what FTP moves
}

// planFor composes a plan from what runs. Paths, when there are any, are the only folders; whose roots they touch is watched there by name, else all programs are.
func planFor(found []servers.Server, paths []string, journal bool, syslogs []logs.File) plan {
	p := plan{tftp: []uint16{69}, ftp: []uint16{21}}
	for _, path := range paths {
		p.root(files.Root{Path: path})
	}
	syslog := false
	for i := range found {
		s := &found[i]
		for _, dir := range s.Folders {
			if len(paths) == 0 {
				p.root(files.Root{Path: dir, Proto: s.Proto, Programs: s.Programs})
				continue
			}
			for k := range p.roots {
				if touches(p.roots[k].Path, dir) {
					p.roots[k] = both(p.roots[k], files.Root{Path: p.roots[k].Path, Proto: s.Proto, Programs: s.Programs}, p.roots[k].Programs == nil)
				}
			}
		}
		for _, l := range s.Files {
			if l.Again && !s.Apart.Files && (journal || len(syslogs) > 0) {
				continue // each transfer would be told twice
			}
			p.log(logs.File{Path: l.Path, Format: l.Format})
		}
		syslog = syslog || s.Syslog
		switch s.Proto {
		case "tftp":
			p.tftp = addPorts(p.tftp, s.Ports())
		case "ftp":
			p.ftp, p.data = addPorts(p.ftp, s.Ports()), true
		}
	}
	p.journal = journal && len(found) > 0
	if syslog && !journal {
		for _, f := range syslogs {
			p.log(f)
		}
	}
	return p
}

func addPorts(list, more []uint16) []uint16 {
	for _, n := range more {
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	return list
}

// touches reports whether one of two folders lies in the other.
func touches(a, b string) bool { return a == b || below(a, b) || below(b, a) }

func below(dir, path string) bool { return dir == "/" || strings.HasPrefix(path, dir+"/") }

// root adds a folder; two servers of one folder share it.
func (p *plan) root(r files.Root) {
	i := slices.IndexFunc(p.roots, func(o files.Root) bool { return o.Path == r.Path })
	if i < 0 {
		p.roots = append(p.roots, r)
		return
	}
	p.roots[i] = both(p.roots[i], r, false)
}

// both unites what two servers want of one folder. A folder of two protocols has none. first says that the root had no server yet.
func both(a, b files.Root, first bool) files.Root {
	if first {
		return b
	}
	if a.Proto != b.Proto {
		a.Proto = ""
	}
	programs := slices.Clone(a.Programs)
	for _, p := range b.Programs {
		if !slices.Contains(programs, p) {
			programs = append(programs, p)
		}
	}
	if len(a.Programs) == 0 || len(b.Programs) == 0 {
		programs = nil // all
	}
	a.Programs = programs
	return a
}

func (p *plan) log(f logs.File) {
	if !slices.ContainsFunc(p.logs, func(o logs.File) bool { return o.Path == f.Path }) {
		p.logs = append(p.logs, f)
	}
}

// with adds what an older plan looked at: a server that ended may come again.
func (p plan) with(old plan) plan {
	for _, r := range old.roots {
		if !slices.ContainsFunc(p.roots, func(o files.Root) bool { return o.Path == r.Path }) {
			p.roots = append(p.roots, r)
		}
	}
	for _, l := range old.logs {
		p.log(l)
	}
	p.journal = p.journal || old.journal
	p.data = p.data || old.data
	p.tftp, p.ftp = addPorts(p.tftp, old.tftp), addPorts(p.ftp, old.ftp)
	return p
}

// What each witness looks at, as a text: it begins again when that changes.

func (p *plan) forFiles() string {
	var all []string
	for _, r := range p.roots {
		programs := slices.Sorted(slices.Values(r.Programs))
		all = append(all, fmt.Sprintf("%q %s %q", r.Path, r.Proto, programs))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func (p *plan) forLogs() string {
	var all []string
	if p.journal {
		all = append(all, "journal")
	}
	for _, l := range p.logs {
		all = append(all, fmt.Sprintf("%q %s", l.Path, l.Format))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func (p *plan) forMounts() string { return "all" }

func (p *plan) forWire() string {
	t, f := slices.Clone(p.tftp), slices.Clone(p.ftp)
	slices.Sort(t)
	slices.Sort(f)
	return fmt.Sprint(t, f, p.data)
}

// journalHere reports whether this machine has a journal of systemd that can be followed.
func journalHere() bool {
	for _, dir := range []string{"/run/log/journal", "/var/log/journal"} {
		if names, err := filepath.Glob(dir + "/*/*.journal"); err == nil && len(names) > 0 {
			return true
		}
	}
	return false
}

// syslogsHere lists the text files to which syslog daemons write, as far as they are here: of each group the first, the others say the same.
func syslogsHere() (out []logs.File) {
	for _, group := range [][]string{{"/var/log/syslog", "/var/log/messages", "/var/log/daemon.log"}, {"/var/log/auth.log", "/var/log/secure"}} {
		for _, path := range group {
			if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
				out = append(out, logs.File{Path: path, Format: "syslog"})
				break
			}
		}
	}
	return out
}
