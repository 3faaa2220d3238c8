// Package xferlog writes what our own servers did as lines of other servers, for fail2ban, statistics and scripts that read those:
//
//	Xferlog  xferlog(5), as wu-ftpd, vsftpd and ProFTPD write it: transfers and deletes
//	CLF      the common log format, as pure-ftpd writes it: transfers
//	Vsftpd   the log of vsftpd: logins, failed logins, transfers; the filter vsftpd of fail2ban reads it
//
// It promises:
//   - A line is one transfer whose verdict is known; a name from the network is one word in it and cannot break it.
//   - Only what is complete is written as a success: c, 200, OK. What was cut or is unproven is i, 426, FAIL.
//   - A line stands once: a record that is judged anew gets no second line while 4,096 younger ones have not come between. After a crash the
//     newest lines may stand twice.
//   - What is unproven waits 5 seconds for its proof: an upload is recorded before its client has acknowledged the reply. A kill may cost the lines
//     that wait.
//   - A file that somebody moved away is made anew before the next line, and one that was truncated goes on at its new end.
//   - A write that fails is counted and comes again.
//
// Refused transfers, probes and listings have no line: those servers write none. It leaves rotation to logrotate, pace and retries to the pipe.
package xferlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"tallyman"
)

// Format is whose lines are written.
type Format uint8

// The formats.
const (
	Xferlog Format = iota
	CLF
	Vsftpd
)

// Config is one file.
type Config struct {
	File   string         // where lines go; the folder must exist
	Format Format         //
	Zone   *time.Location // of the times in the lines; nil = that of the machine, as those servers do
}

// Sink is an open file. Its methods may be called by many goroutines.
type Sink struct {
	cfg Config

	mu     sync.Mutex
	file   *os.File
	buf    []byte
	recent map[tallyman.UUID]bool
	ring   [4096]tallyman.UUID // those in recent, the oldest at next
	next   int
	// held is what is unproven, at most 4,096 lines: more are written at once, as failures.
	held  map[tallyman.UUID]line
	timer *time.Timer

	lines, failed int64
}

// line is one without its end, and when it is written if no proof comes.
type line struct {
	text string
	due  time.Time
}

const hold = 5 * time.Second

// Open opens the file for appending, or makes it with mode 0640.
func Open(cfg Config) (*Sink, error) {
	if cfg.File == "" {
		return nil, errors.New("open log of transfers: no file is named")
	}
	if cfg.Zone == nil {
		cfg.Zone = time.Local
	}
	s := &Sink{cfg: cfg, recent: map[tallyman.UUID]bool{}, held: map[tallyman.UUID]line{}}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens, or makes, the file that has the name. After an error the old one stays.
func (s *Sink) open() error {
	f, err := os.OpenFile(s.cfg.File, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("open log of transfers: %w", err)
	}
	if s.file != nil {
		_ = s.file.Close()
	}
	s.file = f
	return nil
}

// Reopen lets the file go and opens, or makes, the one that has the name now.
func (s *Sink) Reopen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open()
}

// Close writes what waits for its proof, and ends the writing.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Stop()
	}
	late := map[tallyman.UUID]string{}
	for id, l := range s.held {
		late[id] = l.text
	}
	return errors.Join(s.write(late, slices.SortedFunc(maps.Keys(late), tallyman.UUID.Compare)), s.file.Close())
}

// Counts returns the lines written and the writes that failed since the start.
func (s *Sink) Counts() (lines, failed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines, s.failed
}

// Write appends a line for each record of the batch that has one. After an error none of them is in the file.
func (s *Sink) Write(_ context.Context, b tallyman.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := map[tallyman.UUID]string{}
	var order []tallyman.UUID
	for _, r := range b.Records {
		id, text := s.line(r)
		_, twice := texts[id]
		switch {
		case text == "" || s.recent[id]:
			continue
		case unproven(r) && len(s.held) < len(s.ring):
			if _, waits := s.held[id]; !waits && !twice {
				s.held[id] = line{text, time.Now().Add(hold)}
			}
			continue
		case !twice:
			order = append(order, id)
		}
		texts[id] = text
		if l, waits := s.held[id]; waits { // a write that fails must not leave the older text behind
			s.held[id] = line{text, l.due}
		}
	}
	s.arm()
	return s.write(texts, order)
}

