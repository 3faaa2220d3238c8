package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/cmd/tallyman/watch"
	"tallyman/config"
	"tallyman/source/servers/daemon"
	"tallyman/web"
)

func (p *program) watchCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use: "watch [PATH...]", Short: "watch the servers of other makers that run here, and what is mounted", Args: cobra.ArbitraryArgs,
		Long: `Finds the file servers of other makers that run on this machine, and gives every transfer of theirs a record with a proven verdict, without touching
them: packets say how it ended, the files what was stored, the log what the server claims. Looked for are ` + strings.Join(daemon.Names(), ", ") + `.
Every mount and unmount is an event, with its class (local, removable, network, cloud) and device; folders of cloud clients too.
With paths, only these folders are watched, and the servers that serve them. It wants root: packets and processes of others are seen by root alone.
Servers that start later are watched too. Watch only what you are authorised to watch.
Ctrl-C, SIGTERM and tallyman stop write everything that was seen, and end.`,
		Example: "  sudo tallyman watch\n  sudo tallyman watch /srv/tftp\n  sudo tallyman watch --jsonl /var/log/tallyman.jsonl --web 127.0.0.1:8420",
		RunE: func(cmd *cobra.Command, args []string) error {
			paths, err := watchPaths(args)
			if err != nil {
				return err
			}
			cfg, err := p.configure(cmd, &f, nil)
			if err != nil {
				return err
			}
			return p.watch(cmd.Context(), cfg, func() (config.Config, error) { return p.configure(cmd, &f, nil) }, &f, paths)
		},
	}
	c.Flags().StringVar(&f.config, "config", "", "configuration `file`")
	f.add(c)
	return c
}

