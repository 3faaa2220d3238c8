package watch

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/source/files"
	"tallyman/source/servers"
	"tallyman/source/wire"
)

// Cover is what one witness can say of one server.
type Cover struct {
	Witness string
	State   State
	Proves  string // now, or why it sees nothing
	Lacks   string // what it does not see; may be empty
	More    string // what would prove more; empty: nothing

	Nameless, Named string // of the wire: why the kernel does not name the process of a packet, and what would help
}

// Seen is one server, and what its watch proves.
type Seen struct {
	servers.Server
	Ended bool
	Proof string // all witnesses together, in one sentence
	Cover []Cover
}

// Servers returns those that run, then those that have ended.
func (w *Watch) Servers() []Seen {
	w.mu.Lock()
	found, ended := slices.Clone(w.found), slices.Clone(w.ended)
	w.mu.Unlock()
	all := w.ofServers()
	var out []Seen
	for i := range found {
		out = append(out, see(&found[i], all))
	}
	for i := range slices.Backward(ended) {
		out = append(out, Seen{Server: ended[i], Ended: true})
	}
	return out
}

// see composes the coverage of one server.
func see(s *servers.Server, all []Witness) Seen {
	v := Seen{Server: *s}
	for _, w := range all {
		c := Cover{Witness: w.Name, State: w.State}
		switch w.Name {
		case "wire":
			c = onWire(s, w)
		case "files":
			c = inFiles(s, w)
		case "log":
			c = inLog(s, w)
		}
		v.Cover = append(v.Cover, c)
	}
	v.Proof = proof(s, v.Cover)
	return v
}

func (w *Witness) works() bool { return w.State == Live || w.State == Blind }

func onWire(s *servers.Server, w Witness) Cover {
	c := Cover{Witness: w.Name, State: w.State, Proves: w.Text, More: w.More}
	if s.Proto == "tftp" {
		c.Nameless, c.Named = w.Nameless, w.Named
	}
	if s.Proto == "sftp" {
		c.State, c.Proves, c.More = Off, "SFTP is encrypted: packets say nothing of its files", ""
		return c
	}
	if !w.works() {
		return c
	}
	c.Proves = "how each transfer ended, its bytes, who fell silent, what was refused"
	if s.Proto == "ftp" && s.TLS {
		c.Proves = "plain transfers: how each ended; behind TLS bytes and times alone"
	}
	if c.Nameless != "" {
		c.Lacks, c.More = "the process behind a packet: "+c.Nameless, c.Named
	}
	if s.Apart.Net {
		c.Lacks, c.More = "it has a network of its own: what stays on its loopback is unseen", "watch in its network too"
	}
	return c
}

func inFiles(s *servers.Server, w Witness) Cover {
	c := Cover{Witness: w.Name, State: w.State, Proves: w.Text, More: w.More}
	if len(s.Folders) == 0 {
		c.State, c.Proves = Off, "its folder is not known"
		c.More = "name it, as in tallyman watch /srv/tftp"
		if len(s.Unreached) > 0 {
			c.Proves = "its folder " + paths(s.Unreached) + " is in a container and cannot be reached from here"
			c.More = "mount a folder of this machine there"
		}
		return c
	}
	if w.works() {
		c.Proves = "what was opened, changed and stored in " + paths(s.Folders) + ", and its size"
		if w.State == Live {
			c.Proves += ", by which process"
		}
		if w.State == Live && w.More == "" {
			c.More = ""
		}
		if w.More != "" {
			c.Lacks = w.Text
		}
		if len(s.Shares) > 0 {
			c.Lacks = paths(s.Shares) + " is a network share: what other machines write there is unseen"
			c.More = "watch on the machine that holds the files, too"
		}
	}
	return c
}

