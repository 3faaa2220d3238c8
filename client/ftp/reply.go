package ftp

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tallyman"
	"tallyman/client/remote"
)

// Bounds of what a server may say at once.
const (
	maxLine  = 8 << 10 // bytes
	maxLines = 1000
)

// reply is one answer of the server.
type reply struct {
	code  int
	lines []string // without code
}

// text is the answer for people, escaped.
func (r reply) text() string {
	return fmt.Sprintf("%d %s", r.code, tallyman.Escape(strings.TrimSpace(r.lines[len(r.lines)-1])))
}

func (r reply) good() bool { return r.code/100 == 2 }

// readReply reads a reply (RFC 959, section 4.2).
func readReply(in *bufio.Reader) (reply, error) {
	line, err := readLine(in)
	if err != nil {
		return reply{}, err
	}
	code, err := strconv.Atoi(line[:min(3, len(line))])
	if err != nil || code < 100 || code > 599 || len(line) > 3 && line[3] != ' ' && line[3] != '-' {
		return reply{}, fmt.Errorf("%q is no reply of FTP", tallyman.Escape(line))
	}
	r := reply{code, []string{line[min(4, len(line)):]}}
	if len(line) < 4 || line[3] == ' ' {
		return r, nil
	}
	for len(r.lines) < maxLines {
		next, err := readLine(in)
		if err != nil {
			return reply{}, err
		}
		rest, last := strings.CutPrefix(next, line[:3]+" ")
		r.lines = append(r.lines, rest)
		if last || next == line[:3] {
			return r, nil
		}
	}
	return reply{}, fmt.Errorf("a reply has more than %d lines", maxLines)
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", fmt.Errorf("a reply has a line of more than %d bytes", maxLine)
	case errors.Is(err, io.EOF):
		return "", errors.New("the server closed the control connection")
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// extendedPort reads the answer to EPSV (RFC 2428): (|||port|).
func extendedPort(text string) (uint16, error) {
	_, at, _ := strings.Cut(text, "(")
	at, _, closed := strings.Cut(at, ")")
	if closed && len(at) > 4 && strings.Count(at, at[:1]) == 4 && strings.HasPrefix(at, strings.Repeat(at[:1], 3)) {
		if n, err := strconv.ParseUint(strings.Trim(at, at[:1]), 10, 16); err == nil && n > 0 {
			return uint16(n), nil
		}
	}
	return 0, fmt.Errorf("%q names no port as (|||port|)", tallyman.Escape(text))
}

// passivePort reads the answer to PASV: h1,h2,h3,h4,p1,p2, with brackets or without (RFC 1123, section 4.1.2.6). The address is not used:
// behind NAT it is wrong, and a hostile server could name a third party.
func passivePort(text string) (uint16, error) {
	at := text[max(0, strings.IndexAny(text, "0123456789")):]
	parts := strings.Split(at[:len(at)-len(strings.TrimLeft(at, "0123456789,"))], ",")
	port := 0
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			parts = nil
		}
		if i >= 4 {
			port = port<<8 | int(n)
		}
	}
	if len(parts) != 6 || port == 0 {
		return 0, fmt.Errorf("%q names no port as h1,h2,h3,h4,p1,p2", tallyman.Escape(text))
	}
	return uint16(port), nil
}

// digestIn finds a SHA-256 in the answer to HASH ("SHA-256 0-12 hex name") or XSHA256 ("hex").
func digestIn(text string) (tallyman.Digest, error) {
	for word := range strings.FieldsSeq(text) {
		if sum, err := hex.DecodeString(word); err == nil && len(sum) == 32 {
			return tallyman.Digest("sha256:" + strings.ToLower(word)), nil
		}
	}
	return "", fmt.Errorf("%q holds no SHA-256", tallyman.Escape(text))
}

// refused is the end of a transfer that the server answered with an error before any data.
func refused(r reply, put bool) *remote.End {
	v, why := tallyman.Refused, tallyman.Policy
	low := strings.ToLower(strings.Join(r.lines, " "))
	switch {
	case r.code == 421:
		v, why = tallyman.Failed, tallyman.ServerGone
	case r.code == 425 || r.code == 426:
		v, why = tallyman.Failed, tallyman.ServerError
	case r.code == 522:
		v, why = tallyman.Failed, tallyman.DataPeerMismatch
	case r.code == 530:
		why = tallyman.LoginFailed
	case r.code == 452:
		why = tallyman.DiskFull
	case r.code == 552:
		why = tallyman.Quota
	case r.code == 451:
		why = tallyman.IOError
	case r.code/10 == 50:
		why = tallyman.BadRequest
	case strings.Contains(low, "permission") || strings.Contains(low, "denied") || strings.Contains(low, "not allowed"):
		why = tallyman.NotReadable
		if put {
			why = tallyman.NotWritable
		}
	case !put && r.code == 550:
		why = tallyman.NotFound
	}
	return remote.Ended(v, why, "the server says %q", r.text())
}

// broken is the end of a transfer that the server answered with an error after data had moved.
func broken(r reply) *remote.End {
	why := tallyman.ServerError
	switch r.code {
	case 421:
		why = tallyman.ServerGone
	case 451:
		why = tallyman.IOError
	case 452:
		why = tallyman.DiskFull
	case 522:
		why = tallyman.DataPeerMismatch
	case 552:
		why = tallyman.Quota
	}
	return remote.Ended(tallyman.Failed, why, "the server says %q", r.text())
}
