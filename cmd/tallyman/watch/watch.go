package watch

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"sync"
	"time"

	"tallyman"
	"tallyman/source/mounts"
	"tallyman/source/servers"
)

// Config says what to watch.
type Config struct {
	Host    string
	State   string   // folder in which the log keeps its places
	Paths   []string // only these folders; empty: those of the servers
	Servers bool     // look for servers
	Wire    []string // interfaces; empty: all
	NoWire  bool
	Mounts  mounts.Config // whose Told is empty: nothing is looked at
	Since   time.Time     // when a former run was last seen at work; zero: there was none
	Files   []string      // folders of this machine in which all that happens to files is told; empty: none
	Exclude []string      // what is left out of them
	Own     []string      // paths that this program writes: they are never told
	Proc    string
	Every   time.Duration // between two looks for servers
	Log     *slog.Logger
	// Stands is told after each look how the witnesses stand, and at the end that they do no more; it must not wait.
	Stands func(Standing)
	// Changed is called when what is watched has changed, first when all witnesses that can work do.
	Changed func()
}

// Every is how often is looked for servers by default. A look costs a few file reads for each process.
const Every = 5 * time.Second

// State is how a witness is doing.
type State string

// The states, in the words of the page.
const (
	Live     State = "live"
	Starting State = "starting"
	Blind    State = "blind"
	Failed   State = "failed"
	Off      State = "off"
)

// Witness is how one of them is doing.
type Witness struct {
	Name  string // wire, files, log, mounts, host
	State State
	Since time.Time
	Text  string
	More  string // what would make it better

	Nameless, Named string // of the wire: why the kernel does not name the process of a packet, and what would help
}

// Watch watches.
type Watch struct {
	cfg     Config
	scanner *servers.Scanner
	again   chan struct{}

	plan  plan
	posts []*post

	mu     sync.Mutex
	places *mounts.Places // nil: mounts are not watched, or not yet
	found  []servers.Server
	ended  []servers.Server // newest last
}

// endedKept bounds the ended servers that are shown; the oldest is forgotten.
const endedKept = 16

// New returns a Watch. It opens nothing.
func New(cfg Config) *Watch {
	w := &Watch{cfg: cfg, scanner: servers.New(cfg.Proc), again: make(chan struct{}, 1)}
	w.posts = []*post{
		{name: "wire", watch: w, open: w.openWire, want: (*plan).forWire},
		{name: "files", watch: w, open: w.openFiles, want: (*plan).forFiles},
		{name: "log", watch: w, open: w.openLogs, want: (*plan).forLogs},
		{name: "mounts", watch: w, open: w.openMounts, want: (*plan).forMounts},
	}
	if len(cfg.Files) > 0 {
		w.posts = append(w.posts, &post{name: ofHost, watch: w, open: w.openHost, want: func(*plan) string { return "" }})
	}
	return w
}

// Again has all servers looked at anew soon: their configuration may have changed.
func (w *Watch) Again() {
	select {
	case w.again <- struct{}{}:
	default: // one look sees all
	}
}

// Run watches until ctx ends; then each witness tells what it has still seen.
func (w *Watch) Run(ctx context.Context, to tallyman.Recorder) error {
	defer func() {
		for _, p := range w.posts {
			p.stop()
		}
		w.cfg.Stands(Standing{At: time.Now()})
	}()
	tick := time.NewTicker(w.cfg.Every)
	defer tick.Stop()
	first := true
	for {
		changed, err := w.look()
		if err != nil {
			w.cfg.Log.Warn("servers not looked for", "err", err)
		}
		for _, p := range w.posts {
			changed = p.adapt(ctx, &w.plan, to) || changed
		}
		if ctx.Err() == nil {
			w.cfg.Stands(w.Stand())
		}
		if (changed || first) && ctx.Err() == nil {
			w.cfg.Changed()
		}
		first = false
		select {
		case <-ctx.Done():
			return nil
		case <-w.again:
			w.scanner.Forget()
		case <-tick.C:
		}
	}
}

// look finds the servers that run now, and makes the plan. It reports whether they are others than before.
func (w *Watch) look() (changed bool, err error) {
	found, err := w.scan()
	if err != nil {
		return false, err
	}
	journal := journalHere()
	if _, err := exec.LookPath("journalctl"); err != nil {
		journal = false
	}
	w.plan = planFor(found, w.cfg.Paths, journal, syslogsHere()).with(w.plan)
	w.mu.Lock()
	defer w.mu.Unlock()
	is := func(a *servers.Server) func(servers.Server) bool {
		return func(b servers.Server) bool { return a.Same(&b) }
	}
	for i := range w.found {
		if s := &w.found[i]; !slices.ContainsFunc(found, is(s)) {
			w.cfg.Log.Info("a server ended", "server", s.Name, "pid", s.PID)
			w.ended = append(w.ended, *s)
			changed = true
		}
	}
	for i := range found {
		if s := &found[i]; !slices.ContainsFunc(w.found, is(s)) {
			w.cfg.Log.Info("a server is watched", "server", s.Name, "pid", s.PID, "folders", s.Folders)
			changed = true
		}
	}
	w.ended = slices.Delete(w.ended, 0, max(len(w.ended)-endedKept, 0))
	w.found = found
	return changed, nil
}

// scan finds the servers that are to be watched.
func (w *Watch) scan() ([]servers.Server, error) {
	if !w.cfg.Servers {
		return nil, nil
	}
	found, err := w.scanner.Scan()
	if err != nil || len(w.cfg.Paths) == 0 {
		return found, err
	}
	return slices.DeleteFunc(found, func(s servers.Server) bool {
		return !slices.ContainsFunc(s.Folders, func(dir string) bool {
			return slices.ContainsFunc(w.cfg.Paths, func(path string) bool { return touches(path, dir) })
		})
	}), nil
}

// Witnesses says how they are doing.
func (w *Watch) Witnesses() []Witness {
	out := make([]Witness, len(w.posts))
	for i, p := range w.posts {
		out[i] = p.status()
	}
	return out
}

// ofHost is who watches this machine, and says nothing of servers.
const ofHost = "host"

// ofServers are the witnesses of what servers do.
func (w *Watch) ofServers() []Witness {
	return slices.DeleteFunc(w.Witnesses(), func(x Witness) bool { return x.Name == ofHost || x.Name == "mounts" })
}

// Counts are what the witnesses have counted.
func (w *Watch) Counts() map[string]int64 {
	out := map[string]int64{}
	for _, p := range w.posts {
		p.count(out)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	out["servers_found"] = int64(len(w.found))
	return out
}

// gap tells that a witness could not see.
func (w *Watch) gap(to tallyman.Recorder, witness string, from, until time.Time, why string) {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Err = tallyman.KindGap, witness, w.cfg.Host, why
	e.Began, e.Time = tallyman.Clean(from), tallyman.Clean(until)
	if e.Began.After(e.Time) {
		e.Began = e.Time
	}
	to.Record(e)
	w.cfg.Log.Info("a witness could not see", "witness", witness, "why", why, "from", e.Began, "to", fmt.Sprint(e.Time))
}
