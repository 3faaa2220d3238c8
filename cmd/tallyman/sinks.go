package main

import (
	"fmt"
	"log/slog"

	"tallyman"
	"tallyman/config"
	"tallyman/sink/jsonl"
)

// sink is a place that records go to beside the ledger.
type sink interface {
	tallyman.Sink
	Reopen() error
	Close() error
}

// sinkTable maps a key of the configuration to what it opens.
var sinkTable = []struct {
	key  string
	on   func(config.Config) bool
	open func(config.Config, *slog.Logger) (sink, error)
}{
	{"jsonl", func(c config.Config) bool { return c.JSONL.File != "" }, func(c config.Config, log *slog.Logger) (sink, error) {
		return jsonl.Open(jsonl.Config{File: c.JSONL.File, MaxSize: int64(c.JSONL.MaxSize), Log: log})
	}},
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
