package config

import (
	"net/netip"
	"slices"
)

// Check tells whether the keys fit together. Load has called it; whoever calls Set calls it again. The error is of type Problems.
func (c *Config) Check() error {
	var out complaints
	out.check(c)
	return out.err()
}

func (p *complaints) check(c *Config) {
	at := func(path string) origin {
		if o, ok := c.from[path]; ok {
			return o
		}
		return origin{name: "default"}
	}
	web := &c.Web
	switch {
	case web.CertFile != "" && web.KeyFile == "":
		p.add(at("web.cert_file"), "web.cert_file", "a certificate without its key: set web.key_file too")
	case web.KeyFile != "" && web.CertFile == "":
		p.add(at("web.key_file"), "web.key_file", "a key without its certificate: set web.cert_file too")
	case web.CertFile != "" && web.TLS == "off":
		p.add(at("web.tls"), "web.tls", "off, but web.cert_file is set: remove one of the two")
	}
	if wire := c.Watch.Wire; len(wire) == 0 {
		p.add(at("watch.wire"), "watch.wire", "the list is empty: write auto, off, or interfaces")
	} else if len(wire) > 1 && (slices.Contains(wire, "auto") || slices.Contains(wire, "off")) {
		p.add(at("watch.wire"), "watch.wire", "auto or off stands beside other words that then mean nothing: remove it or them")
	}
	for _, a := range [...]struct {
		key  string
		list Allow
	}{{"serve.tftp.allow", c.Serve.TFTP.Allow}, {"serve.ftp.allow", c.Serve.FTP.Allow}, {"serve.sftp.allow", c.Serve.SFTP.Allow}} {
		if len(a.list) == 0 {
			p.add(at(a.key), a.key, "the list is empty, nobody could ask: write private, any, or networks")
		} else if len(a.list) > 1 && slices.Contains(a.list, "any") {
			p.add(at(a.key), a.key, "any stands beside other words that then mean nothing: remove it or them")
		}
	}
	if c.Users.File == "" {
		p.add(at("users.file"), "users.file", "it is empty: name the file of accounts, as in file: users.yaml")
	}
	p.checkFTP(&c.Serve.FTP, at)
}

func (p *complaints) checkFTP(f *FTP, at func(string) origin) {
	say := func(key, text string) { p.add(at("serve.ftp."+key), "serve.ftp."+key, "%s", text) }
	switch {
	case f.CertFile != "" && f.KeyFile == "":
		say("cert_file", "a certificate without its key: set serve.ftp.key_file too")
	case f.KeyFile != "" && f.CertFile == "":
		say("key_file", "a key without its certificate: set serve.ftp.cert_file too")
	case f.CertFile != "" && f.TLS == "none" && f.Implicit == "":
		say("tls", "none, but serve.ftp.cert_file is set: remove one of the two")
	}
	if !f.PortMode && !f.PasvMode {
		say("pasv_mode", "false, and port_mode too: nothing could be transferred, set one of them")
	}
	if a, err := netip.ParseAddr(f.PasvAddress); f.PasvAddress != "" && (err != nil || !a.Is4()) {
		say("pasv_address", "is no IPv4 address: write it as in 203.0.113.9 (clients of IPv6 use EPSV, which tells none)")
	}
}
