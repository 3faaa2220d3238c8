package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tallyman/config"
)

// serveFlags are what serve and drop have in common.
type serveFlags struct {
	config, web, ready, jsonl string
	tftp, ftp, sftp           string
}

func (f *serveFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.web, "web", "", "`address` of the page; empty switches it off, port 0 picks one (default 127.0.0.1:8420)")
	c.Flags().StringVar(&f.ready, "ready-file", "", "write the bound addresses as JSON to `file` once everything works")
	c.Flags().StringVar(&f.jsonl, "jsonl", "", "append every record as a line of JSON to `file`")
}

func (p *program) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use: "serve [ROOT]", Short: "serve a folder by TFTP, FTP and SFTP, with a page that shows every transfer", Args: cobra.MaximumNArgs(1),
		Long: `Serves ROOT, or all that --config FILE names. Every transfer gets a record with a proven verdict.
Without the right to bind port 69, or when somebody holds it, port 6969 is used and the reason is said.
FTP listens on port 21 (else 2121) and SFTP on port 2022 when there is an account at the start: tallyman user add NAME.
Ctrl-C, SIGTERM and tallyman stop drain: running transfers may end, and everything seen is written.`,
		Example: "  tallyman serve ./share\n  tallyman serve /srv/tftp --tftp 10.20.0.5:69 --web 127.0.0.1:0\n  tallyman serve --config /etc/tallyman/tallyman.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := p.configure(cmd, &f, args)
			if err == nil {
				err = checkRoot(cfg)
			}
			if err != nil {
				return err
			}
			return p.serve(cmd.Context(), cfg, func() (config.Config, error) { return p.configure(cmd, &f, args) }, &f)
		},
	}
	c.Flags().StringVar(&f.config, "config", "", "configuration `file`")
	c.Flags().StringVar(&f.tftp, "tftp", "", "`address` of the TFTP server; empty switches it off, port 0 picks one (default :69)")
	c.Flags().StringVar(&f.ftp, "ftp", "", "`address` of the FTP server; empty switches it off, port 0 picks one (default :21, if there is an account)")
	c.Flags().StringVar(&f.sftp, "sftp", "", "`address` of the SFTP server; empty switches it off, port 0 picks one (default :2022, if there is an account)")
	f.add(c)
	return c
}

// configure composes defaults, file, environment and flags, in this order.
func (p *program) configure(cmd *cobra.Command, f *serveFlags, args []string) (config.Config, error) {
	cfg, err := config.Load(f.config, os.Environ())
	if err != nil {
		return cfg, &coded{exitUsage, err}
	}
	set := func(flag, path, value string) {
		if fl := cmd.Flags().Lookup(flag); err == nil && fl != nil && fl.Changed {
			err = cfg.Set(path, value, "--"+flag)
		}
	}
	set("web", "web.listen", f.web)
	set("tftp", "serve.tftp.listen", f.tftp)
	set("ftp", "serve.ftp.listen", f.ftp)
	set("sftp", "serve.sftp.listen", f.sftp)
	set("jsonl", "jsonl.file", f.jsonl)
	if err != nil {
		return cfg, &coded{exitUsage, err}
	}
	if len(args) == 1 {
		root, aerr := absolute(args[0])
		if aerr != nil {
			return cfg, aerr
		}
		for _, key := range []string{"serve.tftp.root", "serve.ftp.root", "serve.sftp.root"} {
			if err := cfg.Set(key, root, "the command line"); err != nil {
				return cfg, &coded{exitUsage, err}
			}
		}
	}
	if cfg.State != "" && p.state == "" {
		p.state = cfg.State
	}
	if err := cfg.Check(); err != nil {
		return cfg, &coded{exitUsage, err}
	}
	return cfg, nil
}

// checkRoot says early, and in full, what is wrong with the folder to serve.
func checkRoot(cfg config.Config) error {
	if c := cfg.Serve.TFTP; c.Listen != "" {
		if c.Root == "" {
			return usage("no folder to serve: name one, as in tallyman serve ./share, or set serve.tftp.root")
		}
		if err := checkFolder(c.Root); err != nil {
			return err
		}
	}
	if c := cfg.Serve.FTP; c.Listen != "" && c.Root != "" && c.Root != cfg.Serve.TFTP.Root {
		if err := checkFolder(c.Root); err != nil {
			return err
		}
	}
	if c := cfg.Serve.SFTP; c.Listen != "" && c.Root != "" && c.Root != cfg.Serve.TFTP.Root {
		return checkFolder(c.Root)
	}
	return nil
}

func checkFolder(root string) error {
	st, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usage("%s does not exist: make it with mkdir -p, or name another folder", root)
	case err != nil:
		return usage("%s cannot be served: %v", root, err)
	case !st.IsDir():
		return usage("%s is no folder: name the folder that holds the files", root)
	}
	if err := unix.Access(root, unix.R_OK|unix.X_OK); err != nil {
		return fmt.Errorf("%s may not be read by user %d (%w): chmod or chown it, or run this as its owner", root, os.Getuid(), err)
	}
	return nil
}

// serve opens everything, says so, runs, stops.
func (p *program) serve(ctx context.Context, cfg config.Config, again func() (config.Config, error), f *serveFlags) error {
	var notes []string
	h, err := p.open(ctx, cfg, again, func(ctx context.Context, h *house) ([]source, error) {
		if err := forgetReady(f.ready); err != nil {
			return nil, err
		}
		for _, note := range []string{fallBack(ctx, &h.cfg), h.fallBackFTP(ctx), h.fallBackSFTP(ctx)} {
			if note != "" {
				notes = append(notes, note)
			}
		}
		return openSources(ctx, h)
	})
	if err != nil {
		return err
	}
	h.greet(notes)
	if err := h.begin(f.ready); err != nil {
		return err
	}
	return h.run(ctx)
}

// fallBack changes the default port 69 to 6969 when it cannot be had, and says why and who holds it. A port that was asked for stays.
func fallBack(ctx context.Context, cfg *config.Config) string {
	c := &cfg.Serve.TFTP
	if cfg.Given("serve.tftp.listen") || c.Listen == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(string(c.Listen))
	if err != nil {
		return ""
	}
	l, err := new(net.ListenConfig).ListenPacket(ctx, "udp", string(c.Listen))
	if err == nil {
		_ = l.Close()
		return ""
	}
	switch {
	case errors.Is(err, syscall.EACCES):
		c.Listen = ":6969"
		return "Port " + port + " may not be bound without privileges: TFTP listens on 6969. For 69: run as root, or setcap cap_net_bind_service+ep " + ownPath()
	case errors.Is(err, syscall.EADDRINUSE):
		c.Listen = ":6969"
		holder := "another process"
		n, _ := strconv.Atoi(port)
		if who := portHolder(n); who != "" {
			holder = who
		}
		return "Port " + port + " is held by " + holder + ": TFTP listens on 6969."
	}
	return ""
}

func ownPath() string {
	path, err := os.Executable()
	if err != nil {
		return "tallyman"
	}
	return path
}

// portHolder names the process that has a UDP port (proc(5): /proc/net/udp lists the inode of the socket, /proc/PID/fd who has it open).
func portHolder(port int) string { return holderIn(port, "/proc/net/udp", "/proc/net/udp6") }

// holderIn names the process by one of the tables of sockets.
func holderIn(port int, tables ...string) string {
	inodes := map[string]bool{}
	for _, file := range tables {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				inodes["socket:["+f[9]+"]"] = true
			}
		}
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, _ := os.ReadFile("/proc/" + pid + "/comm")
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}
