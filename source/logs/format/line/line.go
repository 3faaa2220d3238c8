// Package line takes the head off a line of syslog: time, host and tag. What stays is the message.
//
// It knows the forms in which Linux and BSD systems write a line: the classic one of RFC 3164, with or without host, pid and colon, the one with an ISO
// stamp, RFC 5424, and a datagram with its priority in front. A stamp without year and zone is resolved by a reference: see Clock.
//
// It is pure, keeps nothing, and never guesses: a line of another form has no head. What the message means is for the formats.
package line

import (
	"strconv"
	"strings"
	"time"
)

// Head is what stands before the message.
type Head struct {
	Time  time.Time // UTC
	Host  string    // "" if the line does not say
	Ident string    // the tag without pid
	Tag   string    // what stands in the brackets of the tag: a pid, or pid.thread
	Note  string    // what stands in round brackets behind the tag, as in "vsftpd(pam_unix)"
	Bare  bool      // the tag is bracketed or lacks its colon: the message may begin with more of the head
}

// PID is the pid in the tag, 0 if there is none.
func (h *Head) PID() int32 {
	digits, _, _ := strings.Cut(h.Tag, ".")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil || n < 0 {
		return 0
	}
	return int32(n)
}

// Parse splits a line into its head and the message. The message is a part of the line, byte for byte.
func Parse(s string, c Clock) (h Head, message string, ok bool) {
	rest := s
	if n, after, found := priority(rest); found {
		if version, body, cut := strings.Cut(after, " "); n >= 0 && cut && version == "1" {
			return parse5424(body, c)
		}
		rest = after
	}
	if h.Time, rest, ok = c.Stamp(rest); !ok {
		return Head{}, "", false
	}
	rest = strings.TrimPrefix(rest, " ")
	message, ok = h.tag(rest)
	return h, message, ok
}

// Datagram splits what a program sends to /dev/log: priority, stamp and tag, and never a host (syslog(3)).
func Datagram(s string, c Clock) (h Head, message string, ok bool) {
	_, rest, found := priority(s)
	if !found {
		rest = s
	}
	if h.Time, rest, ok = c.Stamp(rest); !ok {
		return Head{}, "", false
	}
	rest = strings.TrimPrefix(rest, " ")
	if message, ok = h.ident(rest); !ok {
		return Head{}, "", false
	}
	return h, message, true
}

// priority takes "<30>" off.
func priority(s string) (n int, rest string, ok bool) {
	if len(s) < 3 || s[0] != '<' {
		return 0, s, false
	}
	end := strings.IndexByte(s[:min(len(s), 5)], '>')
	if end < 2 {
		return 0, s, false
	}
	n, err := strconv.Atoi(s[1:end])
	if err != nil || n < 0 || n > 191 {
		return 0, s, false
	}
	return n, s[end+1:], true
}

// tag reads "HOST IDENT[PID]: ", "IDENT[PID]: ", "[IDENT]: " or "HOST IDENT[PID] ".
func (h *Head) tag(s string) (message string, ok bool) {
	if message, ok = h.ident(s); ok && !h.Bare {
		return message, true
	}
	if ok && s[0] == '[' { // no host
		return message, true
	}
	host, rest, cut := strings.Cut(s, " ")
	if !cut || host == "" || !word(host) {
		return "", false
	}
	h.Ident, h.Tag, h.Note, h.Bare = "", "", "", false
	if message, ok = h.ident(rest); !ok {
		return "", false
	}
	h.Host = host
	return message, true
}

// ident reads "IDENT[PID]: " and its kin at the very start.
func (h *Head) ident(s string) (message string, ok bool) {
	if strings.HasPrefix(s, "[") { // "[sshd]: message" of metalog, or "[sshd] message"
		name, rest, cut := strings.Cut(s[1:], "]")
		if !cut || name == "" || !word(name) {
			return "", false
		}
		h.Ident, h.Bare = name, true
		return strings.TrimPrefix(strings.TrimPrefix(rest, ":"), " "), true
	}
	i := 0
	for i < len(s) && identByte(s[i]) {
		i++
	}
	if i == 0 {
		return "", false
	}
	h.Ident = s[:i]
	rest := s[i:]
	if strings.HasPrefix(rest, "(") { // "vsftpd(pam_unix)[15522]: "
		note, after, cut := strings.Cut(rest[1:], ")")
		if !cut || !word(note) {
			return "", false
		}
		h.Note, rest = note, after
	}
	if strings.HasPrefix(rest, "[") {
		tag, after, cut := strings.Cut(rest[1:], "]")
		if !cut || !digits(tag) {
			return "", false
		}
		h.Tag, rest = tag, after
	}
	switch {
	case strings.HasPrefix(rest, ": "):
		return rest[2:], true
	case rest == ":":
		return "", true
	case h.Tag != "" && strings.HasPrefix(rest, " "): // ProFTPD leaves the colon out
		h.Bare = true
		return rest[1:], true
	}
	return "", false
}

// parse5424 reads what follows "<38>1 " (RFC 5424 section 6).
func parse5424(s string, c Clock) (h Head, message string, ok bool) {
	if h.Time, s, ok = c.Stamp(s); !ok {
		return Head{}, "", false
	}
	s = strings.TrimPrefix(s, " ")
	var field [4]string // host, app-name, procid, msgid
	for i := range field {
		if field[i], s, ok = strings.Cut(s, " "); !ok || field[i] == "" {
			return Head{}, "", false
		}
		if field[i] == "-" {
			field[i] = ""
		}
	}
	h.Host, h.Ident, h.Tag = field[0], field[1], field[2]
	if s, ok = structured(s); !ok || h.Ident == "" {
		return Head{}, "", false
	}
	return h, strings.TrimPrefix(strings.TrimPrefix(s, " "), "\ufeff"), true
}

// structured takes structured data off: "-", or elements whose quoted values may hold brackets.
func structured(s string) (rest string, ok bool) {
	if strings.HasPrefix(s, "-") {
		return s[1:], true
	}
	for strings.HasPrefix(s, "[") {
		quoted, i := false, 1
		for ; i < len(s) && (quoted || s[i] != ']'); i++ {
			switch {
			case s[i] == '\\' && quoted:
				i++
			case s[i] == '"':
				quoted = !quoted
			}
		}
		if i >= len(s) {
			return "", false
		}
		s = s[i+1:]
		ok = true
	}
	return s, ok
}

func identByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_' || c == '/'
}

// word reports text without spaces and control characters.
func word(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

func digits(s string) bool {
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && s[i] != '.' {
			return false
		}
	}
	return s != ""
}
