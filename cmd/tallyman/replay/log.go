package replay

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/logs"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
	"tallyman/source/logs/journal"
)

const (
	// longestLine bounds one line; no server writes a longer one. What is longer is refused.
	longestLine = 64 << 10
	// firstRefused is how many refused lines of a log are kept, each up to longestKept bytes.
	firstRefused = 5
	longestKept  = 400
	// settleAfter is how long, by the times of the lines, a format may hold a failed login back.
	settleAfter = 2 * time.Second
)

// log is one file of lines.
type log struct {
	file   *file
	zone   *time.Location
	before time.Time // the reference for stamps without a year
	hosts  []string  // that the first lines name
	unsure bool      // the head is syslog, and no line of a known server was among the first
	reader *format.Reader
	export *journal.Export // the file was written by journalctl; nil: it holds lines
	host   string
	sum    LogSummary

	queue   []tallyman.Evidence
	at      int
	last    time.Time // of what was told
	settled time.Time
	ended   bool
	err     error
}

// openLog finds out which format the first lines have.
func openLog(cfg Config, f *file, head []byte) (*log, error) {
	l := &log{file: f, zone: cfg.Zone, before: cfg.Before, sum: LogSummary{Name: f.name, Format: cfg.Format}}
	if l.before.IsZero() {
		l.before = f.written
	}
	if l.before.IsZero() {
		l.before = cfg.Now
	}
	if cfg.Format == "" && journal.IsExport(head) {
		l.sum.Format, l.unsure = journalFormat, true
		l.lookExport(head)
		l.export = journal.NewExport(f.r)
		return l, nil
	}
	lines := strings.SplitAfter(string(head), "\n")
	if len(head) == headBytes {
		lines = lines[:len(lines)-1] // the last one may be half a line
	}
	clock := line.Clock{Now: l.before, Zone: l.zone}
	headed, full := l.look(lines, clock)
	if cfg.Format != "" {
		return l, nil
	}
	name, ok := format.Detect(lines, clock)
	switch {
	case ok:
		l.sum.Format = name
	case full > 0 && 2*headed >= full:
		l.sum.Format, l.unsure = format.Syslog, true
	default:
		return nil, unknown(f.name, "it is no capture, and its first lines have no format that is known")
	}
	return l, nil
}

// journalFormat is how a summary calls what journalctl wrote.
const journalFormat = "journal"

// lookExport notes the hosts that the first entries of servers name.
func (l *log) lookExport(head []byte) {
	for x := journal.NewExport(bufio.NewReader(bytes.NewReader(head))); ; {
		entries, err := x.Next()
		if err != nil && !errors.Is(err, journal.ErrEntry) {
			return
		}
		for _, e := range entries {
			if format.Known(e.Ident) && e.Host != "" && !slices.Contains(l.hosts, e.Host) {
				l.hosts = append(l.hosts, e.Host)
			}
		}
	}
}

// unknown is the error of a log that no format reads.
func unknown(name, why string) error {
	return fmt.Errorf("%s: %s.\nKnown formats: %s.\nIf it is a log of one of these, say so with --format NAME", name, why, describe(format.Names()))
}

// look notes the hosts that lines of servers name, and counts lines with a head of syslog.
func (l *log) look(lines []string, c line.Clock) (headed, full int) {
	for _, raw := range lines {
		if strings.TrimSpace(raw) == "" {
			continue
		}
		full++
		h, _, ok := line.Parse(strings.TrimRight(raw, "\r\n"), c)
		if !ok {
			continue
		}
		headed++
		if h.Host != "" && format.Known(h.Ident) && !slices.Contains(l.hosts, h.Host) {
			l.hosts = append(l.hosts, h.Host)
		}
	}
	return headed, full
}

// begin makes the reader, once all that the files say about each other is known.
func (l *log) begin(cfg Config) {
	l.host = cfg.Host
	l.reader = format.NewReader(entry.Options{Zone: l.zone, Host: cfg.Host})
}

