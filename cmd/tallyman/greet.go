package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// greet says what listens where, and gives commands to paste.
func (h *house) greet(notes []string) {
	w := h.p.stdout
	for _, n := range notes {
		fmt.Fprintln(w, n)
	}
	for i := range h.sources {
		s := &h.sources[i]
		if s.greet != nil {
			s.greet(w)
			continue
		}
		fmt.Fprintf(w, "%s  serving %s on %s\n", strings.ToUpper(s.proto), s.root, s.addr())
		fmt.Fprintf(w, "      put  %s\n", s.try("put"))
		if s.served.set.Load().write != "no" && unix.Access(s.root, unix.W_OK) != nil {
			fmt.Fprintf(w, "      but uploads will be refused: %s may not be written by user %d\n", s.root, os.Getuid())
		}
		if s.served.set.Load().read {
			fmt.Fprintf(w, "      get  %s\n", s.try("get"))
		}
		if port := s.port(); port == 69 {
			fmt.Fprintf(w, "      IOS  copy running-config tftp://%s/\n", lanAddress())
		}
	}
	h.greetPage()
}

// greetPage says where the page is, and what to type next.
func (h *house) greetPage() {
	w := h.p.stdout
	if url := h.web.URL(); url != "" {
		link := h.web.Link()
		if link == "" {
			link = url
		}
		fmt.Fprintf(w, "Page  %s\n", link)
		if h.web.Addr().Addr().IsLoopback() {
			fmt.Fprintf(w, "      from elsewhere: ssh -L %d:%s %s, then open the same link\n", h.web.Addr().Port(), h.web.Addr(), lanAddress())
		}
		if print := h.web.Fingerprint(); print != "" {
			fmt.Fprintf(w, "      certificate SHA-256 %s\n", print)
		}
	}
	fmt.Fprintf(w, "Then  tallyman ls%s   |   tallyman why FILE%s   |   Ctrl-C drains and stops, twice stops at once\n", h.stateFlag(), h.stateFlag())
}

// stateFlag is what other commands need to find this server.
func (h *house) stateFlag() string {
	usual, err := (&program{}).stateFolder()
	if err == nil && usual == h.state {
		return ""
	}
	return " --state " + h.state
}

func (s *source) port() uint16 {
	if a := s.addrs(); len(a) > 0 {
		return a[0].Port()
	}
	return 0
}

// try is a command to paste that works from this machine, and from others where the address allows it.
func (s *source) try(what string) string {
	host := lanAddress()
	if a := s.addrs(); len(a) > 0 && !a[0].Addr().IsUnspecified() {
		host = a[0].Addr().String()
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if s.proto == "ftp" {
		secure := ""
		if _, tls := s.facts["ftp_certificate"]; tls {
			secure = "--ssl-reqd -k "
		}
		return "curl " + secure + "-u NAME -T FILE ftp://" + net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(s.port()))) + "/"
	}
	if s.proto == "sftp" {
		return "sftp -P " + strconv.Itoa(int(s.port())) + " NAME@" + strings.Trim(host, "[]")
	}
	if port := s.port(); port != 69 {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(int(port)))
	}
	if what == "put" {
		return "curl -T FILE tftp://" + host + "/"
	}
	return "curl -O tftp://" + host + "/" + s.example()
}

// example is a file that can be fetched.
func (s *source) example() string {
	names, _ := filepath.Glob(filepath.Join(s.root, "*"))
	for _, n := range names {
		base := filepath.Base(n)
		if st, err := os.Stat(n); err != nil || !st.Mode().IsRegular() {
			continue
		}
		if !strings.HasPrefix(base, ".") && !strings.ContainsAny(base, " '\"\\$`&;<>|*?()[]{}#~") {
			return base
		}
	}
	return "FILE"
}

// lanAddress is the address by which others reach this machine, or loopback.
func lanAddress() string {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "127.0.0.1"
	}
	var other string
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil || p.Addr().IsLoopback() || p.Addr().IsLinkLocalUnicast() {
			continue
		}
		if p.Addr().Is4() {
			return p.Addr().String()
		}
		other = p.Addr().String()
	}
	if other != "" {
		return other
	}
	return "127.0.0.1"
}
