package main

import (
	"maps"
	"path/filepath"
	"runtime/debug"
	"time"

	"tallyman"
	"tallyman/config"
	"tallyman/web"
)

// version is the version of the build, or "devel".
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// webConfig composes the configuration of the page.
func webConfig(cfg config.Config) web.Config {
	w := cfg.Web
	return web.Config{Listen: string(w.Listen), Hosts: w.Hosts, TLS: w.TLS, CertFile: w.CertFile, KeyFile: w.KeyFile}
}

// hint names the nearest file for a name that was not found. It never goes onto the wire.
func (h *house) hint(t *tallyman.Transfer) string {
	if t.Judgement.Reason != tallyman.NotFound {
		return ""
	}
	name, err := tallyman.ParseName(t.Name)
	if err != nil {
		return ""
	}
	for i := range h.sources {
		if s := &h.sources[i]; s.served != nil && s.proto == t.Proto {
			if near := s.served.tree.Nearest(name); near != "" {
				return "The nearest file is “" + tallyman.Escape(near) + "”."
			}
		}
	}
	return ""
}

// system says how the parts are doing. It must answer at once.
func (h *house) system() web.System {
	pipe, books := h.pipe.Status(), h.spool.Status()
	sys := web.System{
		Backlog: pipe.Backlog, Counters: map[string]int64{
			"pipe_evidence_taken_total": pipe.Taken, "pipe_evidence_lost_total": pipe.Lost, "pipe_records_dropped_total": pipe.Dropped, "pipe_records_aside_total": pipe.Aside,
			"spool_refused_total": int64(books.Refused), "spool_syncs_total": int64(books.Syncs),
		},
		Spool:  web.Store{State: web.Live, Bytes: books.Bytes, Limit: spoolLimit},
		Ledger: web.Store{State: web.Live},
	}
	switch {
	case books.Err != nil:
		sys.Spool.State, sys.Spool.Text = web.Broken, books.Err.Error()+": uploads are refused; check the disk and restart"
	case books.Stalled != nil:
		sys.Spool.State, sys.Spool.Text = web.Blind, books.Stalled.Error()
	}
	switch {
	case pipe.Failed != nil:
		sys.Ledger.State, sys.Ledger.Text = web.Broken, pipe.Failed.Error()
	case pipe.Aside > 0:
		sys.Ledger.Text = tallyman.Count(pipe.Aside) + " records that it does not take are in " + filepath.Join(h.state, asideFile)
	case pipe.Holding:
		sys.Ledger.State, sys.Ledger.Text = web.Blind, "the ledger does not take records now: they wait in the spool"
	}
	countSinks(h.sinks, sys.Counters)
	state, text := web.Live, ""
	if pipe.Lost > 0 {
		text = tallyman.Count(pipe.Lost) + " pieces of evidence were lost since the start: see tallyman events kind:gap"
	}
	for i := range h.sources {
		s := &h.sources[i]
		maps.Copy(sys.Counters, s.counts())
		if s.write == nil {
			continue
		}
		l := web.Listener{
			Proto: s.proto, Addr: s.addr(), Root: s.root, State: web.Live, Since: h.started.UTC().Truncate(time.Millisecond), Try: s.try("put"),
		}
		l.Write = s.write()
		sys.Listeners = append(sys.Listeners, l)
	}
	if h.watched != nil {
		sys.Witnesses, sys.Watched = h.foreignWitnesses(text), h.watchedNow()
		return sys
	}
	if len(h.sources) == 0 {
		state, text = web.Off, "no server is switched on"
	}
	sys.Witnesses = []web.Witness{{Name: "server", State: state, Since: h.started.UTC().Truncate(time.Millisecond), Text: text}}
	return sys
}

// spoolLimit is the bound of the spool in bytes.
const spoolLimit = 1 << 30
