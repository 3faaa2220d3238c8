package ftp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tallyman/source/ftp/data"
	"tallyman/source/ftp/engine"
)

// Config is the section serve.ftp. Where the files lie and who may log in is for Accounts.
type Config struct {
	// Listen is address and port of the control connections. Without an address it is every one; port 0 picks one.
	Listen string
	// Implicit is where control connections are TLS from the first byte; "" is nowhere.
	Implicit string
	// TLS: none, explicit (AUTH TLS is offered) or required.
	TLS engine.TLS
	// Certificate is asked for at every handshake, so that it can be changed while the server runs. nil means no TLS.
	Certificate func() (*tls.Certificate, error)
	// Reuse requires that data connections resume the TLS session of their control connection.
	Reuse bool
	// Exempt says for whose clients that does not hold; nil: for nobody's.
	Exempt func(client netip.Addr) bool
	// Active allows PORT and EPRT, Passive allows PASV and EPSV.
	Active, Passive bool
	// Ports are those of passive data connections; the zero Range is data.Anywhere.
	Ports data.Range
	// Public is the address told by PASV, for servers behind NAT; the zero Addr tells the one that was asked.
	Public func(client netip.Addr) netip.Addr
	// Sessions bounds how many are logged in or about to; PerAddress how many of one address.
	Sessions, PerAddress int
	// LoginWithin, Idle bound the silence of a control connection; DataWait how long a data connection is waited for; Stall how long nothing may move on it.
	LoginWithin, Idle, DataWait, Stall time.Duration
	// Drain is how long running transfers may go on when the server stops.
	Drain time.Duration
	// Hash digests what passes.
	Hash bool
}

// Defaults is a server on port 21 with passive mode and explicit TLS.
func Defaults() Config {
	e := engine.Defaults()
	return Config{
		Listen: ":21", TLS: engine.Explicit, Reuse: true, Passive: true, Ports: data.Range{First: 50000, Last: 50100}, Sessions: 1000, PerAddress: 100,
		LoginWithin: e.LoginWithin, Idle: e.Idle, DataWait: 30 * time.Second, Stall: time.Minute, Drain: 30 * time.Second, Hash: true,
	}
}

// Validate says what is wrong, with the key.
func (c *Config) Validate() error {
	switch {
	case !c.Active && !c.Passive:
		return errors.New("port_mode and pasv_mode are both false: nothing could be transferred, set one of them")
	case c.Ports.First > c.Ports.Last:
		return fmt.Errorf("pasv_ports: %d-%d ends before it begins", c.Ports.First, c.Ports.Last)
	case c.TLS != engine.None && c.Certificate == nil, c.Implicit != "" && c.Certificate == nil:
		return errors.New("tls needs a certificate")
	case c.LoginWithin <= 0 || c.Idle <= 0 || c.DataWait <= 0 || c.Stall <= 0:
		return errors.New("a time without bound")
	}
	return nil
}
