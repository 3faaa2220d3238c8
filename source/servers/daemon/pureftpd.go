package daemon

import (
	"path"
	"strings"
)

// pureOptions are those of pure-ftpd(8), version 1.0.50, with a value, and the few that matter here.
var pureOptions = grammar{
	short: "0146a:Abc:C:dDeEf:F:g:GhHiI:jJ:k:Kl:L:m:Mn:NoO:p:P:q:Q:rRsS:t:T:u:U:V:wWxXy:Y:zZ2:3:8:9:B",
	long: map[string]string{
		"altlog=": "O", "bind=": "S", "anonymousonly": "e", "noanonymous": "E", "login=": "l", "tls=": "Y", "daemonize": "B", "chrooteveryone": "A",
		"pidfile=": "g", "syslogfacility=": "f", "maxclientsnumber=": "c", "verboselog": "d", "minuid=": "u",
		"maxidletime=": "I", "maxclientsperip=": "C", "certfile=": "2", "tlsciphersuite=": "J", "passiveportrange=": "p", "umask=": "U", "userbandwidth=": "T",
	},
}

// pureFTPd reads the options of pure-ftpd. It writes over its command line; then the folder of Debian's wrapper, one file an option, or the
// configuration file is read.
func pureFTPd(args []string, look Look) *Setup {
	s := &Setup{Name: "pure-ftpd", Proto: "ftp", Port: 21}
	options, rest := pureOptions.parse(args)
	titled := len(args) == 0 || strings.HasPrefix(args[0], "(") // pure-ftpd (SERVER)
	switch {
	case titled:
		options = append(options, pureSaved(s, look)...)
	case len(rest) == 1 && len(options) == 0:
		options = pureFile(s.file(look, rest[0]))
	}
	if bind, ok := value(options, "S"); ok {
		if i := strings.LastIndexByte(bind, ','); i >= 0 {
			bind = bind[i+1:]
		}
		s.Port = port(bind, 21)
	}
	if v, ok := value(options, "Y"); ok && v != "0" {
		s.TLS = true
	}
	_, anonymousOnly := value(options, "e")
	_, noAnonymous := value(options, "E")
	if !noAnonymous {
		s.Roots = append(s.Roots, homeOf(look, "ftp"))
	}
	if !anonymousOnly {
		s.Roots = append(s.Roots, homes(look)...)
		s.Roots = append(s.Roots, pureVirtual(look)...)
	}
	s.Logs = []Log{{Format: "pure-ftpd"}}
	if alt, ok := value(options, "O"); ok {
		format, file, _ := strings.Cut(alt, ":")
		if name := map[string]string{"clf": "pure-ftpd-clf", "w3c": "pure-ftpd-w3c", "stats": "pure-ftpd-stats", "xferlog": "xferlog"}[format]; name != "" && path.IsAbs(file) {
			s.Logs = append(s.Logs, Log{Path: file, Format: name, Again: true})
		}
	}
	s.Tells = Tells{Ends: true}
	s.advise("pure-ftpd calls every transfer a success in its log: only packets show which were cut")
	return s
}

// pureSaved reads what the command line no longer says.
func pureSaved(s *Setup, look Look) (out []option) {
	for _, name := range look.Glob("/etc/pure-ftpd/conf/*") {
		b, err := look.File(name)
		if err != nil {
			continue
		}
		out = append(out, pureFile(path.Base(name)+" "+strings.TrimSpace(string(b)))...)
	}
	if out != nil {
		return out
	}
	for _, name := range []string{"/etc/pure-ftpd/pure-ftpd.conf", "/etc/pure-ftpd.conf"} {
		if b, err := look.File(name); err == nil {
			return pureFile(string(b))
		}
	}
	s.doubt("it has written over its command line, and no configuration of it was found: its folders and logs may be others")
	return nil
}

// pureFile reads lines of a configuration file: a name and a value.
func pureFile(text string) (out []option) {
	letters := map[string]string{"altlog": "O", "bind": "S", "tls": "Y", "anonymousonly": "e", "noanonymous": "E"}
	lines(text, func(line string) {
		f := strings.Fields(line)
		letter := letters[strings.ToLower(f[0])]
		if letter == "" || len(f) < 2 || strings.EqualFold(f[1], "no") {
			return
		}
		out = append(out, option{letter, f[1]})
	})
	return out
}

// pureVirtual returns the folders of virtual users, where their text file is (pure-pw(8)).
func pureVirtual(look Look) (out []string) {
	for _, name := range []string{"/etc/pure-ftpd/pureftpd.passwd", "/etc/pureftpd.passwd"} {
		b, err := look.File(name)
		if err != nil {
			continue
		}
		lines(string(b), func(line string) {
			if f := strings.Split(line, ":"); len(f) > 5 {
				root, _, _ := strings.Cut(f[5], "/./") // what stands before is the chroot
				out = append(out, root)
			}
		})
	}
	return out
}
