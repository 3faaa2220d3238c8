package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"tallyman"
	"tallyman/cmd/tallyman/watch"
	"tallyman/config"
	"tallyman/ledger/sqlite"
	"tallyman/pipe"
	"tallyman/query"
	"tallyman/spool"
	"tallyman/user"
	"tallyman/web"
	"tallyman/web/live"
)

// house is a running program: everything that serve and drop open, in the order in which it is opened.
type house struct {
	p       *program
	cfg     config.Config
	again   func() (config.Config, error) // reads the configuration once more
	log     *slog.Logger
	level   *slog.LevelVar
	logFile *logFile // nil = standard error
	state   string
	lock    *lock
	spool   *spool.Spool
	outbox  *spool.Spool
	ledger  *sqlite.Ledger
	feed    *live.Feed
	pipe    *pipe.Pipe
	web     *web.Server
	sources []source
	users   *user.Book   // nil: no server has a login
	watched *watch.Watch // nil: nothing of other makers is watched
	sinks   map[string]sink
	started time.Time
	hangup  chan os.Signal
	deaf    func() // ends what heedSignals began

	mu       sync.Mutex
	reloaded config.Config // what is in force after reloads
	stop     context.CancelCauseFunc
}

// errStopped is the cause when an order, not a signal, ends the program.
var errStopped = errors.New("stopped by order")

// drainBooks is how long the books may take to be closed after the last transfer has ended.
const drainBooks = time.Minute

// open makes everything ready: after it all listeners are bound, and what a former run left is settled.
func (p *program) open(ctx context.Context, cfg config.Config, again func() (config.Config, error), build func(context.Context, *house) ([]source, error)) (*house, error) {
	h := &house{p: p, cfg: cfg, reloaded: cfg, again: again, started: time.Now(), level: new(slog.LevelVar), sinks: map[string]sink{}}
	if err := h.open(ctx, build); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

func (h *house) open(ctx context.Context, build func(context.Context, *house) ([]source, error)) (err error) {
	h.deaf = h.heedSignals()
	if h.log, err = h.logger(h.cfg); err != nil {
		return err
	}
	if h.state, err = h.p.stateFolder(); err != nil {
		return err
	}
	if h.lock, err = hold(h.state); err != nil {
		return err
	}
	easeCollector(os.DirFS("/"), os.Environ())
	if err := raiseFiles(); err != nil {
		h.log.Warn("limit of open files not raised", "err", err)
	}
	if h.sources, err = build(ctx, h); err != nil {
		return err
	}
	return h.openBooks(ctx)
}

// openBooks opens spool, ledger, sinks, pipe and page.
func (h *house) openBooks(ctx context.Context) (err error) {
	h.spool, err = spool.Open(spool.Config{
		Dir: filepath.Join(h.state, spoolDir), SyncEvery: 20 * time.Millisecond, Step: h.p.step, Log: h.log.With("room", "spool"),
	})
	if err != nil {
		return fmt.Errorf("open spool: %w", err)
	}
	if h.ledger, err = openLedger(ctx, h.state, false); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if h.sinks, err = openSinks(h.cfg, h.log); err != nil {
		return err
	}
	if len(h.sinks) > 0 {
		if h.outbox, err = spool.Open(spool.Config{Dir: filepath.Join(h.state, outboxDir), Log: h.log.With("room", "outbox")}); err != nil {
			return fmt.Errorf("open outbox: %w", err)
		}
	}
	h.feed = live.NewFeed()
	rules := rulesOf(h.cfg)
	h.pipe, err = pipe.Start(ctx, pipe.Parts{
		Rules: &rules,
		Host:  h.name(), Spool: h.spool, Ledger: h.ledger, Feed: h.feed, Outbox: h.outbox, Sinks: written(h.sinks),
		Orphan: func(t *tallyman.Transfer) tallyman.Evidence { return orphan(h.name(), t, time.Now()) },
		Aside:  h.setAside,
		Log:    h.log.With("room", "pipe"),
	})
	if err != nil {
		return fmt.Errorf("start pipe: %w", err)
	}
	h.tellUnclosed()
	h.web, err = web.New(webConfig(h.cfg), web.Parts{
		Name: h.name(), Version: version(), State: h.state, Socket: socketPath(h.state), Ledger: h.ledger, Feed: h.feed, Orders: h, Books: books{h.ledger},
		Log: h.log.With("room", "web"), Parse: query.Parse, Match: query.Match, Hint: h.hint, System: h.system,
		Lanes: lanes(h.state, h.ledger, h.log), Mounts: h.mountsNow,
	})
	if err != nil {
		return fmt.Errorf("prepare page: %w", err)
	}
	return h.web.Listen(ctx)
}

// name is how this machine signs.
func (h *house) name() string { return hostName(h.cfg) }

func hostName(cfg config.Config) string {
	if cfg.Name != "" {
		return cfg.Name
	}
	host, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return host
}

// run serves until ctx ends or an order comes, then stops in the order of the flow: sources, pipe, page, ledger.
func (h *house) run(ctx context.Context) error {
	ctx, h.stop = context.WithCancelCause(ctx)
	defer h.stop(nil)
	defer h.onHangup(ctx)()

	var serving, showing sync.WaitGroup
	failed := make(chan error, len(h.sources)+1)
	for _, s := range h.sources {
		serving.Go(func() {
			if err := s.Run(ctx, h.pipe); err != nil {
				failed <- fmt.Errorf("%s: %w", s.key, err)
			}
		})
	}
	page, closePage := context.WithCancel(context.WithoutCancel(ctx))
	showing.Go(func() {
		if err := h.web.Run(page); err != nil {
			failed <- fmt.Errorf("web: %w", err)
		}
	})
	showing.Go(func() { h.prune(page) })
	showing.Go(func() { h.warm(page) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	h.log.Info("stopping", "drain", h.cfg.Drain.String())
	h.stop(nil)
	serving.Wait()
	books, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainBooks)
	defer cancel()
	err = errors.Join(err, h.pipe.Drain(books))
	closePage()
	showing.Wait()
	err = errors.Join(err, h.close())
	h.log.Info("stopped", "uptime", time.Since(h.started).Round(time.Second).String())
	return err
}

// close closes what is open, last opened first.
func (h *house) close() error {
	var errs []error
	for _, s := range h.sources {
		s.Close()
	}
	if h.pipe != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drainBooks)
		errs = append(errs, h.pipe.Drain(ctx))
		cancel()
	}
	for _, s := range h.sinks {
		errs = append(errs, s.Close())
	}
	if h.ledger != nil {
		errs = append(errs, h.ledger.Close())
	}
	if h.outbox != nil {
		errs = append(errs, h.outbox.Close())
	}
	if h.spool != nil {
		errs = append(errs, h.spool.Close())
	}
	if h.lock != nil {
		errs = append(errs, h.lock.release(h.pipe != nil && errors.Join(errs...) == nil))
	}
	if h.deaf != nil {
		h.deaf()
	}
	return errors.Join(errs...)
}

