package remote

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"tallyman"
)

// Place is where a file is, or is to be: scheme://user@host:port/path.
type Place struct {
	Scheme string // ftp, ftps, ftpes, sftp
	User   string // empty: none was named
	Host   string // name or address; an IPv6 address without brackets
	Port   uint16 // the one of the scheme unless another was named
	Path   string // as the server is to hear it, without escapes
}

// ports are the usual ones. ftps is TLS from the first byte, ftpes is AUTH TLS (RFC 4217).
var ports = map[string]uint16{"ftp": 21, "ftps": 990, "ftpes": 21, "sftp": 22}

// Address is host and port.
func (p Place) Address() string { return net.JoinHostPort(p.Host, strconv.Itoa(int(p.Port))) }

// String returns the place as people read it.
func (p Place) String() string {
	return tallyman.Escape(p.Path) + " at " + tallyman.Escape(p.Address())
}

// ParsePlace reads a URL of one of the four schemes. A path of FTP is relative to the folder of the login (RFC 1738, section 3.2.2): an
// absolute one begins with %2F. A path of SFTP is absolute; one that begins with /~/ is relative to the home. An empty path, and one that
// ends in a slash, is accepted for the caller to fill in.
func ParsePlace(text string) (Place, error) {
	bad := func(why string) (Place, error) {
		return Place{}, fmt.Errorf("%s: write ftp://, ftps://, ftpes:// or sftp://USER@HOST/FILE", why)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	p := Place{Scheme: strings.ToLower(scheme)}
	if p.Port = ports[p.Scheme]; !ok || p.Port == 0 {
		return bad(fmt.Sprintf("%q is no URL of FTP or SFTP", tallyman.Escape(text)))
	}
	host, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		login := host[:i]
		host = host[i+1:]
		if strings.Contains(login, ":") { // the text holds a secret: it is not repeated
			return bad("a password does not belong into a URL, where others see it: use --password-file or the prompt")
		}
		var err error
		if p.User, err = url.PathUnescape(login); err != nil || p.User == "" {
			return bad("the name of the user is empty, or a percent sign in it is not written %25")
		}
	}
	if err := p.at(host); err != nil {
		return bad(fmt.Sprintf("%q: %v", tallyman.Escape(text), err))
	}
	var err error
	if p.Path, err = url.PathUnescape(path); err != nil {
		return bad(fmt.Sprintf("%q: a percent sign is written %%25", tallyman.Escape(text)))
	}
	if i := strings.IndexFunc(p.User+p.Path, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
		return bad(fmt.Sprintf("%q: names of users and files hold no control characters", tallyman.Escape(text)))
	}
	if home, ok := strings.CutPrefix(p.Path, "~/"); p.Scheme == "sftp" && ok {
		p.Path = home
	} else if p.Scheme == "sftp" {
		p.Path = "/" + p.Path
	}
	return p, nil
}

// at reads HOST[:PORT].
func (p *Place) at(host string) error {
	digits := ""
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if p.Host, digits, ok = strings.Cut(inner, "]"); !ok || digits != "" && digits[0] != ':' {
			return errors.New("an IPv6 address stands in brackets, a port behind them and a colon")
		}
		p.Host = strings.Replace(p.Host, "%25", "%", 1) // RFC 6874
		digits = strings.TrimPrefix(digits, ":")
	} else {
		p.Host, digits, _ = strings.Cut(host, ":")
	}
	if p.Host == "" || strings.ContainsAny(p.Host, " \r\n\t") {
		return errors.New("the host is missing")
	}
	if digits == "" {
		return nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 {
		return errors.New("a port is a number from 1 to 65535, and an IPv6 address stands in brackets")
	}
	p.Port = uint16(n)
	return nil
}
