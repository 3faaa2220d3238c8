package daemon

import (
	"path"
	"slices"
	"strings"
)

// sshdOptions are those of sshd(8).
var sshdOptions = grammar{short: "46DdeGiqTtVC:c:E:f:g:h:o:p:u:"}

// sshd reads the configuration of OpenSSH; nil where it offers no SFTP. Its title holds its command line: "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups".
func sshd(args []string, look Look) *Setup {
	if i := slices.Index(args, "[listener]"); i >= 0 {
		args = args[:i]
	}
	options, _ := sshdOptions.parse(args)
	s := &Setup{Name: "openssh", Proto: "sftp", Port: 22, Programs: []string{"sshd", "sshd-session", "sftp-server"}, TLS: true}
	c := sshdFiles{look: look, setup: s}
	for _, o := range options {
		if o.name == "o" {
			c.text(strings.Replace(o.value, "=", " ", 1))
		}
	}
	file := "/etc/ssh/sshd_config"
	if f, ok := value(options, "f"); ok && f != "" {
		file = f
	}
	c.text(s.file(look, file))
	if p, ok := value(options, "p"); ok {
		s.Port = port(p, 22)
	} else if c.port != 0 {
		s.Port = c.port
	}
	if c.sftp == "" {
		return nil
	}
	s.Roots = append(s.Roots, c.roots...)
	s.Roots = append(s.Roots, homes(look)...)
	if h := homeOf(look, "root"); h != "" && h != "/" {
		s.Roots = append(s.Roots, h)
	}
	s.Logs = []Log{{}}
	level := ""
	f := strings.Fields(c.sftp)
	if i := slices.Index(f, "-l"); i >= 0 && i+1 < len(f) {
		level = strings.ToUpper(f[i+1])
	}
	tells := slices.Contains([]string{"INFO", "VERBOSE", "DEBUG", "DEBUG1", "DEBUG2", "DEBUG3"}, level)
	s.Tells = Tells{Requests: tells, Refusals: tells, Ends: tells}
	if !tells {
		s.advise("sshd logs no SFTP transfers: write Subsystem sftp internal-sftp -f AUTH -l INFO in sshd_config and reload it; its log is then the best claim there is")
	}
	for _, jail := range c.jails {
		if log := path.Join(jail, "dev/log"); tells && len(look.Glob(path.Dir(log)+"/lo[g]")) == 0 {
			s.advise("who is locked into " + jail + " is unseen in the log, as there is no " + log + ": mount --bind /dev/log there, or have the syslog daemon listen on it")
		}
	}
	return s
}

// sshdFiles follows the files of sshd. The first value of a keyword counts (sshd_config(5)).
type sshdFiles struct {
	look  Look
	setup *Setup
	files int
	port  uint16
	sftp  string // what the subsystem is
	roots []string
	jails []string // of them those that are one place for all
}

func (c *sshdFiles) text(text string) {
	if c.files++; c.files > mostFiles {
		return
	}
	lines(text, func(line string) {
		f := strings.Fields(strings.Replace(line, "=", " ", 1))
		if len(f) < 2 {
			return
		}
		switch strings.ToLower(f[0]) {
		case "include":
			for _, pattern := range f[1:] {
				if !path.IsAbs(pattern) {
					pattern = path.Join("/etc/ssh", pattern)
				}
				for _, name := range c.look.Glob(pattern) {
					c.text(c.setup.file(c.look, name))
				}
			}
		case "port":
			if c.port == 0 {
				c.port = port(f[1], 22)
			}
		case "subsystem":
			if c.sftp == "" && f[1] == "sftp" && len(f) > 2 {
				c.sftp = strings.Join(f[2:], " ")
			}
		case "forcecommand":
			if c.sftp == "" && strings.HasPrefix(f[1], "internal-sftp") {
				c.sftp = strings.Join(f[1:], " ")
			}
		case "chrootdirectory":
			c.roots = append(c.roots, place(c.look, f[1], "%u", "%U")...)
			if path.IsAbs(f[1]) && !strings.Contains(f[1], "%") && len(c.jails) < 8 {
				c.jails = append(c.jails, path.Clean(f[1]))
			}
		}
	})
}