// watchPaths checks the folders of the command line.
func watchPaths(args []string) (paths []string, err error) {
	for _, a := range args {
		path, err := filepath.Abs(a)
		if err == nil {
			path, err = filepath.EvalSymlinks(path)
		}
		if err != nil {
			return nil, usage("%s cannot be watched: %v", a, err)
		}
		if st, err := os.Stat(path); err != nil || !st.IsDir() {
			return nil, usage("%s is no folder: name the folder that a server serves", a)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// watch opens the books, sends the witnesses out, says what they see, and goes on until it is told to stop.
func (p *program) watch(ctx context.Context, cfg config.Config, again func() (config.Config, error), f *serveFlags, paths []string) error {
	h, err := p.open(ctx, cfg, again, func(_ context.Context, h *house) ([]source, error) {
		if err := forgetReady(f.ready); err != nil {
			return nil, err
		}
		c := watchConfig(h, paths)
		history, err := watch.OpenHistory(h.state, h.lock.last)
		if err != nil {
			return nil, err
		}
		c.Stands = func(s watch.Standing) {
			if err := history.Note(s); err != nil {
				h.log.Error("a later why will not know who watched", "err", err)
			}
		}
		var first sync.Once
		c.Changed = func() {
			begun := false
			first.Do(func() {
				begun = true
				h.greetWatch(c)
				if err := h.ready(f.ready); err != nil {
					h.log.Error("nobody is told that all works", "err", err)
					h.stop(err)
				}
			})
			if !begun {
				h.log.Info("what is watched has changed: see tallyman doctor", "servers", len(h.watchedNow()))
			}
		}
		h.watched = watch.New(c)
		return []source{watchSource(h.watched)}, nil
	})
	if err != nil {
		return err
	}
	return h.run(ctx)
}

// watchConfig composes what is watched.
func watchConfig(h *house, paths []string) watch.Config {
	c := watch.Config{
		Host: h.name(), State: h.state, Paths: paths, Servers: h.cfg.Watch.Servers != "none", Proc: "/proc", Every: watch.Every,
		Log: h.log.With("room", "watch"), Since: h.lock.last,
	}
	c.Wire, c.NoWire = interfaces(h.cfg)
	c.Mounts = mountsConfig(h.cfg, h.state)
	c.Files, c.Exclude = h.cfg.Watch.Files.Paths, h.cfg.Watch.Files.Exclude
	for _, path := range []string{h.cfg.JSONL.File, h.cfg.Log.File} {
		if abs, err := filepath.Abs(path); err == nil && path != "" {
			c.Own = append(c.Own, abs)
		}
	}
	return c
}

// interfaces returns those whose packets are read, none for all; off reports that none are.
func interfaces(cfg config.Config) (list []string, off bool) {
	switch wire := cfg.Watch.Wire; {
	case len(wire) == 1 && wire[0] == "auto":
		return nil, false
	case len(wire) == 1 && wire[0] == "off":
		return nil, true
	default:
		return wire, false
	}
}

func watchSource(w *watch.Watch) source {
	return source{
		Source: w, key: "watch", addrs: func() []netip.AddrPort { return nil }, counts: w.Counts, Close: func() {},
		reload: func(config.Config) error { w.Again(); return nil },
	}
}

// greetWatch says who is watched, by whom, how long that is kept, and what stays unproven.
func (h *house) greetWatch(c watch.Config) {
	w := h.p.stdout
	witnesses := h.watched.Witnesses()
	for _, x := range witnesses {
		if x.Name == "wire" {
			h.p.printBlindness(&x)
		}
	}
	keep := h.current().Keep
	found := h.watched.Servers()
	terminal.On(w).Paragraph("", fmt.Sprintf("Watching %s on %s. Records are kept %s, events %s, evidence %s; contents never.",
		howMany(len(found), "server"), h.name(), keep.Transfers, keep.Events, keep.Evidence))
	if len(found) == 0 && c.Servers {
		terminal.On(w).Paragraph("", "No server was found; looked for "+strings.Join(daemon.Names(), ", ")+". One that starts is watched from then on.")
	}
	for _, x := range witnesses {
		terminal.On(w).Paragraph(fmt.Sprintf("  %-6s %-8s ", x.Name, x.State), x.Text+remedyOf(x.More))
	}
	for _, m := range mounted(h.watched.Places()) {
		if m.ToClass != "local" {
			terminal.On(w).Paragraph("  ", mountedSays(&m))
		}
	}
	for _, s := range coverage(found) {
		h.p.printWatched(&s)
	}
	h.greetPage()
	fmt.Fprintf(w, "      tallyman doctor%s says this again, as it is then\n", h.stateFlag())
}

// printBlindness says first what stays unproven because of what the wire does not tell.
func (p *program) printBlindness(x *watch.Witness) {
	s := terminal.On(p.stdout)
	switch {
	case x.State != watch.Live:
		s.Paragraph("", "No packets are seen: "+x.Text+". Without them no transfer of TFTP or FTP is proven complete: one that went well stays unproven, "+
			"and is called probably whole where log and files agree; a client that fell silent or said stop, and a full disk, are not told from it.")
		if x.More != "" {
			s.Paragraph("  -> ", x.More)
		}
	case x.Nameless != "":
		s.Paragraph("", "The process behind a packet is not known: "+x.Nameless+". Requests of one client for one name at the same moment are told apart by their order alone.")
		s.Paragraph("  -> ", x.Named)
	}
}

func remedyOf(more string) string {
	if more == "" {
		return ""
	}
	return " -> " + more
}

func howMany(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return tallyman.Count(int64(n)) + " " + what + "s"
}

// printWatched prints one server and what each witness proves of it.
func (p *program) printWatched(s *web.Watched) {
	w := p.stdout
	fmt.Fprintf(w, "%s  pid %d", s.Server, s.PID)
	if s.Unit != "" {
		fmt.Fprint(w, "  "+tallyman.Escape(s.Unit))
	}
	if s.By != "" {
		fmt.Fprint(w, "  started by "+tallyman.Escape(s.By)+" for each connection")
	}
	if len(s.Addrs) > 0 {
		fmt.Fprint(w, "  on "+strings.Join(s.Addrs, " "))
	}
	if len(s.Roots) > 0 {
		fmt.Fprint(w, "  serves "+escaped(s.Roots))
	}
	if s.Ended {
		fmt.Fprint(w, "  has ended")
	}
	fmt.Fprintln(w)
	screen := terminal.On(w)
	for _, c := range s.Cover {
		screen.Paragraph(fmt.Sprintf("  %-6s %-8s ", c.Witness, c.State), tallyman.Escape(c.Proves))
		if c.Lacks != "" {
			screen.Paragraph(fmt.Sprintf("  %-15s lacks: ", ""), tallyman.Escape(c.Lacks))
		}
		if c.More != "" {
			screen.Paragraph(fmt.Sprintf("  %-15s -> ", ""), tallyman.Escape(c.More))
		}
	}
	for _, d := range s.Doubts {
		screen.Paragraph("  not known: ", tallyman.Escape(d))
	}
	if s.Proof != "" {
		screen.Paragraph("  => ", s.Proof)
	}
}

// mostShown is how many folders of a server are shown in one line.
const mostShown = 4

func escaped(list []string) string {
	var out []string
	for _, s := range list[:min(len(list), mostShown)] {
		out = append(out, tallyman.Escape(s))
	}
	if n := len(list) - len(out); n > 0 {
		out = append(out, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(out, ", ")
}

// watchedNow is what is watched, for API and scripts.
func (h *house) watchedNow() []web.Watched { return coverage(h.watched.Servers()) }

func coverage(seen []watch.Seen) []web.Watched {
	out := []web.Watched{}
	for i := range seen {
		s := &seen[i]
		v := web.Watched{
			Server: s.Name, Proto: s.Proto, PID: s.PID, Program: s.Program, Unit: s.Unit, By: s.By, Since: s.Since, Ended: s.Ended, Roots: s.Folders, Proof: s.Proof,
			Doubts: s.Doubts,
		}
		for _, a := range s.Listens {
			v.Addrs = append(v.Addrs, a.String())
		}
		if s.Syslog {
			v.Logs = append(v.Logs, "syslog")
		}
		for _, l := range s.Files {
			v.Logs = append(v.Logs, l.Path)
		}
		for _, c := range s.Cover {
			v.Cover = append(v.Cover, web.Cover{Witness: c.Witness, State: web.State(c.State), Proves: c.Proves, Lacks: c.Lacks, More: c.More})
		}
		out = append(out, v)
	}
	return out
}

// foreignWitnesses is how the witnesses of a watch are doing; lost says what of all evidence was lost.
func (h *house) foreignWitnesses(lost string) []web.Witness {
	var out []web.Witness
	for _, w := range h.watched.Witnesses() {
		text := w.Text
		if lost != "" {
			text += "; " + lost
		}
		if w.Name == "" {
			continue // it has not begun
		}
		out = append(out, web.Witness{Name: w.Name, State: web.State(w.State), Since: w.Since, Text: text + nameless(&w) + remedyOf(w.More)})
	}
	return out
}

// nameless says that the kernel does not name the process of a packet.
func nameless(w *watch.Witness) string {
	if w.Nameless == "" {
		return ""
	}
	return "; the process behind a packet is not known: " + w.Nameless + remedyOf(w.Named)
}
