package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"tallyman"
	"tallyman/source/logs/devlog"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
	"tallyman/source/logs/journal"
	"tallyman/source/logs/tail"
)

const (
	// settleAfter is how long a format may hold a failed login back, and how often is looked.
	settleAfter = 2 * time.Second
	// again is how long an input that failed waits before it is tried once more.
	again = time.Second
)

// Source reads all configured logs.
type Source struct {
	cfg     Config
	mu      sync.Mutex
	refused []RefusedLine
	counts  map[Count]int64
}

// RefusedLine is a line that no format could read.
type RefusedLine struct {
	At    time.Time
	Input string // journal, or a path
	Why   string
	Raw   string
}

// Count is what lines are counted by.
type Count struct {
	Input, Why string
	Outcome    entry.Outcome
}

const (
	// mostRefused bounds the refused lines that are kept; the oldest is dropped, the counts go on.
	mostRefused = 256
	// longestRefused bounds what is kept of one.
	longestRefused = 4096
)

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg, counts: map[Count]int64{}}, nil
}

// Run reads until ctx ends. It returns an error when the state folder cannot be made, or the last of what was read could not be stored.
func (s *Source) Run(ctx context.Context, to tallyman.Recorder) error {
	if err := os.MkdirAll(s.folder(), 0o750); err != nil {
		return fmt.Errorf("make the folder for the places in logs: %w", err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var failed []error
	start := func(name string, volatile bool, follow func(context.Context, *input) error) {
		in := s.open(name, volatile, to)
		running.Go(func() {
			var settling sync.WaitGroup
			settling.Go(func() { in.keepSettling(ctx) })
			s.keepFollowing(ctx, in, follow)
			settling.Wait()
			if err := in.finish(); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
	}
	if s.cfg.Journal {
		start("journal", false, s.followJournal)
	}
	for _, f := range s.cfg.Files {
		start(f.Path, false, func(ctx context.Context, in *input) error { return s.followFile(ctx, in, f) })
	}
	for _, path := range s.cfg.Sockets {
		start(path, true, func(ctx context.Context, in *input) error { return s.followSocket(ctx, in, path) })
	}
	running.Wait()
	return errors.Join(failed...)
}

func (s *Source) folder() string { return filepath.Join(s.cfg.State, "logs") }

// keepFollowing follows one input, again and again, until ctx ends. What could not be stored is read again from the place that was kept.
func (s *Source) keepFollowing(ctx context.Context, in *input, follow func(context.Context, *input) error) {
	told := ""
	for ctx.Err() == nil {
		err := follow(ctx, in)
		if err != nil && err.Error() != told {
			told = err.Error()
			s.cfg.Log.Warn("a log cannot be read, it is tried again", "input", in.name, "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
			in.startAgain()
		}
	}
}

// followJournal reads the journal.
func (s *Source) followJournal(ctx context.Context, in *input) error {
	var place struct {
		Cursor string `json:"cursor"`
	}
	if err := in.load(&place); err != nil {
		return err
	}
	cfg := journal.Config{Directory: s.cfg.JournalDir, Idents: format.Idents(), Cursor: place.Cursor, Log: s.cfg.Log}
	return journal.Follow(ctx, cfg, func(b journal.Batch) error {
		for _, g := range b.Gaps {
			in.gap(g.From, g.To, g.Lost, g.Why)
		}
		for i := range b.Entries {
			in.entry(FromJournal(&b.Entries[i]))
		}
		place.Cursor = b.Cursor
		return in.commit(&place)
	})
}

// followFile follows a text file.
func (s *Source) followFile(ctx context.Context, in *input, file File) error {
	var place struct {
		Format string          `json:"format"`
		Files  []tail.Position `json:"files"`
	}
	if err := in.load(&place); err != nil {
		return err
	}
	if file.Format != "" {
		place.Format = file.Format
	}
	if file.Zone != nil {
		in.zone(file.Zone)
	}
	if place.Format == "" {
		place.Format = s.detect(file.Path)
	}
	f := tail.New(file.Path, place.Files, file.FromStart)
	if len(place.Files) == 0 { // the first place is kept at once: what comes between this start and the next one is new
		if _, err := f.Poll(s.cfg.Clock(), func(tail.Batch) error { return errNotYet }); err != nil && !errors.Is(err, errNotYet) {
			f.Close()
			return err
		}
		place.Files = f.Positions()
		if err := in.save(&place); err != nil {
			f.Close()
			return err
		}
	}
	return tail.Run(ctx, f, s.cfg.Clock, func(b tail.Batch) error {
		now := s.cfg.Clock()
		for _, why := range b.Gaps {
			in.gap(now, now, -1, why)
		}
		if place.Format == "" && len(b.Lines) > 0 {
			place.Format, _ = format.Detect(b.Lines, in.clock())
		}
		for _, raw := range b.Lines {
			in.line(place.Format, raw)
		}
		place.Files = b.After
		return in.commit(&place)
	})
}

// errNotYet refuses what a first look finds.
var errNotYet = errors.New("not yet")

// detect looks at the start of a file; "" if it cannot tell yet.
func (s *Source) detect(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	lines, err := head(f)
	if err != nil {
		return ""
	}
	name, _ := format.Detect(lines, line.Clock{Now: s.cfg.Clock(), Zone: s.cfg.Zone})
	return name
}

// followSocket takes datagrams.
func (s *Source) followSocket(ctx context.Context, in *input, path string) error {
	conn, err := devlog.Listen(path)
	if err != nil {
		return err
	}
	return devlog.Run(ctx, conn, s.cfg.Clock, func(list []devlog.Datagram) error {
		for i := range list {
			e, ok := fromDatagram(&list[i], in.clock())
			if !ok {
				in.refuse(list[i].At, "a datagram without time and tag", list[i].Text)
				continue
			}
			in.entry(e)
		}
		return in.commit(nil)
	})
}

// Counts returns how many lines had which outcome, by input and reason.
func (s *Source) Counts() map[Count]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Refused returns the newest lines that no format could read, the oldest first.
func (s *Source) Refused() []RefusedLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}
