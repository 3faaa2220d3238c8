package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Config says what is followed.
type Config struct {
	Program   string   // journalctl, or a path to it; "" = journalctl
	Directory string   // a folder of journal files; "" = the journal of this machine
	Idents    []string // only entries with these tags; empty = all
	Cursor    string   // begin after this entry; "" = with the next one that comes
	Log       *slog.Logger
}

// Batch is what came together. Cursor is that of its last entry.
type Batch struct {
	Entries []Entry
	Gaps    []Gap
	Cursor  string
}

const (
	// mostEntries bounds a batch: a full one is delivered, and journalctl waits as long as that takes.
	mostEntries = 512
	// longestLine bounds an entry as journalctl prints it. A longer one is skipped and becomes a gap.
	longestLine = 4 << 20
	// again is how long Run waits before it starts journalctl once more.
	again = time.Second
)

// Follow delivers what the journal holds after the cursor, and what comes, until ctx ends or deliver fails. It returns nil when ctx ended.
func Follow(ctx context.Context, cfg Config, deliver func(Batch) error) error {
	if cfg.Program == "" {
		cfg.Program = "journalctl"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if _, err := exec.LookPath(cfg.Program); err != nil {
		return fmt.Errorf("follow the journal: %w: install systemd, or name files to follow", err)
	}
	f := &follower{cfg: cfg, cursor: cfg.Cursor, deliver: deliver}
	for {
		err := f.run(ctx)
		var refused *deliverError
		switch {
		case errors.As(err, &refused):
			return refused.err
		case ctx.Err() != nil:
			return nil
		}
		cfg.Log.Warn("journalctl ended and is started again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
	}
}

// deliverError is an error of the caller: it ends Follow.
type deliverError struct{ err error }

func (e *deliverError) Error() string { return e.err.Error() }

type follower struct {
	cfg     Config
	cursor  string
	since   time.Time // without a cursor: after this time
	deliver func(Batch) error
}

// run follows until the child ends.
func (f *follower) run(ctx context.Context) error {
	if f.cursor != "" {
		if err := f.checkCursor(ctx); err != nil {
			return err
		}
	}
	args := append(f.base(), "--follow", "--all", "--output-fields="+fields)
	switch {
	case f.cursor != "":
		args = append(args, "--no-tail", "--after-cursor="+f.cursor)
	case !f.since.IsZero():
		args = append(args, "--no-tail", fmt.Sprintf("--since=@%d.%06d", f.since.Unix(), f.since.Nanosecond()/1000+1))
	default:
		args = append(args, "--lines=0")
	}
	if len(f.cfg.Idents) > 0 {
		for _, ident := range append(slices.Clone(f.cfg.Idents), "systemd-journald") {
			args = append(args, "--identifier="+ident)
		}
	}
	// The signal of a dying parent is one of the thread that started the child (prctl(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, f.cfg.Program, args...) //nolint:gosec // the program is configured, and no shell reads the arguments
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var said tailBuffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("start journalctl: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start journalctl: %w", err)
	}
	err = f.read(out)
	if err != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	_, _ = io.Copy(io.Discard, out)
	if end := cmd.Wait(); err == nil {
		err = fmt.Errorf("journalctl: %w: %s", orEOF(end), strings.TrimSpace(said.String()))
	}
	return err
}

func orEOF(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}

func (f *follower) base() []string {
	args := []string{"--output=json", "--no-pager", "--quiet"}
	if f.cfg.Directory != "" {
		args = append(args, "--directory="+f.cfg.Directory)
	}
	return args
}

// read delivers entries in batches: what is there without waiting goes together.
func (f *follower) read(out io.Reader) error {
	r := bufio.NewReaderSize(out, 256<<10)
	var b Batch
	for {
		line, tooLong, err := readLine(r, longestLine)
		if err != nil {
			if len(b.Entries)+len(b.Gaps) > 0 {
				return f.hand(&b)
			}
			return nil // what ended it is for Wait to say
		}
		f.take(&b, line, tooLong)
		if r.Buffered() == 0 || len(b.Entries) >= mostEntries {
			if err := f.hand(&b); err != nil {
				return err
			}
		}
	}
}

// take adds a line to the batch.
func (f *follower) take(b *Batch, line []byte, tooLong bool) {
	if tooLong {
		b.Gaps = append(b.Gaps, f.here(1, "an entry of the journal is too long"))
		return
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return
	}
	entries, err := decode(line)
	if len(entries) > 0 {
		b.Cursor = entries[0].Cursor
	}
	if err != nil {
		g := f.here(1, err.Error())
		if len(entries) > 0 {
			g.From, g.To = entries[0].Time, entries[0].Time
		}
		b.Gaps = append(b.Gaps, g)
		return
	}
	for i := range entries {
		if g, ok := entries[i].Suppressed(); ok {
			b.Gaps = append(b.Gaps, g)
			continue
		}
		if entries[i].Ident == "systemd-journald" {
			continue
		}
		b.Entries = append(b.Entries, entries[i])
	}
}

// here is a gap at the place where we are.
func (f *follower) here(lost int64, why string) Gap {
	p, _ := parseCursor(f.cursor)
	return Gap{From: p.at, To: p.at, Lost: lost, Why: why}
}

func (f *follower) hand(b *Batch) error {
	if b.Cursor == "" && len(b.Gaps) == 0 {
		*b = Batch{}
		return nil
	}
	if b.Cursor == "" {
		b.Cursor = f.cursor
	}
	if err := f.deliver(*b); err != nil {
		return &deliverError{err}
	}
	f.cursor = b.Cursor
	*b = Batch{}
	return nil
}

// checkCursor looks whether the entry of the cursor is still there. If the journal begins after it, what lies between is lost.
func (f *follower) checkCursor(ctx context.Context) error {
	old, ok := parseCursor(f.cursor)
	if !ok {
		return f.forget("the place in the journal that was kept is damaged", time.Time{})
	}
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	cmd := exec.CommandContext(ctx, f.cfg.Program, append(f.base(), "--lines=1", "--output-fields=_PID", "--cursor="+f.cursor)...) //nolint:gosec // as above
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || len(out) > 0) {
		return fmt.Errorf("look for the place in the journal: %w", err)
	}
	now, found := parseCursor(rawCursor(out))
	switch {
	case len(bytes.TrimSpace(out)) == 0:
		return f.forget("the journal no longer holds the place that was kept", old.at)
	case now.sequence == old.sequence && now.number <= old.number+1:
		return nil
	case !found:
		return fmt.Errorf("look for the place in the journal: journalctl shows an entry without a cursor: %.200q", out)
	}
	return f.gap("the journal was rotated or vacuumed past the place that was kept", old.at, now.at)
}

