package command

import (
	"strconv"
	"strings"
)

// Reply writes one reply: "226 text", or, of several lines, "211-first", " line", "211 last" (RFC 959, 4.2; RFC 2389, 3.2). Control bytes in a line become "?",
// so that no line ends early, and 255 is doubled for Telnet.
func Reply(code int, lines ...string) []byte {
	var b []byte
	for i, line := range lines {
		switch last := i == len(lines)-1; {
		case last:
			b = append(strconv.AppendInt(b, int64(code), 10), ' ')
		case i == 0:
			b = append(strconv.AppendInt(b, int64(code), 10), '-')
		default:
			b = append(b, ' ')
		}
		b = append(appendEscaped(b, tame(line)), '\r', '\n')
	}
	return b
}

func tame(line string) string {
	if strings.IndexFunc(line, control) < 0 {
		return line
	}
	out := []byte(line)
	for i, c := range out {
		if control(rune(c)) {
			out[i] = '?'
		}
	}
	return string(out)
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

// Quote puts a path between quotation marks, with those in it doubled (RFC 959, appendix II).
func Quote(path string) string { return `"` + strings.ReplaceAll(path, `"`, `""`) + `"` }
