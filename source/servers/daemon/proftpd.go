package daemon

import (
	"strings"
)

// proftpdOptions are those of proftpd(8) with a value that matters.
var proftpdOptions = grammar{
	short: "hnqd:D:c:p:lN4:6S:tv",
	long:  map[string]string{"config=": "c", "persistent=": "p", "define=": "D", "debug=": "d", "serveraddr=": "S", "ipv4": "4", "ipv6": "6", "nodaemon": "n", "quiet": "q"},
}

// proftpd reads the configuration of ProFTPD. It writes over its command line, so that -c is mostly lost: then the usual places are read.
func proftpd(args []string, look Look) *Setup {
	s := &Setup{Name: "proftpd", Proto: "ftp", Port: 21}
	p := proftpdFiles{look: look, setup: s, transfer: "/var/log/xferlog"}
	options, _ := proftpdOptions.parse(args)
	if file, ok := value(options, "c"); ok && file != "" {
		p.text(s.file(look, file))
	} else if b, err := look.File("/etc/proftpd/proftpd.conf"); err == nil {
		p.text(string(b))
	} else {
		p.text(s.file(look, "/etc/proftpd.conf"))
	}
	if !p.rooted { // all may go everywhere, and begin at home
		s.Roots = append(s.Roots, homes(look)...)
	}
	if p.extended != "" {
		s.Logs = append(s.Logs, Log{Path: p.extended, Format: "proftpd-extended"})
	} else if p.transfer != "none" {
		s.Logs = append(s.Logs, Log{Path: p.transfer, Format: "xferlog"})
	}
	switch {
	case p.system == "":
		s.Logs = append(s.Logs, Log{Format: "proftpd"})
	case p.system != "none":
		s.Logs = append(s.Logs, Log{Path: p.system, Format: "proftpd"})
	}
	s.Tells = Tells{Requests: p.extended != "", Refusals: p.extended != "", Ends: p.extended != "" || p.transfer != "none"}
	if p.extended == "" {
		s.advise("proftpd writes no ExtendedLog: requests and refusals are unseen in its log; add the LogFormat and ExtendedLog lines of source/logs/README.md " +
			"to proftpd.conf and restart it")
	}
	return s
}

// proftpdFiles follows the files of ProFTPD.
type proftpdFiles struct {
	look                       Look
	setup                      *Setup
	files                      int
	rooted                     bool
	transfer, system, extended string
}

func (p *proftpdFiles) text(text string) {
	if p.files++; p.files > mostFiles {
		return
	}
	lines(text, func(line string) {
		f := strings.Fields(line)
		arg := ""
		if len(f) > 1 {
			arg = strings.Trim(f[1], `"`)
		}
		switch strings.ToLower(f[0]) {
		case "include":
			for _, name := range p.look.Glob(arg) {
				p.text(p.setup.file(p.look, name))
			}
		case "port":
			p.setup.Port = port(arg, p.setup.Port)
		case "defaultroot":
			p.rooted = true
			p.setup.Roots = append(p.setup.Roots, place(p.look, arg, "%u", "%g")...)
		case "<anonymous":
			p.setup.Roots = append(p.setup.Roots, place(p.look, strings.TrimSuffix(arg, ">"))...)
		case "transferlog":
			p.transfer = strings.Replace(arg, "NONE", "none", 1)
		case "systemlog":
			p.system = strings.Replace(arg, "NONE", "none", 1)
		case "extendedlog":
			if strings.HasPrefix(arg, "/") {
				p.extended = arg
			}
		case "tlsengine":
			p.setup.TLS = p.setup.TLS || strings.EqualFold(arg, "on")
		}
	})
}