// arm sets the timer to the first line that is due.
func (s *Sink) arm() {
	if s.timer != nil {
		s.timer.Stop()
	}
	var first time.Time
	for _, l := range s.held {
		if first.IsZero() || l.due.Before(first) {
			first = l.due
		}
	}
	if !first.IsZero() {
		s.timer = time.AfterFunc(max(time.Until(first), hold/50), s.flush)
	}
}

// flush writes what waited long enough. What the disk does not take is due again.
func (s *Sink) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts, now := map[tallyman.UUID]string{}, time.Now()
	for id, l := range s.held {
		if !l.due.After(now) {
			texts[id] = l.text
		}
	}
	if s.write(texts, slices.SortedFunc(maps.Keys(texts), tallyman.UUID.Compare)) != nil {
		for id, text := range texts {
			s.held[id] = line{text, now.Add(hold)}
		}
	}
	s.arm()
}

// write appends the lines in their order, and remembers whose they are.
func (s *Sink) write(texts map[tallyman.UUID]string, order []tallyman.UUID) error {
	if len(order) == 0 {
		return nil
	}
	s.buf = append(s.buf[:0], '\n') // ends a torn line, if there is one
	for _, id := range order {
		s.buf = append(append(s.buf, texts[id]...), '\n')
	}
	if err := s.append(); err != nil {
		s.failed++
		return err
	}
	s.lines += int64(len(order))
	for _, id := range order {
		delete(s.held, id)
		delete(s.recent, s.ring[s.next])
		s.ring[s.next], s.recent[id] = id, true
		s.next = (s.next + 1) % len(s.ring)
	}
	return nil
}

func unproven(r tallyman.Record) bool {
	t, ok := r.(*tallyman.Transfer)
	return ok && t.Judgement.Verdict == tallyman.Unproven
}

func (s *Sink) line(r tallyman.Record) (id tallyman.UUID, text string) {
	switch r := r.(type) {
	case *tallyman.Transfer:
		if !ended(r) {
			return r.ID, ""
		}
		switch s.cfg.Format {
		case Xferlog:
			return r.ID, xferlogLine(r, s.cfg.Zone)
		case CLF:
			return r.ID, clfLine(r, s.cfg.Zone)
		case Vsftpd:
			return r.ID, vsftpdLine(r, s.cfg.Zone)
		}
	case *tallyman.Event:
		if s.cfg.Format == Vsftpd && r.Witness == "server" {
			return r.ID, vsftpdLogin(r, s.cfg.Zone)
		}
	}
	return id, ""
}

// append writes the lines at the end of the file that has the name, in one write(2).
func (s *Sink) append() error {
	if err := s.follow(); err != nil {
		return err
	}
	st, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.cfg.File, err)
	}
	lines, last := s.buf[1:], [1]byte{'\n'}
	if st.Mode().IsRegular() && st.Size() > 0 {
		if _, err := s.file.ReadAt(last[:], st.Size()-1); err == nil && last[0] != '\n' {
			lines = s.buf
		}
	}
	n, err := s.file.Write(lines)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("append to %s: %w", s.cfg.File, err)
	if now, look := s.file.Stat(); n > 0 && look == nil && now.Size() == st.Size()+int64(n) { // nobody has written behind it
		err = errors.Join(err, s.file.Truncate(st.Size()))
	}
	return err
}

// follow turns to a new file when the name is free or belongs to another file: logrotate has moved ours away.
func (s *Sink) follow() error {
	ours, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.cfg.File, err)
	}
	named, err := os.Stat(s.cfg.File)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.open()
	case err != nil:
		return fmt.Errorf("look at %s: %w", s.cfg.File, err)
	case !os.SameFile(ours, named):
		return s.open()
	}
	return nil
}
