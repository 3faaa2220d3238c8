package ftp

import (
	"bytes"
	"strings"
)

// mostLine bounds a line of the dialogue; what is longer is cut off. RFC 959 knows no bound, servers take 512 B to 8 KiB.
const mostLine = 4096

// lines cuts a direction of the control connection into lines.
type lines struct {
	buf  []byte
	pos  int64 // bytes taken so far
	skip int   // bytes of a Telnet command that are still to come
}

// feed calls f for each line that ends in data, with the offset behind it.
func (l *lines) feed(data []byte, f func(line string, end int64)) {
	for _, c := range data {
		l.pos++
		switch {
		case l.skip == 1 && c >= 251 && c < 255: // IAC WILL, WONT, DO, DONT x (RFC 854)
		case l.skip == 1 && c == 255:
			l.skip = 0
			l.put(c)
		case l.skip > 0:
			l.skip = 0
		case c == 255:
			l.skip = 1
		case c == '\n':
			line := strings.TrimSuffix(string(l.buf), "\r")
			l.buf = l.buf[:0]
			f(line, l.pos)
		default:
			l.put(c)
		}
	}
}

func (l *lines) put(c byte) {
	if len(l.buf) < mostLine {
		l.buf = append(l.buf, c)
	}
}

// lost tells that n bytes were missed: the line that they were part of is no line.
func (l *lines) lost(n int) {
	l.pos += int64(n)
	l.buf, l.skip = l.buf[:0], 0
}

// replies puts lines together to replies: "226-..." lasts to a line that begins with "226 " (RFC 959, section 4.2).
type replies struct {
	code int // of the reply that is not yet whole
	text string
}

// reply is one whole reply.
type reply struct {
	code int
	text string // of its first line, and its last
}

// feed returns the reply that the line completes. A line that is none, outside a reply, is junk.
func (r *replies) feed(line string) (out reply, done, junk bool) {
	code, sep := codeOf(line)
	if r.code != 0 {
		if code == r.code && sep == ' ' {
			out = reply{r.code, cutText(r.text + "\n" + rest(line))}
			*r = replies{}
			return out, true, false
		}
		if len(r.text) < mostText {
			r.text += "\n" + line
		}
		return out, false, false
	}
	switch {
	case code == 0:
		return out, false, true
	case sep == '-':
		r.code, r.text = code, cutText(rest(line))
		return out, false, false
	default:
		return reply{code, cutText(rest(line))}, true, false
	}
}

const mostText = 1024

func cutText(s string) string { return s[:min(len(s), mostText)] }

func rest(line string) string { return line[min(4, len(line)):] }

// codeOf reads "NNN " or "NNN-"; a bare "NNN" ends a line too. Code 0: it is no reply.
func codeOf(line string) (code int, sep byte) {
	if len(line) < 3 || line[0] < '1' || line[0] > '5' {
		return 0, 0
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, 0
		}
		code = code*10 + int(c-'0')
	}
	switch {
	case len(line) == 3:
		return code, ' '
	case line[3] == ' ' || line[3] == '-':
		return code, line[3]
	default:
		return 0, 0
	}
}

// split reads a command line: the verb in upper case and what follows it, byte for byte.
func split(line string) (verb, arg string) {
	const marks = " \x00\xf2\xf4" // the last two are what is left of Telnet's data mark and interrupt
	for line != "" && strings.IndexByte(marks, line[0]) >= 0 {
		line = line[1:]
	}
	verb, arg, _ = strings.Cut(line, " ")
	if len(verb) > 8 {
		verb = verb[:8]
	}
	return strings.ToUpper(verb), arg[:min(len(arg), mostName)]
}

const mostName = 1024

// looksLikeCommand reports whether bytes on a connection that was encrypted are a command in the clear again (CCC, RFC 2228).
func looksLikeCommand(b []byte) bool {
	verb, _, _ := bytes.Cut(bytes.TrimRight(b, "\r\n"), []byte(" "))
	if len(verb) < 3 || len(verb) > 4 || !bytes.HasSuffix(b, []byte("\r\n")) {
		return false
	}
	for _, c := range verb {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
