package daemon

import (
	"slices"
	"strconv"
	"strings"
)

// option is one option of a command line.
type option struct{ name, value string }

// grammar says which options have a value, as getopt_long(3) is told.
type grammar struct {
	short string            // letters; one colon: has a value, two: it may follow at once
	long  map[string]string // long name to its short one, or to itself; those that end in = have a value
}

// parse splits a command line as getopt_long(3) does: options may stand behind other words, long ones may be cut short where that is clear. An
// option that is not known has no value.
func (g grammar) parse(args []string) (options []option, rest []string) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		next := func() string {
			if i+1 >= len(args) {
				return ""
			}
			i++
			return args[i]
		}
		switch {
		case a == "--":
			return options, append(rest, args[i+1:]...)
		case strings.HasPrefix(a, "--"):
			name, value, given := strings.Cut(a[2:], "=")
			full, valued := g.full(name)
			if valued && !given {
				value = next()
			}
			options = append(options, option{full, value})
		case len(a) > 1 && a[0] == '-':
			for at := 1; at < len(a); at++ {
				kind := g.kind(a[at])
				o := option{name: a[at : at+1]}
				if kind > 0 && at+1 < len(a) {
					o.value, at = a[at+1:], len(a)
				} else if kind == 1 {
					o.value = next()
				}
				options = append(options, o)
			}
		default:
			rest = append(rest, a)
		}
	}
	return options, rest
}

// first splits a command line at the first word that is no option: what follows is another command.
func (g grammar) first(args []string) (options []option, rest []string) {
	for n := range args {
		if o, more := g.parse(args[:n+1]); len(more) > 0 {
			return o, args[n:]
		}
	}
	options, rest = g.parse(args)
	return options, rest
}

// full returns what a long option stands for, and whether a value follows.
func (g grammar) full(name string) (string, bool) {
	var found []string
	for long := range g.long {
		bare := strings.TrimSuffix(long, "=")
		if bare == name {
			found = []string{long}
			break
		}
		if name != "" && strings.HasPrefix(bare, name) {
			found = append(found, long)
		}
	}
	if len(found) != 1 {
		return name, false
	}
	return g.long[found[0]], strings.HasSuffix(found[0], "=")
}

// kind returns how many colons stand behind a letter.
func (g grammar) kind(letter byte) int {
	i := strings.IndexByte(g.short, letter)
	if i < 0 || letter == ':' {
		return 0
	}
	n := 0
	for _, c := range g.short[i+1:] {
		if c != ':' {
			break
		}
		n++
	}
	return n
}

// value returns the last value of an option.
func value(options []option, name string) (string, bool) {
	for _, o := range slices.Backward(options) {
		if o.name == name {
			return o.value, true
		}
	}
	return "", false
}

// port reads a port, by number or by the name of its service; fallback if there is none.
func port(text string, fallback uint16) uint16 {
	switch text {
	case "tftp":
		return 69
	case "ftp":
		return 21
	case "ssh":
		return 22
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return fallback
	}
	return uint16(n)
}

// portOf reads the port of an address as in 10.0.0.1:69, [::]:69, :69, and 10.0.0.1.
func portOf(address string, fallback uint16) uint16 {
	i := strings.LastIndexByte(address, ':')
	if i < 0 || strings.Contains(address[:i], ":") && !strings.HasSuffix(address[:i], "]") {
		return fallback // a bare IPv6 address has no port
	}
	return port(address[i+1:], fallback)
}
