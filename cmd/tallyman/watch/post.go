package watch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tallyman"
	"tallyman/source/files"
	"tallyman/source/files/host"
	"tallyman/source/logs"
	"tallyman/source/logs/format/entry"
	"tallyman/source/wire"
)

// work is a witness that runs. Run blocks; begun is closed when it sees. Look has it look at what the plan wants while it runs, and misses nothing; nil: it
// must begin again for that.
type work struct {
	run   func(ctx context.Context, to tallyman.Recorder) error
	begun <-chan struct{}
	look  func(p *plan) error
	close func()
	count func(map[string]int64)
	says  func() (state State, text, more string)
	moves bool // what it says changes while it looks at the same

	nameless func() string // why what it sees has no process; nil: it has
}

// names is what would let the kernel name the process of a packet (source/wire/dial).
const names = "Linux 6.10 or later, as root, on the machine itself and not in a container, with cgroup2 mounted"

// post is one witness, and where it stands.
type post struct {
	name  string
	watch *Watch
	open  func(p *plan, since time.Time) (*work, error)
	want  func(*plan) string

	began  bool
	at     string // what it looks at
	cancel context.CancelFunc
	ended  chan struct{}
	blind  time.Time // since when it does not see; zero: it does, or never did

	mu     sync.Mutex
	now    Witness
	work   *work
	failed error
	told   string // the failure that was logged last
}

// beginFor bounds how long the others wait for a witness to begin.
const beginFor = 10 * time.Second

// adapt makes the witness look at what the plan wants. Where it cannot do that while it runs, and when it has ended by itself, it begins again and tells the
// gap. It reports whether anything changed.
func (p *post) adapt(ctx context.Context, to *plan, out tallyman.Recorder) bool {
	want := p.want(to)
	gone := p.gone()
	if ctx.Err() != nil || p.began && want == p.at && !gone {
		return false
	}
	before := p.status()
	if !gone && p.turned(to) {
		p.at = want
		return before.Text != p.status().Text
	}
	why := "it began again to look at more"
	if gone {
		why = "it had ended: " + p.status().Text
	}
	if p.cancel != nil && !gone {
		p.blind = time.Now()
	}
	p.stop()
	since := p.blind
	if since.IsZero() && !p.began {
		since, why = p.watch.cfg.Since, "the program did not run"
	}
	p.at, p.began = want, true
	p.begin(ctx, to, since, out)
	after := p.status()
	if after.State == Live || after.State == Blind {
		if (p.name == "wire" || p.name == "mounts") && !since.IsZero() { // files tells its own, log loses nothing
			p.watch.gap(out, p.name, since, time.Now(), why)
		}
		p.blind = time.Time{}
	} else if p.blind.IsZero() {
		p.blind = since
	}
	return before.State != after.State || before.Text != after.Text
}

// turned reports whether the witness looks at what the plan wants without a break.
func (p *post) turned(to *plan) bool {
	p.mu.Lock()
	w := p.work
	p.mu.Unlock()
	if w == nil || w.look == nil {
		return false
	}
	if err := w.look(to); err != nil {
		p.watch.cfg.Log.Warn("a witness begins again", "witness", p.name, "err", err)
		return false
	}
	p.see()
	return true
}

// begin opens the witness and waits until it sees.
func (p *post) begin(ctx context.Context, to *plan, since time.Time, out tallyman.Recorder) {
	w, err := p.open(to, since)
	if err != nil || w == nil {
		p.set(nil, err)
		return
	}
	run, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	p.cancel, p.ended = cancel, ended
	p.set(w, nil)
	go func() {
		defer close(ended)
		err := w.run(run, out)
		if run.Err() == nil {
			p.fail(err)
		} else if err != nil {
			p.watch.cfg.Log.Error("the last that a witness saw is not stored", "witness", p.name, "err", err)
		}
	}()
	late := time.NewTimer(beginFor)
	defer late.Stop()
	select {
	case <-w.begun:
		p.see()
	case <-ended:
	case <-late.C:
	}
}

// gone reports whether it ended by itself.
func (p *post) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil && p.blind.IsZero() {
		p.blind = time.Now()
	}
	return p.failed != nil
}

// stop ends the witness, after it has told what it has seen.
func (p *post) stop() {
	if p.cancel == nil {
		return
	}
	p.cancel()
	<-p.ended
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.work.close != nil {
		p.work.close()
	}
	p.cancel, p.work = nil, nil
}

func (p *post) set(w *work, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.work, p.failed = w, err
	p.now = Witness{Name: p.name, State: Starting, Since: time.Now().UTC().Truncate(time.Millisecond)}
	switch {
	case err != nil:
		p.now.State = Failed
		p.now.Text, p.now.More = failure(err)
	case w == nil:
		p.now.State = Off
		p.now.Text, p.now.More = p.nothing()
	}
}

func (p *post) see() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed == nil {
		p.now.State, p.now.Text, p.now.More = p.work.says()
		if p.work.nameless != nil {
			p.now.Nameless = p.work.nameless()
		}
		if p.now.Nameless != "" {
			p.now.Named = names
		}
	}
}

func (p *post) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		err = errors.New("it ended without a reason")
	}
	p.failed = err
	p.now.State = Failed
	p.now.Text, p.now.More = failure(err)
	if p.told != err.Error() { // it is tried again and again
		p.told = err.Error()
		p.watch.cfg.Log.Warn("a witness does not see", "witness", p.name, "err", err)
	}
}

