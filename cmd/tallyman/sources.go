package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"tallyman"
	"tallyman/acl"
	"tallyman/config"
	"tallyman/source/tftp"
	"tallyman/tree"
)

// source is something that watches or serves, ready to run.
type source struct {
	tallyman.Source
	key    string // of the configuration
	proto  string
	root   string
	addrs  func() []netip.AddrPort
	counts func() map[string]int64
	reload func(config.Config) error
	served *served
	facts  map[string]any // for the ready file
	greet  func(w io.Writer)
	write  func() string // serve.*.write, as it is now; nil of what does not serve
	Close  func()
}

// addr is the address that people and scripts are told.
func (s *source) addr() string {
	if a := s.addrs(); len(a) > 0 {
		return a[0].String()
	}
	return ""
}

// sourceTable maps a key of the configuration to what it opens. A source that is not configured opens nothing.
var sourceTable = []struct {
	key  string
	on   func(config.Config) bool
	open func(context.Context, *house) (source, error)
}{
	{"serve.tftp", func(c config.Config) bool { return c.Serve.TFTP.Listen != "" }, openTFTP},
	{"serve.ftp", func(c config.Config) bool { return c.Serve.FTP.Listen != "" }, openFTP},
	{"serve.sftp", func(c config.Config) bool { return c.Serve.SFTP.Listen != "" }, openSFTP},
}

// openSources opens every source that the configuration switches on.
func openSources(ctx context.Context, h *house) ([]source, error) {
	var open []source
	for _, row := range sourceTable {
		if !row.on(h.cfg) {
			continue
		}
		s, err := row.open(ctx, h)
		if err != nil {
			for _, o := range open {
				o.Close()
			}
			return nil, fmt.Errorf("%s: %w", row.key, err)
		}
		open = append(open, s)
	}
	return open, nil
}

// openTFTP opens the served folder and binds the request port.
func openTFTP(ctx context.Context, h *house) (source, error) {
	all, err := openTFTPWith(ctx, h, func(v *served) tftp.Files { return v })
	if err != nil {
		return source{}, err
	}
	return all[0], nil
}

// openTFTPWith lets another look at files before they are stored.
func openTFTPWith(ctx context.Context, h *house, wrap func(*served) tftp.Files) ([]source, error) {
	c := h.cfg.Serve.TFTP
	owner, err := ownerOf(h.cfg.Serve.User, c.Root)
	if err != nil {
		return nil, err
	}
	t, err := tree.Open(c.Root, tree.Config{
		WorldReadableOnly: true, UID: owner.uid, GID: owner.gid, Kept: c.Kept, Step: h.p.step,
	})
	if err != nil {
		return nil, err
	}
	sweep(ctx, t, h)
	set, err := tftpSettings(h.cfg)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	v := newServed(t, set)
	s, err := listenTFTP(tftpConfig(h.cfg), wrap(v), v, h)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	reload := func(cfg config.Config) error {
		set, err := tftpSettings(cfg)
		if err == nil {
			v.set.Store(set)
		}
		return err
	}
	return []source{tftpSource(s, v, "serve.tftp", reload)}, nil
}

func tftpSource(s *tftp.Server, v *served, key string, reload func(config.Config) error) source {
	return source{
		Source: s, key: key, proto: "tftp", root: v.tree.Path(), addrs: s.Addrs, served: v, Close: s.Close, reload: reload,
		write:  func() string { return v.set.Load().write },
		counts: func() map[string]int64 { return tftpCounts(s.Counts()) },
	}
}

// listenTFTP binds the request port.
func listenTFTP(cfg tftp.Config, files tftp.Files, v *served, h *house) (*tftp.Server, error) {
	who := tftp.Identity{Host: h.name(), Proc: tallyman.Proc{PID: int32(os.Getpid()), Start: bootTicks()}}
	return tftp.Listen(cfg, files, v.gate, who, h.log.With("room", "tftp"))
}

// tftpConfig composes the configuration of the server. What a reload may change is left to settings.
func tftpConfig(cfg config.Config) tftp.Config {
	c := cfg.Serve.TFTP
	t := tftp.Defaults()
	t.Listen = string(c.Listen)
	t.GiveUp, t.Drain = time.Duration(c.GiveUp), time.Duration(cfg.Drain)
	t.MaxReadWindow, t.TrimNames, t.SinglePort = int(c.MaxWindowBytes), c.Map == "strip-garbage", c.SinglePort
	return t
}

func tftpSettings(cfg config.Config) (*settings, error) {
	c := cfg.Serve.TFTP
	allow, err := acl.Parse(c.Allow, "serve.tftp.allow")
	if err != nil {
		return nil, err
	}
	return &settings{allow: allow, read: c.Read, write: c.Write, maxSize: int64(c.MaxSize), minFree: c.MinFree.Of}, nil
}

func tftpCounts(c tftp.Counts) map[string]int64 {
	return map[string]int64{
		"tftp_requests_total": int64(c.Requests), "tftp_transfers_total": int64(c.Served), "tftp_refused_total": int64(c.Refused),
		"tftp_malformed_total": int64(c.Malformed), "tftp_limited_total": int64(c.Limited), "tftp_strangers_total": int64(c.Strangers),
		"tftp_unsent_total": int64(c.Unsent),
	}
}

// absolute makes a root that was given on the command line independent of the working folder.
func absolute(root string) (string, error) { return filepath.Abs(root) }

// sweepFor bounds how long the start waits for leftovers of a former run to be removed.
const sweepFor = 10 * time.Second

// sweep removes what uploads that were cut by a kill have left.
func sweep(ctx context.Context, t *tree.Tree, h *house) {
	ctx, cancel := context.WithTimeout(ctx, sweepFor)
	defer cancel()
	n, err := t.Sweep(ctx)
	if err != nil {
		h.log.Warn("leftovers of cut uploads not all removed", "root", t.Path(), "err", err)
	}
	if n > 0 {
		h.log.Info("removed leftovers of cut uploads", "root", t.Path(), "files", n)
	}
}
