package daemon

import (
	"path"
	"slices"
	"strings"
)

// dnsmasqOptions are the letters of dnsmasq(8), version 2.90, and the long options that matter here. In its files the long ones stand without dashes.
var dnsmasqOptions = grammar{
	short: "951yZDNLERKzowefnbvhdkqr:m:p:c:l:s:i:t:u:g:a:x:S:C:A:T:H:Q:I:B:F:G:O:M:X:V:U:j:P:J:W:Y:2:4:6:7:8:0:3:",
	long: map[string]string{
		"conf-file=": "C", "conf-dir=": "7", "log-facility=": "8", "tftp-root=": "tftp-root", "enable-tftp": "enable-tftp", "quiet-tftp": "quiet-tftp",
		"pid-file=": "x", "user=": "u", "group=": "g", "port=": "p", "interface=": "i", "listen-address=": "a", "tftp-max=": "tftp-max",
		"addn-hosts=": "H", "dhcp-range=": "F", "dhcp-boot=": "M", "dhcp-script=": "6", "server=": "S", "domain=": "s", "cache-size=": "c",
	},
}

// mostFiles bounds the files that one configuration includes.
const mostFiles = 64

// dnsmasq reads the command line and the files of dnsmasq; nil where it serves no TFTP.
func dnsmasq(args []string, look Look) *Setup {
	options, _ := dnsmasqOptions.parse(args)
	s := &Setup{Name: "dnsmasq", Proto: "tftp", Port: 69}
	d := dnsmasqFiles{look: look, setup: s}
	if _, ok := value(options, "C"); !ok {
		if text, err := look.File("/etc/dnsmasq.conf"); err == nil { // it need not be there
			d.text(string(text))
		}
	}
	for _, o := range options {
		d.option(o.name, o.value)
	}
	if !d.on {
		return nil
	}
	switch {
	case strings.HasPrefix(d.log, "/dev/"):
		s.advise("dnsmasq writes its log to " + d.log + ", where it cannot be read: take log-facility away, or name a file")
	case strings.HasPrefix(d.log, "/"):
		s.Logs = []Log{{Path: d.log, Format: "syslog"}}
	case d.log == "-":
		s.advise("dnsmasq writes its log to standard error, where it is unseen unless its unit sends that to the journal: take log-facility away")
	default:
		s.Logs = []Log{{Format: "dnsmasq"}}
	}
	if len(s.Roots) == 0 {
		s.doubt("no tftp-root is set: which files it serves is not known")
	}
	s.Tells = Tells{Refusals: len(s.Logs) > 0, Ends: len(s.Logs) > 0 && !d.quiet}
	if d.quiet {
		s.advise("dnsmasq runs with quiet-tftp: ends and refusals are unseen in its log; remove it and restart dnsmasq")
	}
	return s
}

// dnsmasqFiles follows the files of dnsmasq.
type dnsmasqFiles struct {
	look      Look
	setup     *Setup
	files     int
	on, quiet bool
	log       string
}

func (d *dnsmasqFiles) option(name, val string) {
	switch name {
	case "enable-tftp":
		d.on = true
	case "tftp-root":
		root, _, _ := strings.Cut(val, ",") // an interface may follow
		d.setup.Roots = append(d.setup.Roots, root)
	case "quiet-tftp":
		d.quiet = true
	case "8", "log-facility":
		d.log = val
	case "C", "conf-file":
		if val != "" && val != "/dev/null" && d.more() {
			d.text(d.setup.file(d.look, val))
		}
	case "7", "conf-dir":
		d.folder(val)
	}
}

func (d *dnsmasqFiles) more() bool { d.files++; return d.files <= mostFiles }

// folder reads the files of a conf-dir. What follows the folder are endings: of files that are left out, or with a star the only ones that count.
func (d *dnsmasqFiles) folder(val string) {
	parts := strings.Split(val, ",")
	for _, name := range d.look.Glob(path.Join(parts[0], "*")) {
		base := path.Base(name)
		if strings.HasSuffix(base, "~") || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "#") && strings.HasSuffix(base, "#") {
			continue
		}
		only := slices.ContainsFunc(parts[1:], func(p string) bool { return strings.HasPrefix(p, "*") })
		match := slices.ContainsFunc(parts[1:], func(p string) bool { return strings.HasSuffix(base, strings.TrimPrefix(p, "*")) })
		if match == only && d.more() {
			d.text(d.setup.file(d.look, name))
		}
	}
}

func (d *dnsmasqFiles) text(text string) {
	lines(text, func(line string) {
		name, val, _ := strings.Cut(line, "=")
		val, _, _ = strings.Cut(val, " #")
		d.option(strings.TrimSpace(name), strings.Trim(strings.TrimSpace(val), `"`))
	})
}
