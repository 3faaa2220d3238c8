package daemon

import (
	"path"
	"slices"
	"strconv"
	"strings"
)

// Start is one server that another program starts when somebody asks for it.
type Start struct {
	Port uint16
	UDP  bool
	Args []string // its command line, with its own name first
	Unit string   // of systemd
	// Stays says that the server takes over the socket and waits on it itself, as a process of its own.
	Stays  bool
	Doubts []string
}

// starters maps the name of a program that starts others to the reader of what it was told. Readers get the command line without its own name.
var starters = map[string]func(args []string, look Look) []Start{
	"inetd": inetd, "inetutils-inetd": inetd, "openbsd-inetd": inetd, "xinetd": xinetd, "systemd": sockets,
	"systemd-socket-activate": activate, "tcpsvd": follows, "udpsvd": follows, "tcpserver": follows, "s6-tcpserver": follows, "s6-tcpserver4": follows,
}

// Starter reports whether a program may start servers for each connection.
func Starter(program string) bool { return starters[program] != nil }

// commLen is how much of its name a process has (TASK_COMM_LEN without its NUL).
const commLen = 15

// Worth reports whether the name that a process has itself may be that of a server or a starter, so that its executable is worth a look.
func Worth(comm string) bool {
	if Known(comm) || Starter(comm) {
		return true
	}
	if len(comm) < commLen {
		return false
	}
	for name := range known {
		if strings.HasPrefix(name, comm) {
			return true
		}
	}
	for name := range starters {
		if strings.HasPrefix(name, comm) {
			return true
		}
	}
	return false
}

// Starts reads which of the servers that are looked for a program starts. args is its command line with its own name.
func Starts(program string, args []string, look Look) (out []Start) {
	reader := starters[program]
	if reader == nil {
		return nil
	}
	if len(args) > 0 {
		args = args[1:]
	}
	for _, s := range reader(args, look) {
		if s.Args = unwrapped(s.Args); s.Port != 0 && len(s.Args) > 0 && Known(Program(s.Args)) && len(out) < mostStarts {
			out = append(out, s)
		}
	}
	return out
}

// mostStarts bounds the servers of one starter; further ones are not watched.
const mostStarts = 64

// Program is the name of the server that a command line starts.
func Program(args []string) string {
	name := path.Base(args[0])
	if name == "pure-ftpd-wrapper" { // Debian's: it reads the configuration, and becomes the server
		return "pure-ftpd"
	}
	return name
}

// unwrapped takes the wrapper of tcpd(8) off: it is given the server as its own name.
func unwrapped(args []string) []string {
	if len(args) > 1 && path.Base(args[0]) == "tcpd" {
		return args[1:]
	}
	return args
}

// commandOf is a server with its arguments; its own name, which is free, is replaced by that of the program.
func commandOf(program string, argv []string) []string {
	if path.Base(program) == "tcpd" {
		return argv // the name is the server
	}
	if len(argv) == 0 {
		return []string{program}
	}
	return append([]string{program}, argv[1:]...)
}

// servicePort finds the port of a service: a number, or a name of services(5).
func servicePort(look Look, service string, udp bool) uint16 {
	if n := port(service, 0); n != 0 {
		return n
	}
	proto := "tcp"
	if udp {
		proto = "udp"
	}
	b, err := look.File("/etc/services")
	if err != nil {
		return 0
	}
	var found uint16
	lines(string(b), func(line string) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if found != 0 || len(f) < 2 || f[0] != service && !slices.Contains(f[2:], service) {
			return
		}
		if number, its, ok := strings.Cut(f[1], "/"); ok && its == proto {
			n, _ := strconv.ParseUint(number, 10, 16) // what is no number is no port
			found = uint16(n)
		}
	})
	return found
}

// inetd reads inetd.conf(5): of the BSDs, of GNU (with a folder beside it) and what its command line names.
func inetd(args []string, look Look) (out []Start) {
	files := append([]string{"/etc/inetd.conf"}, look.Glob("/etc/inetd.d/*")...)
	_, rest := grammar{short: "deilE a:p:q:R:w:c:", long: map[string]string{"environment": "e", "pidfile=": "p", "rate=": "R", "debug": "d", "resolve": "r"}}.parse(args)
	if len(rest) > 0 {
		files = rest
	}
	for _, name := range files[:min(len(files), mostFiles)] {
		b, err := look.File(name)
		if err != nil {
			continue
		}
		lines(string(b), func(line string) {
			f := strings.Fields(line)
			if len(f) < 6 {
				return // not a service: the address for those that follow, or a tunnel
			}
			service := f[0][strings.LastIndexByte(f[0], ':')+1:] // ADDRESS:SERVICE
			udp := strings.HasPrefix(f[2], "udp")
			out = append(out, Start{Port: servicePort(look, service, udp), UDP: udp, Args: commandOf(f[5], f[6:])})
		})
	}
	return out
}

