package tftp

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tallyman"
)

// Mode is how the content travels.
type Mode string

// The modes of RFC 1350. Netascii ends lines with CR LF on the way.
const (
	Octet    Mode = "octet"
	Netascii Mode = "netascii"
)

// Request says what to transfer and how. Host and Name are needed; zero values of the others mean the defaults.
type Request struct {
	Host      string        // name or address; an IPv6 address without brackets
	Port      uint16        // 69
	Name      string        // as the server is to hear it
	Mode      Mode          // octet
	BlockSize int           // bytes to ask for, 8 to 65464 (RFC 2348); 1428 fits an Ethernet frame
	Window    int           // blocks to ask for, 1 to 64 (RFC 7440); 16
	Timeout   time.Duration // whole seconds, 1 s to 255 s, to ask for and to obey (RFC 2349); 0 measures the round trip instead
	GiveUp    time.Duration // how long to wait without progress; 30 s
	Plain     bool          // ask for no options: 512 bytes, lockstep
}

const (
	defaultPort      = 69
	defaultBlockSize = 1428
	defaultWindow    = 16
	defaultGiveUp    = 30 * time.Second
	plainBlockSize   = 512
	maxWindow        = 64
	maxBlockSize     = 65464
	minBlockSize     = 8
)

// ParseURL reads tftp://HOST[:PORT]/NAME[;mode=MODE] (RFC 3617). The slash behind the host is not part of the name: a name that begins with
// one is written with two. Percent escapes are decoded. An empty name is accepted for the caller to fill in.
func ParseURL(text string) (Request, error) {
	bad := func(why string) (Request, error) {
		return Request{}, fmt.Errorf("%q: %s: write tftp://HOST/FILE", tallyman.Escape(text), why)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !strings.EqualFold(scheme, "tftp") {
		return bad("this is no tftp URL")
	}
	host, path, _ := strings.Cut(rest, "/")
	r := Request{Port: defaultPort, Mode: Octet}
	switch {
	case host == "":
		return bad("the host is missing")
	case strings.Contains(host, "@"):
		return bad("TFTP knows no users")
	}
	var why string
	if r.Host, r.Port, why = splitHost(host); why != "" {
		return bad(why)
	}
	if i := strings.LastIndex(path, ";"); i >= 0 && len(path) > i+5 && strings.EqualFold(path[i+1:i+6], "mode=") {
		r.Mode, path = Mode(strings.ToLower(path[i+6:])), path[:i]
	}
	name, err := url.PathUnescape(path)
	if err != nil {
		return bad("a percent sign is written %25")
	}
	r.Name = name
	if name == "" {
		name = "-"
	}
	if err := (Request{Host: r.Host, Name: name, Mode: r.Mode}).check(); err != nil {
		return bad(err.Error())
	}
	return r, nil
}

func splitHost(s string) (host string, port uint16, why string) {
	digits := ""
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if host, digits, ok = strings.Cut(inner, "]"); !ok {
			return "", 0, "the bracket of the address is open"
		}
		// RFC 6874: the percent sign before a zone is written %25.
		host = strings.Replace(host, "%25", "%", 1)
		if digits != "" && digits[0] != ':' {
			return "", 0, "a port begins with a colon"
		}
		digits = strings.TrimPrefix(digits, ":")
	} else {
		host, digits, _ = strings.Cut(s, ":")
	}
	if host == "" {
		return "", 0, "the host is missing"
	}
	if digits == "" {
		return host, defaultPort, ""
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return "", 0, "a port is a number from 1 to 65535, and an IPv6 address stands in brackets"
	}
	return host, uint16(n), ""
}

// filled returns the request with the defaults in place of zero values.
func (r Request) filled() Request {
	if r.Port == 0 {
		r.Port = defaultPort
	}
	if r.Mode == "" {
		r.Mode = Octet
	}
	if r.BlockSize == 0 {
		r.BlockSize = defaultBlockSize
	}
	if r.Window == 0 {
		r.Window = defaultWindow
	}
	if r.GiveUp == 0 {
		r.GiveUp = defaultGiveUp
	}
	return r
}

// check refuses what must not be sent.
func (r Request) check() error {
	r = r.filled()
	switch {
	case r.Host == "":
		return errors.New("the host is missing")
	case r.Name == "":
		return errors.New("the file name is missing")
	case strings.IndexByte(r.Name, 0) >= 0:
		return errors.New("the file name holds a NUL byte")
	case len(r.Name) > maxName:
		return fmt.Errorf("the file name has more than %d bytes", maxName)
	case r.Mode != Octet && r.Mode != Netascii:
		return fmt.Errorf("the mode is %q, not octet or netascii", tallyman.Escape(string(r.Mode)))
	case r.BlockSize < minBlockSize || r.BlockSize > maxBlockSize:
		return fmt.Errorf("the block size is %d, not %d to %d", r.BlockSize, minBlockSize, maxBlockSize)
	case r.Window < 1 || r.Window > maxWindow:
		return fmt.Errorf("the window is %d, not 1 to %d", r.Window, maxWindow)
	case r.Timeout != 0 && (r.Timeout%time.Second != 0 || r.Timeout < time.Second || r.Timeout > 255*time.Second):
		return fmt.Errorf("the timeout is %s, not whole seconds from 1s to 255s", r.Timeout)
	case r.GiveUp < 0:
		return fmt.Errorf("the patience is %s, below nothing", r.GiveUp)
	}
	return nil
}

// maxName leaves room for mode and options in a request of 512 bytes, which is all that RFC 2347 grants.
const maxName = 400

// options returns what to ask for. Size is what an upload announces, 0 for a download, below 0 for nothing.
func (r Request) options(size int64) []option {
	if r.Plain {
		return nil
	}
	var out []option
	if size >= 0 && r.Mode == Octet {
		out = append(out, option{"tsize", number(size)})
	}
	if r.BlockSize != plainBlockSize {
		out = append(out, option{"blksize", number(int64(r.BlockSize))})
	}
	if r.Window > 1 {
		out = append(out, option{"windowsize", number(int64(r.Window))})
	}
	if r.Timeout > 0 {
		out = append(out, option{"timeout", number(int64(r.Timeout / time.Second))})
	}
	return out
}