// ready writes the file that tells a script where everything listens. It appears whole or not at all.
func (h *house) ready(path string) error {
	if path == "" {
		return nil
	}
	where := map[string]any{"pid": os.Getpid(), "state": h.state, "socket": socketPath(h.state)}
	if url := h.web.URL(); url != "" {
		where["web"], where["web_url"] = h.web.Addr().String(), url
	}
	for _, s := range h.sources {
		if s.write != nil {
			where[s.proto] = s.addr()
		}
		maps.Copy(where, s.facts)
	}
	if h.watched != nil {
		where["watched"] = h.watchedNow()
	}
	b, err := json.Marshal(where)
	if err == nil {
		err = os.WriteFile(path+".new", append(b, '\n'), 0o644)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write ready file: %w", err)
	}
	return nil
}

// forgetReady takes away what a former run left: whoever waits for the file must not find that.
func forgetReady(path string) error {
	if path == "" {
		return nil
	}
	if st, err := os.Lstat(path); err == nil && !st.Mode().IsRegular() {
		return usage("--ready-file %s is there and no file: name another", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the ready file of a former run: %w", err)
	}
	return nil
}

// begin gives up what only opening took, and tells scripts where everything listens.
func (h *house) begin(readyFile string) error {
	if err := h.dropPrivileges(func() error { return h.ready(readyFile) }); err != nil {
		return errors.Join(err, h.close())
	}
	return nil
}

// raiseFiles lifts the limit of open files to what the system allows.
func raiseFiles() error {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return err
	}
	l.Cur = l.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
}
