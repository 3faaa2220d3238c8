package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"tallyman"
	"tallyman/client/api"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/cmd/tallyman/watch"
	"tallyman/config"
	"tallyman/tree/reserved"
	"tallyman/web"
)

// check is one thing that doctor looked at. An empty remedy means that it is fine.
type check struct {
	Name   string `json:"name"`
	Fine   bool   `json:"fine"`
	Says   string `json:"says"`
	Remedy string `json:"remedy,omitempty"`

	of string // the server of another maker that it is about
}

func (p *program) doctorCommand() *cobra.Command {
	var file string
	strict := false
	c := &cobra.Command{
		Use: "doctor [ROOT]", Short: "what works here, and what would work better", Args: cobra.MaximumNArgs(1),
		Long:    "Looks at the machine, the configuration, the folder to serve, the state folder and a running server, and names what to do.",
		Example: "  tallyman doctor ./share\n  tallyman doctor --config /etc/tallyman/tallyman.yaml --strict",
		RunE: func(cmd *cobra.Command, args []string) error {
			all, servers := p.examine(cmd, file, args)
			screen := terminal.On(p.stdout)
			wrong := 0
			for _, c := range all {
				if !c.Fine {
					wrong++
				}
				if p.json {
					if err := p.jsonLine(c); err != nil {
						return err
					}
					continue
				}
				if c.of != "" {
					continue // it stands in the table of coverage
				}
				mark := "ok  "
				if !c.Fine {
					mark = "look"
				}
				screen.Paragraph(fmt.Sprintf("%s  %-16s ", mark, c.Name), c.Says)
				if c.Remedy != "" {
					screen.Paragraph(fmt.Sprintf("      %-16s -> ", ""), c.Remedy)
				}
			}
			if !p.json {
				p.printCoverage(servers)
			}
			if strict && wrong > 0 {
				return &coded{exitFound, fmt.Errorf("%d things want a look", wrong)}
			}
			return nil
		},
	}
	c.Flags().StringVar(&file, "config", "", "configuration `file`")
	c.Flags().BoolVar(&strict, "strict", false, "exit with 3 when something wants a look")
	c.Flags().BoolVar(&p.json, "json", false, "write JSON, one check a line")
	return c
}

