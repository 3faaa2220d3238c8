package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"

	"tallyman/config"
)

// logger writes the program's own log: to standard error, or to a file that can be reopened.
func (h *house) logger(cfg config.Config) (*slog.Logger, error) {
	if err := h.level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		return nil, fmt.Errorf("log.level: %w", err)
	}
	to := io.Writer(h.p.stderr)
	if cfg.Log.File != "" {
		h.logFile = &logFile{path: cfg.Log.File}
		if err := h.logFile.Reopen(); err != nil {
			return nil, err
		}
		to = h.logFile
	}
	opt := &slog.HandlerOptions{Level: h.level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, opt)), nil
	}
	return slog.New(slog.NewTextHandler(to, opt)), nil
}

// logFile is a log that logrotate may move away.
type logFile struct {
	path string
	mu   sync.Mutex
	file *os.File
}

// Write implements io.Writer.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(line)
}

// Reopen opens, or makes, the file that has the name now.
func (l *logFile) Reopen() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("log.file: %w", err)
	}
	l.mu.Lock()
	old := l.file
	l.file = f
	l.mu.Unlock()
	if old == nil {
		return nil
	}
	return old.Close()
}