// next returns the next evidence.
func (l *log) next() (tallyman.Evidence, bool) {
	for l.at == len(l.queue) {
		if l.ended {
			return tallyman.Evidence{}, false
		}
		l.queue, l.at = l.queue[:0], 0
		l.read()
	}
	e := l.queue[l.at]
	l.queue[l.at] = tallyman.Evidence{}
	l.at++
	return e, true
}

// readLine reads one line.
func (l *log) readLine() error {
	raw, long, err := cutLine(l.file.r)
	if raw != "" || err == nil {
		l.sum.Lines++
		r := entry.Result{Outcome: entry.Refused, Why: "longer than 64 KiB"}
		if !long {
			l.queue, r = l.reader.Line(l.sum.Format, raw, l.before, l.queue)
		}
		l.note(raw, r)
	}
	return err
}

// readEntry reads one entry of a journal.
func (l *log) readEntry() error {
	entries, err := l.export.Next()
	if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	l.sum.Lines++
	if errors.Is(err, journal.ErrEntry) {
		l.note("", entry.Result{Outcome: entry.Refused, Why: err.Error()})
		return nil
	}
	for i := range entries {
		e := &entries[i]
		if g, ok := e.Suppressed(); ok {
			l.queue = append(l.queue, blind(l.host, g.From, g.To, g.Lost, g.Why))
			continue
		}
		m := logs.FromJournal(e)
		var r entry.Result
		l.queue, r = l.reader.Take(m, l.queue)
		l.note(m.Raw, r)
	}
	return err
}

// read reads what comes next.
func (l *log) read() {
	read := l.readLine
	if l.export != nil {
		read = l.readEntry
	}
	err := read()
	for i := range l.queue {
		if t := l.queue[i].Time; t.After(l.last) {
			l.last = t
		}
	}
	if err == nil {
		if l.last.Sub(l.settled) >= time.Second {
			l.settled = l.last
			l.queue = l.reader.Settle(l.last.Add(-settleAfter), l.queue)
		}
	} else {
		l.ended = true
		l.queue = l.reader.Settle(l.last.AddDate(100, 0, 0), l.queue)
		if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			l.err = fmt.Errorf("read %s behind line %d: %w: the file is cut or damaged", l.file.name, l.sum.Lines, err)
			l.queue = append(l.queue, blind(l.host, l.last, l.last, -1, l.err.Error()))
		}
	}
}

// blind tells that the log says nothing of a while.
func blind(host string, from, to time.Time, lost int64, why string) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Err, e.Moved = tallyman.KindGap, entry.Witness, host, why, lost
	e.Time, e.Began = to, from
	return e
}

func (l *log) note(raw string, r entry.Result) {
	switch r.Outcome {
	case entry.Told:
		l.sum.Told++
	case entry.Noted:
		l.sum.Noted++
	case entry.Refused:
		l.sum.Refused++
		if len(l.sum.First) < firstRefused {
			l.sum.First = append(l.sum.First, Refused{l.sum.Lines, r.Why, strings.Clone(raw[:min(len(raw), longestKept)])})
		}
	}
}

// failed is what was wrong with the log, once it was read.
func (l *log) failed() error {
	switch {
	case l.err != nil:
		return l.err
	case l.sum.Told > 0 || l.sum.Noted > 0 && !l.unsure:
		return nil
	case l.unsure:
		return unknown(l.file.name, "no line in it is of a server that is known")
	default:
		return fmt.Errorf("%s: none of its %s lines is of the format %s", l.file.name, tallyman.Count(l.sum.Lines), l.sum.Format)
	}
}

// cutLine reads a line without its newline. What is too long is skipped, and its beginning returned.
func cutLine(r *bufio.Reader) (text string, long bool, err error) {
	b, err := r.ReadSlice('\n')
	if err == nil {
		b = b[:len(b)-1]
	}
	text, long = string(b[:min(len(b), longestLine)]), len(b) > longestLine
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = r.ReadSlice('\n')
	}
	return text, long, err
}