// examine makes all checks.
func (p *program) examine(cmd *cobra.Command, file string, args []string) (all []check, servers []web.Watched) {
	all = []check{{Name: "version", Fine: true, Says: fmt.Sprintf("tallyman %s, %s, %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)}}
	cfg, err := p.configure(cmd, &serveFlags{config: file}, args)
	if err != nil {
		return append(all, check{Name: "configuration", Says: err.Error(), Remedy: "mend it, then run tallyman doctor again"}), nil
	}
	all = append(all, check{Name: "configuration", Fine: true, Says: "valid"})
	if root := cfg.Serve.TFTP.Root; root != "" {
		all = append(all, checkServed(root))
	}
	state, err := p.stateFolder()
	if err != nil {
		return append(all, check{Name: "state folder", Says: err.Error(), Remedy: "name one with --state DIR"}), nil
	}
	if api.Answers(cmd.Context(), socketPath(state)) != nil { // a server that runs has the port itself
		all = append(all, checkPort(cmd.Context(), string(cfg.Serve.TFTP.Listen)))
	}
	all = append(all, checkBuffer(), checkFiles(), checkState(state))
	all = append(all, p.checkServer(cmd.Context(), state)...)
	watched, servers := p.checkWatched(cmd.Context(), state, cfg)
	return append(append(all, p.checkMounts(cmd.Context(), state, cfg)...), watched...), servers
}

// checkServed looks for files in the root that cannot be served.
func checkServed(root string) check {
	c := check{Name: "folder to serve", Fine: true, Says: root}
	var hidden []string
	seen := 0
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if seen++; seen > 20000 {
			return filepath.SkipAll
		}
		if reserved.Is(d.Name()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 == 0 {
			hidden = append(hidden, path)
		}
		return nil
	})
	switch {
	case err != nil:
		return check{Name: c.Name, Says: err.Error(), Remedy: "make the folder readable"}
	case len(hidden) > 0:
		return check{
			Name: c.Name, Says: fmt.Sprintf("%d files are not readable by others and will be refused, as %s", len(hidden), tallyman.Escape(hidden[0])),
			Remedy: "chmod o+r " + tallyman.Escape(hidden[0]),
		}
	}
	return c
}

// checkPort tries the request port.
func checkPort(ctx context.Context, listen string) check {
	c := check{Name: "request port", Fine: true, Says: listen + " can be bound"}
	if listen == "" {
		c.Says = "TFTP is switched off"
		return c
	}
	l, err := new(net.ListenConfig).ListenPacket(ctx, "udp", listen)
	if err == nil {
		_ = l.Close()
		return c
	}
	c.Fine, c.Says = false, listen+": "+err.Error()
	switch {
	case errors.Is(err, os.ErrPermission):
		c.Remedy = "run as root, or setcap cap_net_bind_service+ep " + ownPath() + "; without it serve uses 6969"
	case errors.Is(err, unix.EADDRINUSE):
		_, port, _ := net.SplitHostPort(listen)
		var n int
		_, _ = fmt.Sscan(port, &n)
		holder := portHolder(n)
		if holder == "" {
			holder = "what holds it"
		}
		c.Remedy = "stop " + holder + ", or choose another port"
	default:
		c.Remedy = "choose an address of this machine"
	}
	return c
}

// wantBuffer is the receive buffer of the request port at which 512 clients can ask at once, in bytes.
const wantBuffer = 4 << 20

// checkBuffer looks at what the kernel grants without privileges (socket(7), net.core.rmem_max).
func checkBuffer() check {
	c := check{Name: "receive buffer", Fine: true, Says: "net.core.rmem_max allows 4 MiB"}
	text, err := os.ReadFile("/proc/sys/net/core/rmem_max")
	var n int
	if err == nil {
		_, err = fmt.Sscan(string(text), &n)
	}
	if err != nil || n >= wantBuffer || os.Geteuid() == 0 {
		return c
	}
	return check{Name: c.Name, Says: fmt.Sprintf("net.core.rmem_max is %d: many requests at once may be dropped", n), Remedy: "sysctl -w net.core.rmem_max=4194304"}
}

// checkFiles looks at the limit of open files: a transfer needs up to two.
func checkFiles() check {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return check{Name: "open files", Says: err.Error()}
	}
	if l.Max < 16384 {
		return check{Name: "open files", Says: fmt.Sprintf("at most %d: about %d transfers at once", l.Max, l.Max/2), Remedy: "raise LimitNOFILE, or ulimit -Hn, to 65536"}
	}
	return check{Name: "open files", Fine: true, Says: fmt.Sprintf("at most %d", l.Max)}
}

// checkState looks at the state folder and the room on its disk.
func checkState(state string) check {
	c := check{Name: "state folder", Fine: true, Says: state}
	at := state
	for {
		if _, err := os.Stat(at); err == nil || at == "/" {
			break
		}
		at = filepath.Dir(at)
	}
	if err := unix.Access(at, unix.W_OK); err != nil {
		return check{Name: c.Name, Says: at + " may not be written", Remedy: "name another folder with --state DIR"}
	}
	var st unix.Statfs_t
	if err := unix.Statfs(at, &st); err != nil {
		return check{Name: c.Name, Says: err.Error()}
	}
	free := st.Bavail * uint64(st.Bsize)
	c.Says += ", " + tallyman.Count(int64(free>>20)) + " MiB free"
	if free < 256<<20 {
		c.Fine, c.Remedy = false, "free space: without it uploads are refused"
	}
	return c
}

// checkServer asks a running server how its parts are.
func (p *program) checkServer(ctx context.Context, state string) []check {
	if api.Answers(ctx, socketPath(state)) != nil {
		return []check{{Name: "server", Fine: true, Says: "none runs on this state folder"}}
	}
	a := askSocket(socketPath(state))
	defer a.close()
	var sys web.System
	if err := a.Get(ctx, "system", nil, &sys); err != nil {
		return []check{{Name: "server", Says: err.Error(), Remedy: "look at its log"}}
	}
	all := []check{{Name: "server", Fine: true, Says: fmt.Sprintf("%s, version %s, backlog %d", sys.Name, sys.Version, sys.Backlog)}}
	part := func(name string, state web.State, text string) {
		c := check{Name: name, Fine: state == web.Live || state == web.Off, Says: string(state)}
		if text != "" {
			c.Says += ": " + text
		}
		all = append(all, c)
	}
	for _, w := range sys.Witnesses {
		part("witness "+w.Name, w.State, w.Text)
	}
	for _, l := range sys.Listeners {
		part(l.Proto+" "+l.Addr, l.State, l.Text)
	}
	part("spool", sys.Spool.State, sys.Spool.Text)
	part("ledger", sys.Ledger.State, sys.Ledger.Text)
	if lost := sys.Counters["pipe_evidence_lost_total"]; lost > 0 {
		all = append(all, check{Name: "losses", Says: tallyman.Count(lost) + " pieces of evidence were lost since the start", Remedy: "tallyman events kind:gap says when and why"})
	}
	return all
}

// checkMounts says what is mounted that is not this machine's own: as a running watch sees it, else as one would.
func (p *program) checkMounts(ctx context.Context, state string, cfg config.Config) []check {
	if api.Answers(ctx, socketPath(state)) != nil {
		return wouldMounts(cfg)
	}
	a := askSocket(socketPath(state))
	defer a.close()
	var answer struct {
		Mounts []web.Mount `json:"mounts"`
	}
	if err := a.Get(ctx, "mounts", nil, &answer); err != nil {
		return []check{{Name: "mounts", Says: err.Error(), Remedy: "look at its log"}}
	}
	return foreignMounts(answer.Mounts)
}

// checkWatched is the coverage of the servers of other makers: as a running watch sees it, else as one would.
func (p *program) checkWatched(ctx context.Context, state string, cfg config.Config) (all []check, servers []web.Watched) {
	runs := api.Answers(ctx, socketPath(state)) == nil
	if runs {
		a := askSocket(socketPath(state))
		defer a.close()
		var answer struct {
			Watched []web.Watched `json:"watched"`
		}
		if err := a.Get(ctx, "services", nil, &answer); err != nil {
			return []check{{Name: "watched", Says: err.Error(), Remedy: "look at its log"}}, nil
		}
		servers = slices.DeleteFunc(answer.Watched, func(s web.Watched) bool { return s.Ended })
	} else {
		c := watch.Config{Host: hostName(cfg), Servers: cfg.Watch.Servers != "none", Proc: "/proc", Log: slog.New(slog.DiscardHandler)}
		c.Wire, c.NoWire = interfaces(cfg)
		found, err := watch.Would(c)
		if err != nil {
			return []check{{Name: "watched", Says: err.Error(), Remedy: "mount /proc"}}, nil
		}
		servers = coverage(found)
		if len(servers) > 0 {
			all = append(all, check{Name: "not watched", Fine: true, Says: howMany(len(servers), "server") + " of other makers run here: sudo tallyman watch would see what follows"})
		}
	}
	for i := range servers {
		s := &servers[i]
		name := fmt.Sprintf("%s[%d]", s.Server, s.PID)
		says := s.Proof
		if s.By != "" {
			says = "started by " + tallyman.Escape(s.By) + " for each connection: " + says
		}
		if len(s.Roots) > 0 {
			says = escaped(s.Roots) + ": " + says
		}
		all = append(all, check{Name: name, Fine: true, Says: says, of: name})
		for _, c := range s.Cover {
			says := string(c.State) + ": " + tallyman.Escape(c.Proves)
			if c.Lacks != "" {
				says += "; lacks: " + tallyman.Escape(c.Lacks)
			}
			all = append(all, check{
				Name: "  " + c.Witness, Fine: !runs || c.State == web.Live || c.State == web.Off, Says: says, Remedy: tallyman.Escape(c.More), of: name,
			})
		}
		for _, d := range s.Doubts {
			all = append(all, check{Name: "  not known", Fine: true, Says: tallyman.Escape(d), of: name})
		}
	}
	return all, servers
}

// printCoverage prints how each witness stands towards each server, then what each of them proves of it and what it lacks.
func (p *program) printCoverage(servers []web.Watched) {
	if len(servers) == 0 {
		return
	}
	head, rows := []string{"SERVER"}, [][]string{}
	for _, c := range servers[0].Cover {
		head = append(head, strings.ToUpper(c.Witness))
	}
	for i := range servers {
		s := &servers[i]
		row := []string{fmt.Sprintf("%s[%d]", s.Server, s.PID)}
		for _, c := range s.Cover {
			state := string(c.State)
			if c.State == web.Live && c.Lacks != "" {
				state = "in part"
			}
			row = append(row, state)
		}
		rows = append(rows, append(row, s.Proof))
	}
	fmt.Fprintln(p.stdout)
	terminal.On(p.stdout).Fold(append(head, "TOGETHER"), rows)
	for i := range servers {
		fmt.Fprintln(p.stdout)
		p.printWatched(&servers[i])
	}
}
