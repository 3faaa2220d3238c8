// Package command reads what an FTP client says on the control connection, and writes what it is told: lines, arguments, paths, replies. It is pure.
//
//	line without its end --Parse--> Command{Verb, Arg} --Port, ExtendedPort, Offset, Stamp, Resolve--> values
//	code, lines --Reply--> the bytes of one reply, whatever the lines hold
//
// It promises: what is accepted and written again is the same; what is not understood is refused and never guessed; no byte of a client ends a
// reply early. It knows no session: what a command means now, it leaves to the engine.
package command

import (
	"errors"
	"strings"
)

// MaxLine is the longest command in bytes, without its end: the longest name with each byte doubled (RFC 854, IAC IAC), and a verb before it.
const MaxLine = 2*4095 + 32

// Errors of Parse.
var (
	ErrEmpty   = errors.New("an empty line")
	ErrVerb    = errors.New("no command")
	ErrControl = errors.New("a NUL, CR, LF or Telnet command inside the line")
	ErrLong    = errors.New("the line is too long")
)

// The Telnet bytes that FTP needs (RFC 854).
const (
	iac       = 255
	will      = 251
	dont      = 254
	firstTelC = 240 // SE: all commands are this or more
)

// Command is one line. Arg is what stands behind the first space, byte for byte: names may begin and end with spaces.
type Command struct {
	Verb string // upper case, at most 12 letters and digits
	Arg  string
}

// Parse reads a line without its end. Telnet commands before the verb are dropped: clients send IAC IP, IAC DM before ABOR (RFC 959, 4.1.3). IAC IAC
// in the argument is the one byte 255. A lone 255 before a byte that is no Telnet command stands for itself, because many clients do not double it.
func Parse(line []byte) (Command, error) {
	if len(line) > MaxLine {
		return Command{}, ErrLong
	}
	line = dropTelnet(line)
	if len(line) == 0 {
		return Command{}, ErrEmpty
	}
	verb, arg := line, []byte(nil)
	for i, c := range line {
		if c == ' ' {
			verb, arg = line[:i], line[i+1:]
			break
		}
	}
	if !isVerb(verb) {
		return Command{}, ErrVerb
	}
	text, err := unescape(arg)
	if err != nil {
		return Command{}, err
	}
	return Command{Verb: strings.ToUpper(string(verb)), Arg: text}, nil
}

func dropTelnet(line []byte) []byte {
	for len(line) > 1 && line[0] == iac && line[1] >= firstTelC {
		n := 2
		if line[1] >= will && line[1] <= dont {
			n = 3
		}
		line = line[min(n, len(line)):]
	}
	return line
}

func isVerb(verb []byte) bool {
	if len(verb) == 0 || len(verb) > 12 {
		return false
	}
	for _, c := range verb {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			continue
		}
		return false
	}
	return true
}

func unescape(arg []byte) (string, error) {
	var b strings.Builder
	for i := 0; i < len(arg); i++ {
		switch c := arg[i]; {
		case c == 0 || c == '\r' || c == '\n':
			return "", ErrControl
		case c == iac && i+1 < len(arg) && arg[i+1] == iac:
			i++
		case c == iac && i+1 < len(arg) && arg[i+1] >= firstTelC:
			return "", ErrControl
		}
		b.WriteByte(arg[i])
	}
	return b.String(), nil
}

// Append writes the command as a client would.
func (c Command) Append(to []byte) []byte {
	to = append(to, c.Verb...)
	if c.Arg == "" {
		return to
	}
	return appendEscaped(append(to, ' '), c.Arg)
}

func appendEscaped(to []byte, text string) []byte {
	for i := range len(text) {
		if text[i] == iac {
			to = append(to, iac)
		}
		to = append(to, text[i])
	}
	return to
}

// Shown is the command for people: a password is never in it.
func (c Command) Shown() string {
	switch {
	case c.Verb == "PASS" || c.Verb == "ACCT":
		return c.Verb + " ..."
	case c.Arg == "":
		return c.Verb
	}
	return c.Verb + " " + c.Arg
}
