// Package replay makes records of the past: captures and logs in, joined by time, records out.
//
//	captures ──▶ wire ──┐
//	log      ──▶ format ┼─ merged by time ──▶ join ──▶ held until settled ──▶ rule ──▶ records, findings
//	log      ──▶ format ┘
//
// It promises: the same files give the same records with the same UUIDs; a transfer is told when no more of it is to come; memory is bounded
// whatever the size of the files, by what happens within 80 s of their time and at the most by the bounds of hold, of the join (Config), of each format
// (entry.Memo), of wire (Bounds) and of the rules (Keys): 6 to 15 MB of live heap
// at 20 to 40 lines a second, 46 MB at 1,000 (doc/benchmarks.md); a file that is cut or damaged is read as far as it goes, and the rest is a gap and an error; lines that no format
// reads are counted, and the first ones are kept. It leaves to cmd/tallyman what is shown, and writes nothing.
package replay

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/join"
	"tallyman/rule"
	"tallyman/source/logs/journal"
	"tallyman/source/wire"
)

// Config is what is known of the files beside what they hold.
type Config struct {
	Format   string         // of the logs; "" = it is found out
	Zone     *time.Location // of stamps that name none
	Before   time.Time      // stamps without a year are of the newest year that is not after it; zero = near the captures, else before the file was last written
	Host     string         // where captures, and lines that do not say, come from; "" = the one host that the logs name
	Now      time.Time      // for what has neither year nor file time
	Progress func(done, total int64)
}

// Past is files that are open and not yet read.
type Past struct {
	cfg      Config
	files    []*file
	captures []*wire.File
	logs     []*log
	agent    tallyman.Agent
	hosts    []string // that the logs name
	counts   wire.Counts
	seq      uint64
	now      time.Time // the newest that was seen
	told     time.Time // when the join was last asked
}

// Open opens the files and finds out what they are. A dash is stdin.
func Open(cfg Config, paths []string, stdin io.Reader) (*Past, error) {
	p := &Past{cfg: cfg}
	if err := p.open(paths, stdin); err != nil {
		p.Close()
		return nil, err
	}
	sum := sha256.New()
	for _, f := range p.files {
		fmt.Fprintf(sum, "%s\x00%d\x00", filepath.Base(f.name), f.size)
	}
	copy(p.agent[:], sum.Sum(nil))
	return p, nil
}

func (p *Past) open(paths []string, stdin io.Reader) error {
	for _, path := range paths {
		f, err := openFile(path, stdin)
		if err != nil {
			return err
		}
		p.files = append(p.files, f)
		if err := p.recognise(f); err != nil {
			return err
		}
	}
	p.readTogether()
	return nil
}

// recognise finds out what a file is.
func (p *Past) recognise(f *file) error {
	head := f.peek(headBytes)
	switch {
	case f.bad != nil && len(head) == 0:
		return fmt.Errorf("read %s: %w", f.name, f.bad)
	case len(head) == 0:
		return fmt.Errorf("%s is empty: there is nothing to replay", f.name)
	case isCapture(head):
		c, err := wire.OpenFile(f.name, f.r)
		if err != nil {
			return fmt.Errorf("%w: is the capture cut? capinfos %s says more", err, f.name)
		}
		p.captures = append(p.captures, c)
		return nil
	}
	if what, do := strange(head); what != "" && p.cfg.Format == "" && !journal.IsExport(head) {
		return fmt.Errorf("%s is %s: %s", f.name, what, do)
	}
	l, err := openLog(p.cfg, f, head)
	if err != nil {
		return err
	}
	p.logs = append(p.logs, l)
	return nil
}

