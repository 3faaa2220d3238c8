package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tallyman"
	"tallyman/cmd/tallyman/replay"
	"tallyman/cmd/tallyman/terminal"
	"tallyman/query"
	"tallyman/source/logs/format"
	"tallyman/witness"
)

// replayFlags are what replay lets one choose.
type replayFlags struct {
	format, zone, year, host, query string
	evidence, why                   bool
}

func (p *program) replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use: "replay FILE...", Short: "records from captures and logs of the past", Args: cobra.MinimumNArgs(1),
		Long: `Reads captures (pcap, pcapng) and logs of TFTP, FTP and SFTP servers, and what journalctl -o json or -o export
wrote, all also packed by gzip, and says what became of each transfer. Several
files are joined by time: a log line and the packets of the same transfer are one record. Nothing is stored, no server is needed, and
- reads from standard input. Transfers are shown once they have settled, events and findings at once; --json shows network sessions too.

Exit code: 0 fine, 1 a file could not be read to its end, 2 usage, 3 a rule found something.
Formats of logs: ` + strings.Join(format.Names(), ", ") + ".\n\n" + queryHelp,
		Example: `  tallyman replay lab.pcap
  tallyman replay ring.pcap0 ring.pcap1.gz syslog --json
  tallyman replay vsftpd.log.2.gz --format vsftpd --zone Europe/Rome
  journalctl -o export --all -t in.tftpd -t vsftpd | tallyman replay - lab.pcap
  tallyman replay old.log --year 2005
  tallyman replay lab.pcap --query 'verdict:failed file:*.cfg' --why
  tcpdump -w - -i eth0 'udp or port 21' | tallyman replay -`,
		RunE: func(cmd *cobra.Command, args []string) error { return p.replay(cmd.Context(), args, &f) },
	}
	c.Flags().BoolVar(&p.json, "json", false, "write one JSON record a line, events, gaps and findings too")
	c.Flags().BoolVar(&f.evidence, "evidence", false, "show the evidence of each transfer, one lane per witness; with --json as a list")
	c.Flags().BoolVar(&f.why, "why", false, "say below each transfer why it has its verdict")
	c.Flags().StringVar(&f.format, "format", "", "`name` of the logs' format, when it is not found out")
	c.Flags().StringVar(&f.zone, "zone", "", "time `zone` of stamps that name none: Europe/Rome, UTC, +02:00 (default: local time)")
	c.Flags().StringVar(&f.year, "year", "", "`year` of stamps that have none, or the day at which a log ends: 2005, 2005-08-14 (default: near the captures, else before the file was written)")
	c.Flags().StringVar(&f.host, "host", "", "`name` of the host of captures, and of lines that do not say (default: the one that the logs name)")
	c.Flags().StringVar(&f.query, "query", "", "show the transfers and events that fit the `query`; gaps and findings always")
	return c
}

// config reads the flags.
func (f *replayFlags) config() (cfg replay.Config, where tallyman.Expr, err error) {
	cfg = replay.Config{Format: f.format, Host: f.host, Now: time.Now(), Zone: time.Local}
	known := format.Names()
	if f.format != "" && !slices.Contains(known, f.format) {
		return cfg, nil, usage("--format %s: the formats are %s", tallyman.Escape(f.format), strings.Join(known, ", "))
	}
	if f.zone != "" {
		if cfg.Zone, err = zone(f.zone); err != nil {
			return cfg, nil, err
		}
	}
	if f.year != "" {
		if cfg.Before, err = endOf(f.year, cfg.Zone); err != nil {
			return cfg, nil, err
		}
	}
	where, err = query.Parse(f.query, cfg.Now)
	if wrong, ok := errors.AsType[*query.Error](err); ok {
		return cfg, nil, usage("%s\n%s", wrong.Says, wrong.Caret())
	}
	return cfg, where, err
}

// zone reads the name of a time zone, or its distance from UTC.
func zone(text string) (*time.Location, error) {
	for _, form := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(form, text); err == nil {
			return t.Location(), nil
		}
	}
	z, err := time.LoadLocation(text)
	if err != nil {
		return nil, usage("--zone %s: write a name such as Europe/Rome, UTC, or a distance such as +02:00", tallyman.Escape(text))
	}
	return z, nil
}

// endOf is the moment that no stamp of a log is later than by more than a day: a stamp without a year is of the newest year for which that holds.
func endOf(text string, z *time.Location) (time.Time, error) {
	if t, err := time.ParseInLocation("2006-01-02", text, z); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("2006", text, z)
	if err != nil {
		return t, usage("--year %s: write a year such as 2005, or the day at which the log ends, 2005-08-14", tallyman.Escape(text))
	}
	return t.AddDate(1, 0, -1).Add(-time.Second), nil
}