// xinetd reads xinetd.conf(5) and what it includes.
func xinetd(args []string, look Look) (out []Start) {
	file := "/etc/xinetd.conf"
	if i := slices.Index(args, "-f"); i >= 0 && i+1 < len(args) {
		file = args[i+1]
	}
	c := xinetdFiles{look: look}
	c.read(file)
	for _, s := range c.services {
		if v := s.start(&c); v != nil {
			out = append(out, *v)
		}
	}
	return out
}

type xinetdFiles struct {
	look     Look
	files    int
	services []xinetdService
	defaults xinetdService
}

// xinetdService is one block.
type xinetdService struct {
	name string
	set  map[string]string
}

func (c *xinetdFiles) read(name string) {
	if c.files++; c.files > mostFiles {
		return
	}
	b, err := c.look.File(name)
	if err != nil {
		return
	}
	var block *xinetdService
	lines(string(b), func(line string) {
		word, rest, _ := strings.Cut(line, " ")
		if i := strings.IndexByte(line, '\t'); i >= 0 && i < len(word) {
			word, rest = line[:i], line[i+1:]
		}
		rest = strings.TrimSpace(rest)
		switch {
		case line == "{":
		case line == "}":
			if block != nil && block.name != "" {
				c.services = append(c.services, *block)
			}
			block = nil
		case block == nil && word == "service":
			block = &xinetdService{name: strings.TrimSpace(strings.TrimSuffix(rest, "{")), set: map[string]string{}}
		case block == nil && word == "defaults":
			c.defaults.set = map[string]string{}
			block = &c.defaults
		case block == nil && word == "include":
			c.read(rest)
		case block == nil && word == "includedir":
			for _, name := range c.look.Glob(rest + "/*") {
				if base := path.Base(name); !strings.Contains(base, ".") && !strings.HasSuffix(base, "~") {
					c.read(name)
				}
			}
		case block != nil:
			if key, value, ok := strings.Cut(line, "="); ok {
				key = strings.TrimSpace(strings.TrimRight(key, "+- \t"))
				block.set[key] = strings.TrimSpace(value)
			}
		}
	})
}

// start is what a block starts; nil if it is disabled.
func (s *xinetdService) start(c *xinetdFiles) *Start {
	id := s.set["id"]
	if id == "" {
		id = s.name
	}
	listed := func(key string) bool { return slices.Contains(strings.Fields(c.defaults.set[key]), id) }
	if s.set["disable"] == "yes" || listed("disabled") || c.defaults.set["enabled"] != "" && !listed("enabled") || s.set["server"] == "" {
		return nil
	}
	udp := s.set["socket_type"] == "dgram" || s.set["protocol"] == "udp"
	service := s.set["port"]
	if service == "" {
		service = s.name
	}
	argv := strings.Fields(s.set["server_args"])
	if !strings.Contains(s.set["flags"], "NAMEINARGS") {
		argv = append([]string{""}, argv...)
	}
	return &Start{Port: servicePort(c.look, service, udp), UDP: udp, Args: commandOf(s.set["server"], argv)}
}

// activate reads systemd-socket-activate(1).
func activate(args []string, _ Look) []Start {
	options, rest := grammar{short: "l:aE:d", long: map[string]string{"listen=": "l", "accept": "a", "datagram": "d", "setenv=": "E", "fdname=": "fdname", "inetd": "inetd"}}.first(args)
	var out []Start
	_, accepts := value(options, "a")
	_, udp := value(options, "d")
	for _, o := range options {
		if o.name == "l" {
			out = append(out, Start{Port: bare(o.value), UDP: udp, Args: rest, Stays: !accepts})
		}
	}
	return out
}

// follows reads the command line of a program that is followed by the server: tcpsvd, tcpserver and their kin, with options, address and port before it.
func follows(args []string, look Look) []Start {
	for i := range args {
		if i == 0 || !Known(path.Base(args[i])) {
			continue
		}
		for _, word := range slices.Backward(args[:i]) {
			if n := servicePort(look, word, false); n != 0 {
				return []Start{{Port: n, Args: args[i:]}, {Port: n, UDP: true, Args: args[i:]}} // the socket decides
			}
		}
	}
	return nil
}

// bare reads the port of PORT, ADDRESS:PORT and [ADDRESS]:PORT.
func bare(text string) uint16 {
	n, err := strconv.ParseUint(text[strings.LastIndexByte(text, ':')+1:], 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}