// rawCursor finds the cursor in an entry without a message.
func rawCursor(line []byte) string {
	_, rest, _ := bytes.Cut(line, []byte(`"__CURSOR":"`))
	cursor, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(cursor)
}

// gap tells a gap; reading goes on with the first entry that is there.
func (f *follower) gap(why string, from, to time.Time) error {
	if err := f.deliver(Batch{Gaps: []Gap{{From: from, To: to, Lost: -1, Why: why}}, Cursor: f.cursor}); err != nil {
		return &deliverError{err}
	}
	return nil
}

// forget tells a gap and begins with what is newer than the place that is lost.
func (f *follower) forget(why string, at time.Time) error {
	err := f.gap(why, at, at)
	f.cursor, f.since = "", at
	return err
}

// readLine reads one line without its newline; of one that is longer than most only that it was there. With an error comes what stands before it. The bytes
// are good until the next read.
func readLine(r *bufio.Reader, most int) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if err == nil && line == nil && !tooLong && len(part) <= most {
			return part[:len(part)-1], false, nil
		}
		if !tooLong {
			line = append(line, part...)
		}
		if len(line) > most+1 {
			line, tooLong = nil, true
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimSuffix(line, []byte("\n")), tooLong, err
		}
	}
}

// tailBuffer keeps the last of what a child says on stderr.
type tailBuffer struct{ b []byte }

func (t *tailBuffer) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if n := len(t.b) - 1024; n > 0 {
		t.b = slices.Delete(t.b, 0, n)
	}
	return len(p), nil
}

func (t *tailBuffer) String() string { return string(t.b) }
