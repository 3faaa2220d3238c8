package main

import (
	"fmt"
	"log/slog"
	"maps"

	"tallyman"
	"tallyman/config"
	"tallyman/sink/jsonl"
	"tallyman/sink/xferlog"
)

// sink is a place that records go to beside the ledger.
type sink interface {
	tallyman.Sink
	Reopen() error
	Close() error
}

// sinkRow is a key of the configuration and what it opens.
type sinkRow struct {
	key  string
	on   func(config.Config) bool
	open func(config.Config, *slog.Logger) (sink, error)
}

// sinkTable is all sinks.
var sinkTable = []sinkRow{
	{"jsonl", func(c config.Config) bool { return c.JSONL.File != "" }, func(c config.Config, log *slog.Logger) (sink, error) {
		return jsonl.Open(jsonl.Config{File: c.JSONL.File, MaxSize: int64(c.JSONL.MaxSize), Log: log})
	}},
	logOf("xferlog", xferlog.Xferlog, func(c config.Config) string { return c.Serve.Xferlog }),
	logOf("clf", xferlog.CLF, func(c config.Config) string { return c.Serve.CLF }),
	logOf("vsftpd_log", xferlog.Vsftpd, func(c config.Config) string { return c.Serve.VsftpdLog }),
}

// logOf is the row of a log that another server would write.
func logOf(key string, f xferlog.Format, file func(config.Config) string) sinkRow {
	return sinkRow{key, func(c config.Config) bool { return file(c) != "" }, func(c config.Config, _ *slog.Logger) (sink, error) {
		return xferlog.Open(xferlog.Config{File: file(c), Format: f})
	}}
}

// countSinks adds what the logs counted.
func countSinks(open map[string]sink, counters map[string]int64) {
	for key, s := range open {
		if s, ok := s.(*xferlog.Sink); ok {
			counters[key+"_lines_total"], counters[key+"_failed_total"] = s.Counts()
		}
	}
}

// linesTo names the files of the configuration that records go to, by key.
func linesTo(c config.Config) map[string]string {
	files := map[string]string{
		"jsonl.file": c.JSONL.File, "serve.xferlog": c.Serve.Xferlog, "serve.clf": c.Serve.CLF, "serve.vsftpd_log": c.Serve.VsftpdLog,
	}
	maps.DeleteFunc(files, func(_, file string) bool { return file == "" })
	return files
}

// openSinks opens every sink that the configuration switches on.
func openSinks(cfg config.Config, log *slog.Logger) (map[string]sink, error) {
	open := map[string]sink{}
	for _, row := range sinkTable {
		if !row.on(cfg) {
			continue
		}
		s, err := row.open(cfg, log.With("room", row.key))
		if err != nil {
			for _, o := range open {
				_ = o.Close()
			}
			return nil, fmt.Errorf("%s: %w", row.key, err)
		}
		open[row.key] = s
	}
	return open, nil
}

func written(open map[string]sink) map[string]tallyman.Sink {
	out := map[string]tallyman.Sink{}
	for key, s := range open {
		out[key] = s
	}
	return out
}
