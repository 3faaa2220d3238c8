package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/config"
)

// Stop implements web.Orders: it begins the drain and returns.
func (h *house) Stop(context.Context) error {
	h.order("stop")
	h.stop(errStopped)
	return nil
}

// Reload implements web.Orders: the configuration is read again. The old one stands if the new one is invalid.
func (h *house) Reload(context.Context) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.logFile != nil {
		if err := h.logFile.Reopen(); err != nil {
			return nil, err
		}
	}
	for _, s := range h.sinks {
		if err := s.Reopen(); err != nil {
			return nil, fmt.Errorf("reopen: %w", err)
		}
	}
	next, err := h.again()
	if err != nil {
		h.log.Error("configuration not reloaded", "err", err)
		return nil, fmt.Errorf("the old configuration stands: %w", err)
	}
	live, restart := config.Diff(h.reloaded, next)
	for i := range h.sources {
		if h.sources[i].reload == nil {
			continue
		}
		if err := h.sources[i].reload(next); err != nil {
			return nil, fmt.Errorf("the old configuration stands: %w", err)
		}
	}
	if err := h.level.UnmarshalText([]byte(next.Log.Level)); err != nil {
		return nil, fmt.Errorf("the old configuration stands: log.level: %w", err)
	}
	h.reloaded = next
	h.order("reload: changed " + listOr(live, "nothing") + "; a restart is needed for " + listOr(restart, "nothing"))
	h.log.Info("configuration reloaded", "changed", strings.Join(live, " "), "restart", strings.Join(restart, " "))
	return restart, nil
}

func listOr(list []string, none string) string {
	if len(list) == 0 {
		return none
	}
	return strings.Join(list, ", ")
}

// current is the configuration in force.
func (h *house) current() config.Config {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.reloaded
}

// order records that somebody told the program to do something.
func (h *house) order(text string) {
	now := tallyman.Clean(time.Now())
	e := tallyman.Unknown()
	e.Time, e.Began, e.Host, e.Witness, e.Kind, e.Err = now, now, h.name(), "server", tallyman.KindOrder, text
	h.pipe.Record(e)
}

// tellUnclosed records a gap when the former run ended without closing its books: evidence of reads waits up to 20 ms for the disk.
func (h *house) tellUnclosed() {
	if h.lock.former == "" {
		return
	}
	e := tallyman.Unknown()
	e.Time, e.Host, e.Witness, e.Kind = tallyman.Clean(time.Now()), h.name(), "server", tallyman.KindGap
	e.Began = e.Time
	if !h.lock.last.IsZero() && h.lock.last.Before(e.Time) {
		e.Began = tallyman.Clean(h.lock.last)
	}
	e.Err = "the server (pid " + strings.TrimSpace(h.lock.former) + ") ended without closing its books: the last reads before that may be missing, acknowledged uploads are not"
	h.log.Warn("the former run ended without closing its books", "pid", strings.TrimSpace(h.lock.former))
	h.pipe.Record(e)
}

// heedSignals keeps two signals from ending the program: SIGHUP, which waits until run reloads, and SIGPIPE, which comes when whoever read
// the output went away (os/signal, "SIGPIPE"). The returned function ends that.
func (h *house) heedSignals() func() {
	h.hangup = make(chan os.Signal, 1)
	signal.Notify(h.hangup, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE)
	return func() {
		signal.Stop(h.hangup)
		signal.Reset(syscall.SIGPIPE)
	}
}

// onHangup reloads at SIGHUP. The returned function ends that.
func (h *house) onHangup(ctx context.Context) func() {
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-h.hangup:
				if _, err := h.Reload(ctx); err != nil {
					h.log.Error("reload", "err", err)
				}
			case <-done:
				return
			}
		}
	}()
	return func() { close(done) }
}

func (p *program) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use: "stop", Short: "let running transfers end, write everything, and stop the server", Args: cobra.NoArgs,
		Example: "  tallyman stop\n  tallyman stop --state ./state",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := p.reach(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			if err := a.Post(cmd.Context(), "stop", nil); err != nil {
				return err
			}
			fmt.Fprintln(p.stdout, "The server drains: running transfers may end, then it stops.")
			return nil
		},
	}
}

func (p *program) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "read the configuration again", Args: cobra.NoArgs,
		Long:    "Reads the configuration again. If it is invalid, the old one stands. Keys that need a restart are named.",
		Example: "  tallyman reload",
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := p.reach(cmd.Context())
			if err != nil {
				return err
			}
			defer a.close()
			var answer struct {
				Restart []string `json:"need_restart"`
			}
			if err := a.Post(cmd.Context(), "reload", &answer); err != nil {
				return err
			}
			if len(answer.Restart) > 0 {
				fmt.Fprintln(p.stdout, "Reloaded. A restart is needed for: "+strings.Join(answer.Restart, ", "))
				return nil
			}
			fmt.Fprintln(p.stdout, "Reloaded.")
			return nil
		},
	}
}
