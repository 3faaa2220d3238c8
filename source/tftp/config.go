package tftp

import (
	"fmt"
	"time"

	"tallyman/source/tftp/engine"
	"tallyman/source/tftp/udp"
)

// Config is the section serve.tftp. Where the files lie, how old versions are
// kept and who may ask is for Files and Gate.
type Config struct {
	// Listen is address and port of the request port. Without an address it is every one, IPv4 and IPv6; port 0 picks one.
	Listen string `yaml:"listen"`
	// Read serves files. Without it a server is write-only.
	Read bool `yaml:"read"`
	// Write takes uploads.
	Write bool `yaml:"write"`
	// MaxSize is the largest upload in bytes, 0 for any.
	MaxSize int64 `yaml:"max_size"`
	// GiveUp ends a transfer that has made no progress for so long.
	GiveUp time.Duration `yaml:"give_up"`
	// Drain is how long running transfers may go on when the server stops.
	Drain time.Duration `yaml:"drain"`
	// MaxWindow is the largest window granted, in blocks (RFC 7440).
	MaxWindow int `yaml:"max_window"`
	// MaxReadWindow bounds a window of a read in bytes: what a client's socket holds by default is 212 KB with bookkeeping.
	MaxReadWindow int `yaml:"max_read_window"`
	// MaxBlock is the largest block size granted, in bytes (RFC 2348).
	MaxBlock int `yaml:"max_block"`
	// TrimNames takes bytes of 0xFF and control bytes off the end of a name, which some boot ROMs append.
	TrimNames bool `yaml:"trim_names"`
	// SinglePort answers from the request port, for clients behind NAT and servers in containers.
	SinglePort bool `yaml:"single_port"`
}

// Defaults is a server on port 69 that reads and writes.
func Defaults() Config {
	e := engine.Defaults()
	return Config{
		Listen: ":69", Read: true, Write: true, GiveUp: e.GiveUp, Drain: 30 * time.Second,
		MaxWindow: e.MaxWindow, MaxReadWindow: e.MaxReadWindow, MaxBlock: e.MaxBlockSize,
	}
}

// Validate says what is wrong, with the key.
func (c Config) Validate() error {
	if _, err := udp.Addresses(c.Listen); err != nil {
		return err
	}
	if c.MaxSize < 0 {
		return fmt.Errorf("max_size is %d bytes: it must not be negative", c.MaxSize)
	}
	if c.Drain < 0 {
		return fmt.Errorf("drain is %v: it must not be negative", c.Drain)
	}
	return c.engine().Validate()
}

// engine is the part of the configuration that the machines need.
func (c Config) engine() engine.Config {
	e := engine.Defaults()
	e.GiveUp, e.MaxWindow, e.MaxReadWindow, e.MaxBlockSize = c.GiveUp, c.MaxWindow, c.MaxReadWindow, c.MaxBlock
	return e
}