// readTogether settles what the files can say about each other: the year of stamps that have none, the host where packets were captured.
func (p *Past) readTogether() {
	var began time.Time
	for _, c := range p.captures {
		if at, ok := c.Begins(); ok && (began.IsZero() || at.Before(began)) {
			began = at
		}
	}
	for _, l := range p.logs {
		for _, h := range l.hosts {
			if !slices.Contains(p.hosts, h) {
				p.hosts = append(p.hosts, h)
			}
		}
		if !began.IsZero() && p.cfg.Before.IsZero() {
			l.before = began.AddDate(0, 6, 0) // the nearest year
		}
	}
	if p.cfg.Host == "" && len(p.hosts) == 1 {
		p.cfg.Host = p.hosts[0]
	}
	for _, l := range p.logs {
		l.begin(p.cfg)
	}
}

// Strangers names the hosts of the logs when packets cannot be given to one of them.
func (p *Past) Strangers() []string {
	if p.cfg.Host == "" && len(p.hosts) > 1 && len(p.captures) > 0 {
		return p.hosts
	}
	return nil
}

// Close closes the files.
func (p *Past) Close() {
	for _, f := range p.files {
		f.close()
	}
}

// Tell takes a record. was is the verdict of a former revision that was told already, NoVerdict if there was none.
type Tell func(r tallyman.Record, was tallyman.Verdict) error

// most is how much evidence is joined before the join is asked what changed, at the most.
const most = 256

// Run reads the files to their end and tells the records, events at once, transfers as they settle. The error is of files that could not be read to their
// end, or what tell returned.
func (p *Past) Run(ctx context.Context, tell Tell) error {
	p.countBytes()
	streams, wireErr, stop := p.streams(ctx)
	defer stop()
	cfg := join.Defaults()
	j, h := join.New(cfg), newHold(rule.New(rule.Defaults()), tell)
	for n := 1; ctx.Err() == nil; n++ {
		e, ok := earliest(streams)
		if !ok {
			break
		}
		p.stamp(&e)
		if n%most == 0 || p.now.Sub(p.told) >= time.Second { // as the pipe does, and before time goes on
			p.told = p.now
			if err := h.take(j.Changed(), p.now); err != nil {
				return err
			}
			j.Advance(p.now)
		}
		j.Add(e)
	}
	if err := ctx.Err(); err != nil {
		return errors.New("stopped before the end: what is told is of the part that was read")
	}
	if err := h.take(j.Changed(), p.now); err != nil {
		return err
	}
	if err := h.end(); err != nil {
		return err
	}
	errs := []error{*wireErr}
	for _, l := range p.logs {
		errs = append(errs, l.failed())
	}
	return errors.Join(errs...)
}

// stamp gives evidence its place, and the time at which it would have been seen.
func (p *Past) stamp(e *tallyman.Evidence) {
	p.seq++
	if e.Time.After(p.now) {
		p.now = e.Time
	}
	e.Seen = p.now
	e.ID = tallyman.ID{Agent: p.agent, Epoch: 1, Seq: p.seq}
}

// countBytes tells the progress, by what was read from the disk.
func (p *Past) countBytes() {
	if p.cfg.Progress == nil {
		return
	}
	var done, total int64
	for _, f := range p.files {
		total += f.size
		if f.size == 0 {
			total = -1 << 62 // a pipe: nobody knows
		}
		done += f.done
	}
	for _, f := range p.files {
		f.told = func(n int) {
			done += int64(n)
			p.cfg.Progress(done, max(total, 0))
		}
	}
}

// Summary says what the files held.
type Summary struct {
	Packets   uint64
	Malformed uint64
	Captures  int
	Logs      []LogSummary
}

// LogSummary says what became of the lines of one log.
type LogSummary struct {
	Name, Format                string
	Lines, Told, Noted, Refused int64
	First                       []Refused
}

// Refused is a line that no format could read.
type Refused struct {
	Line int64
	Why  string
	Raw  string
}

// Summary is asked after Run.
func (p *Past) Summary() Summary {
	s := Summary{Packets: p.counts.Frames.Frames, Malformed: p.counts.Frames.Malformed, Captures: len(p.captures)}
	for _, l := range p.logs {
		s.Logs = append(s.Logs, l.sum)
	}
	return s
}

// describe lists words for a person.
func describe(words []string) string { return strings.Join(words, ", ") }