func (p *program) replay(ctx context.Context, paths []string, f *replayFlags) error {
	cfg, where, err := f.config()
	if err != nil {
		return err
	}
	s := p.newShow(f, where)
	if terminal.IsTerminal(p.stderr) {
		s.bar = terminal.Progress(p.stderr, "replay")
		cfg.Progress = s.bar
	}
	past, err := replay.Open(cfg, paths, p.stdin)
	if err != nil {
		return err
	}
	defer past.Close()
	failed := past.Run(ctx, s.tell)
	s.clear()
	if err := s.sum(past); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return failed
	case s.findings > 0:
		return &coded{exitFound, errors.New("")}
	}
	return nil
}

// show prints records as they come, and counts them.
type show struct {
	p       *program
	f       *replayFlags
	where   tallyman.Expr
	out     *bufio.Writer
	screen  terminal.Screen
	person  bool // somebody reads along
	bar     func(done, total int64)
	headed  bool
	gaps    int
	lost    int64
	verdict map[tallyman.Verdict]int
	event   map[string]int
	found   map[string]int

	findings int
}

func (p *program) newShow(f *replayFlags, where tallyman.Expr) *show {
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	return &show{
		p: p, f: f, where: where, out: out, screen: terminal.Screen{Writer: out, Colour: terminal.On(p.stdout).Colour}, person: terminal.IsTerminal(p.stdout),
		verdict: map[tallyman.Verdict]int{}, event: map[string]int{}, found: map[string]int{},
	}
}

// clear takes the bar off the screen.
func (s *show) clear() {
	if s.bar != nil {
		fmt.Fprint(s.p.stderr, "\r\x1b[K")
	}
}

// tell counts a record and prints it.
func (s *show) tell(r tallyman.Record, was tallyman.Verdict) error {
	shown := query.MatchRecord(s.where, r)
	switch r := r.(type) {
	case *tallyman.Transfer:
		if !shown {
			return nil
		}
		if was != tallyman.NoVerdict {
			s.verdict[was]--
		}
		if r.Merged.IsZero() {
			s.verdict[r.Judgement.Verdict]++
		} else if !s.p.json {
			return nil
		}
	case *tallyman.Event:
		if shown {
			s.event[r.Kind]++
		}
		bare := r.Kind == tallyman.KindFlow.String() && !strings.HasPrefix(r.Text, string(tallyman.Bounce)+":")
		shown = shown && (s.p.json || !bare || s.f.query != "") // there are many: whoever asks for them gets them
	case *tallyman.Gap:
		s.gaps++
		s.lost += max(r.Lost, 0)
		shown = true
	case *tallyman.Finding:
		s.findings++
		s.found[r.Rule]++
		shown = true
	}
	if !shown {
		return nil
	}
	if err := s.print(r); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if s.person {
		s.clear()
		return s.out.Flush()
	}
	return nil
}

func (s *show) print(r tallyman.Record) error {
	if s.p.json {
		if t, ok := r.(*tallyman.Transfer); ok && !s.f.evidence {
			bare := *t
			bare.Evidence = nil
			r = &bare
		}
		return jsonTo(s.out, r)
	}
	if !s.headed {
		s.headed = true
		s.row("START", fmt.Sprintf("%-15s", "VERDICT"), "REASON", "OP", "CLIENT", "BYTES", "TOOK", "FILE")
	}
	word := func(w string) string { return fmt.Sprintf("%-15s", w) }
	switch r := r.(type) {
	case *tallyman.Transfer:
		s.row(terminal.Local(r.Start), s.screen.Judged(r.Judgement, 15), terminal.Reason(r), r.Op.String(), terminal.Client(r),
			terminal.Amount(r.Bytes), terminal.Took(r), r.File())
		s.below(r)
	case *tallyman.Event:
		client := "-"
		if r.Client.IsValid() {
			client = r.Client.Addr().String()
		}
		s.row(terminal.Local(r.At), word(r.Kind), r.Witness, "", client, "", "", r.Says())
	case *tallyman.Gap:
		s.row(terminal.Local(r.To), word("gap"), r.Witness, "", "-", "", "", r.Says())
	case *tallyman.Finding:
		s.row(terminal.Local(r.At), word("finding"), r.Rule, "", "", "", "", r.Severity.String()+": "+tallyman.Escape(r.Why))
	}
	return nil
}

// row prints one line. Rows are printed as they come, so the columns are as wide as they usually are.
func (s *show) row(at, verdict, reason, op, client, bytes, took, file string) {
	fmt.Fprintf(s.out, "%-19s  %s  %-20s  %-6s  %-15s  %12s  %9s  %s\n", at, verdict, reason, op, client, bytes, took, file)
}

// below prints why, or the evidence, under the row of a transfer.
func (s *show) below(t *tallyman.Transfer) {
	switch {
	case s.f.why:
		fmt.Fprintln(s.out)
		s.screen.Why(&terminal.Told{Transfer: t, Sentence: t.Sentence(), Missing: t.Missing(), Lanes: witness.Lanes(t, &witness.Watch{})})
		fmt.Fprintln(s.out)
	case s.f.evidence:
		s.screen.Timeline(t, t.Missing())
		fmt.Fprintln(s.out)
	}
}
