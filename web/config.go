package web

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"tallyman/web/account"
	"tallyman/web/certificate"
)

// Config is the key `web` of the configuration file.
type Config struct {
	Listen   string   // address of page and API; empty switches both off, port 0 picks one
	Hosts    []string // names by which browsers may call the page beside loopback and the name of this server
	TLS      string   // auto, on, off: auto is plain HTTP on loopback and TLS elsewhere; "" is auto
	CertFile string   // PEM chain; empty: a self-signed certificate is made in the state folder
	KeyFile  string   // PEM private key of CertFile
}

// Validate reports everything that is wrong with the configuration, each with its key.
func (c Config) Validate() error {
	var errs []error
	if c.Listen != "" {
		if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "" {
			errs = append(errs, fmt.Errorf("web.listen: %q is no address with a port: write 127.0.0.1:8420, or :8420 for all interfaces", c.Listen))
		}
	}
	switch c.TLS {
	case "", "auto", "on", "off":
	default:
		errs = append(errs, fmt.Errorf("web.tls: %q is unknown: write auto, on or off", c.TLS))
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		errs = append(errs, errors.New("web.cert_file and web.key_file belong together: give both or none"))
	}
	return errors.Join(append(errs, validHosts(c.Hosts))...)
}

func validHosts(hosts []string) error {
	var errs []error
	for _, h := range hosts {
		if h == "" || strings.ContainsAny(h, "/ *@") {
			errs = append(errs, fmt.Errorf("web.hosts: %q is no host name: write names such as tally.example.net, without scheme, path or *", h))
		}
	}
	return errors.Join(errs...)
}

// encrypted reports whether the TCP door speaks TLS.
func (c Config) encrypted() bool { return c.TLS == "on" || c.TLS != "off" && !loopback(c.Listen) }

// loopback reports whether only this machine can reach the address.
func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// certificate is the configured one, or our own, for every name under which the page may be asked for.
func (c Config) certificate(state, name string, now time.Time) (tls.Certificate, error) {
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return pair, fmt.Errorf("web.cert_file, web.key_file: %w", err)
		}
		return pair, nil
	}
	names := append([]string{"localhost", "127.0.0.1", "::1", name}, c.Hosts...)
	if host, _, err := net.SplitHostPort(c.Listen); err == nil && host != "" {
		names = append(names, host)
	}
	return certificate.Own(state, names, now, account.ReplaceFile)
}