func inLog(s *servers.Server, w Witness) Cover {
	c := Cover{Witness: w.Name, State: w.State, Proves: w.Text, More: w.More}
	var told []string
	for _, t := range []struct {
		yes  bool
		what string
	}{{s.Tells.Requests, "requests"}, {s.Tells.Refusals, "refusals"}, {s.Tells.Ends, "ends"}} {
		if t.yes {
			told = append(told, t.what)
		}
	}
	var lacks, more []string
	for _, a := range s.Advice { // what is unseen; what to do
		what, do, found := strings.Cut(a, "; ")
		if !found {
			what, do, found = strings.Cut(a, ": ")
		}
		if !found {
			more = append(more, a)
			continue
		}
		lacks, more = append(lacks, what), append(more, do)
	}
	if w.works() {
		c.Proves = "socket errors alone"
		if len(told) > 0 {
			c.Proves = "claims: " + strings.Join(told, ", ")
		}
		if s.Syslog && s.Apart.Files && len(s.Files) == 0 {
			lacks = append(lacks, "it is in a container or chroot, and its lines come only if it has our /dev/log")
			more = append(more, "mount /dev/log into it")
		}
		if s.Apart.PIDs && len(s.Files) > 0 {
			c.Proves += "; the process numbers in its own log are those of its container, so that lines are paired by name and moment"
		}
		c.Lacks, c.More = strings.Join(lacks, "; "), strings.Join(more, "; ")
		return c
	}
	if len(more) > 0 {
		c.Lacks = strings.Join(lacks, "; ")
		c.More = strings.Join(append(slices.DeleteFunc([]string{c.More}, func(t string) bool { return t == "" }), more...), "; ")
	}
	return c
}

// proof says what the witnesses prove together.
func proof(s *servers.Server, all []Cover) string {
	works := func(name string) bool {
		return slices.ContainsFunc(all, func(c Cover) bool { return c.Witness == name && (c.State == Live || c.State == Blind) })
	}
	wire, files, log := works("wire"), works("files"), works("log")
	switch {
	case s.Proto == "sftp" && files && log && s.Tells.Ends:
		return "complete, failed and aborted are proven by log and file together"
	case s.Proto == "sftp":
		return "nothing is proven complete: log and files are needed, both"
	case wire && files:
		return "complete, failed, aborted and refused are proven, and uploads that were stored short are found"
	case wire:
		return "complete, failed, aborted and refused are proven; uploads that were stored short are not found without files"
	case files && log:
		return "without packets nothing is proven complete: a transfer that went well is unproven, refusals and some failures are known"
	case files || log:
		return "without packets nothing is proven complete: transfers are unproven"
	}
	return "nothing is seen"
}

func paths(list []string) string {
	shown := list[:min(len(list), 4)]
	var out []string
	for _, p := range shown {
		out = append(out, tallyman.Escape(p))
	}
	if n := len(list) - len(shown); n > 0 {
		out = append(out, "and "+tallyman.Count(int64(n))+" more")
	}
	return strings.Join(out, ", ")
}

// Would says what a watch could see here, without watching: the servers that run, and what each witness would prove.
func Would(cfg Config) ([]Seen, error) {
	w := New(cfg)
	found, err := w.scan()
	if err != nil {
		return nil, err
	}
	journal := journalHere()
	p := planFor(found, cfg.Paths, journal, syslogsHere())
	all := []Witness{wouldWire(cfg), wouldFiles(cfg, &p), {Name: "log", State: Live}}
	if !p.journal && len(p.logs) == 0 {
		all[2].State = Off
		all[2].Text, all[2].More = w.posts[2].nothing()
	}
	var out []Seen
	for i := range found {
		out = append(out, see(&found[i], all))
	}
	return out, nil
}

func wouldWire(cfg Config) Witness {
	w := Witness{Name: "wire", State: Live}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	switch {
	case cfg.NoWire:
		w.State, w.Text, w.More = Off, "switched off by watch.wire", "set watch.wire to auto"
	case err != nil:
		w.State = Failed
		w.Text, w.More = failure(fmt.Errorf("%w: %w", wire.ErrNotAllowed, err))
	}
	if err == nil {
		_ = unix.Close(fd)
	}
	if w.State == Live {
		if err := wire.Named(); err != nil {
			w.Nameless, w.Named = err.Error(), names
		}
	}
	return w
}

func wouldFiles(cfg Config, p *plan) Witness {
	w := Witness{Name: "files", State: Off}
	if len(p.roots) == 0 {
		return w
	}
	a, err := files.Probe(files.Defaults(cfg.Host, p.roots...))
	if err != nil {
		w.State = Failed
		w.Text, w.More = failure(err)
		return w
	}
	if w.State, w.Text, w.More = Live, a.Says, a.Remedy; !a.Who {
		w.State = Blind
	}
	return w
}