// failure says why a witness does not see, and what to do.
func failure(err error) (text, more string) {
	if errors.Is(err, wire.ErrNotAllowed) {
		return "the capture was not allowed (needs CAP_NET_RAW)", "run it as root, or setcap cap_net_raw+ep on the program"
	}
	return err.Error(), ""
}

// nothing says why a witness has nothing to do, and what would give it something.
func (p *post) nothing() (text, more string) {
	switch p.name {
	case "wire":
		return "switched off by watch.wire", "set watch.wire to auto"
	case "mounts":
		return "switched off by watch.mounts", "set one of local, removable, network and cloud to true"
	case "files":
		return "no folder of a server is known", "name it, as in tallyman watch /srv/tftp"
	default:
		return "there is no journal here, and no log file of a server is known", "run systemd-journald or rsyslog on this machine"
	}
}

func (p *post) status() Witness {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.work != nil && p.work.moves && p.failed == nil {
		p.now.State, p.now.Text, p.now.More = p.work.says()
	}
	return p.now
}

func (p *post) count(into map[string]int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.work != nil && p.work.count != nil {
		p.work.count(into)
	}
}

// begun is closed from the start.
func begun() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func (w *Watch) openWire(p *plan, _ time.Time) (*work, error) {
	if w.cfg.NoWire {
		return nil, nil // switched off
	}
	c := wire.LiveDefaults()
	c.Interfaces, c.Data = w.cfg.Wire, p.data
	c.Analyzer.Host, c.Analyzer.TFTPPorts, c.Analyzer.FTPPorts, c.Analyzer.Flows = w.cfg.Host, slices.Clone(p.tftp), slices.Clone(p.ftp), false
	sees := make(chan struct{})
	c.Ready = func() { close(sees) }
	var nameless string // written before sees is closed
	c.Blind = func(err error) { nameless = err.Error() }
	where := "all interfaces"
	if len(w.cfg.Wire) > 0 {
		where = strings.Join(w.cfg.Wire, ", ")
	}
	text := func(p *plan) string {
		return fmt.Sprintf("packets of %s, TFTP on %s, FTP on %s", where, numbers(p.tftp), numbers(p.ftp))
	}
	live, says := wire.NewLive(c), text(p)
	return &work{
		run: live.Run, begun: sees,
		look: func(p *plan) error {
			if err := live.Look(wire.Ports{TFTP: slices.Clone(p.tftp), FTP: slices.Clone(p.ftp), Data: p.data}); err != nil {
				return err
			}
			says = text(p)
			return nil
		},
		says:     func() (State, string, string) { return Live, says, "" },
		nameless: func() string { return nameless },
	}, nil
}

func numbers(list []uint16) string {
	var out []string
	for _, n := range list {
		out = append(out, strconv.Itoa(int(n)))
	}
	return strings.Join(out, " ")
}

func (w *Watch) openFiles(p *plan, since time.Time) (*work, error) {
	if len(p.roots) == 0 {
		return nil, nil // nothing to do
	}
	cfg := files.Defaults(w.cfg.Host, p.roots...)
	cfg.Since = since
	f, err := files.Open(cfg, w.cfg.Log.With("room", "files"))
	if err != nil {
		return nil, err
	}
	return &work{
		run: f.Run, begun: begun(), close: f.Close,
		count: func(into map[string]int64) {
			c := f.Counts()
			into["files_events_total"], into["files_gaps_total"] = c.Events, c.Gaps
		},
		says: func() (State, string, string) {
			a := f.Ability()
			if !a.Who {
				return Blind, a.Says, a.Remedy
			}
			return Live, a.Says, a.Remedy
		},
	}, nil
}

func (w *Watch) openHost(_ *plan, since time.Time) (*work, error) {
	cfg := host.Defaults(w.cfg.Host, w.cfg.Files...)
	cfg.Exclude, cfg.State, cfg.Own, cfg.Since = w.cfg.Exclude, w.cfg.State, w.cfg.Own, since
	h, err := host.Open(cfg, w.cfg.Log.With("room", "host"))
	if err != nil {
		return nil, err
	}
	a := h.Ability()
	return &work{
		run: h.Run, begun: begun(), close: h.Close,
		count: func(into map[string]int64) {
			c := h.Counts()
			into["host_events_total"], into["host_gaps_total"], into["host_canaries_total"] = c.Events, c.Gaps, c.Canaries
			into["host_seen_total"], into["host_names"] = c.Engine.Seen, c.Known
		},
		says: func() (State, string, string) {
			if !a.Whole {
				return Blind, a.Says, a.Remedy
			}
			return Live, a.Says, a.Remedy
		},
	}, nil
}

func (w *Watch) openLogs(p *plan, _ time.Time) (*work, error) {
	if !p.journal && len(p.logs) == 0 {
		return nil, nil // nothing to do
	}
	s, err := logs.New(logs.Config{State: w.cfg.State, Host: w.cfg.Host, Journal: p.journal, Files: p.logs, Log: w.cfg.Log.With("room", "logs")})
	if err != nil {
		return nil, err
	}
	var where []string
	if p.journal {
		where = append(where, "the journal")
	}
	for _, l := range p.logs {
		where = append(where, tallyman.Escape(l.Path))
	}
	return &work{
		run: s.Run, begun: begun(),
		count: func(into map[string]int64) {
			for c, n := range s.Counts() {
				into["logs_lines_total"] += n
				if c.Outcome == entry.Refused {
					into["logs_refused_total"] += n
				}
			}
		},
		says: func() (State, string, string) { return Live, strings.Join(where, ", "), "" },
	}, nil
}
