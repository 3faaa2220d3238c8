package logs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tallyman"
	"tallyman/source/logs/devlog"
	"tallyman/source/logs/format"
	"tallyman/source/logs/format/entry"
	"tallyman/source/logs/format/line"
	"tallyman/source/logs/journal"
)

// mostHeld bounds the evidence of a socket that cannot be stored: what comes then is counted and becomes a gap. Journals and files are read again.
const mostHeld = 16384

// input is one log: what was read of it, until it is stored.
type input struct {
	s        *Source
	name     string
	volatile bool // what was read cannot be read again
	to       tallyman.Recorder

	mu     sync.Mutex
	reader *format.Reader
	loc    *time.Location
	batch  []tallyman.Evidence
	lost   tallyman.Evidence // a gap of what was not held; Moved counts
}

func (s *Source) open(name string, volatile bool, to tallyman.Recorder) *input {
	return &input{
		s: s, name: name, volatile: volatile, to: to, loc: s.cfg.Zone,
		reader: format.NewReader(entry.Options{Zone: s.cfg.Zone, Host: s.cfg.Host}),
	}
}

// zone changes the local time of the stamps, before the first line.
func (in *input) zone(z *time.Location) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.loc != z {
		in.loc = z
		in.reader = format.NewReader(entry.Options{Zone: z, Host: in.s.cfg.Host})
	}
}

func (in *input) clock() line.Clock { return line.Clock{Now: in.s.cfg.Clock(), Zone: in.loc} }

// entry reads one message whose boundary is certain.
func (in *input) entry(e *entry.Entry) {
	in.mu.Lock()
	defer in.mu.Unlock()
	before := len(in.batch)
	var r entry.Result
	in.batch, r = in.reader.Take(e, in.batch)
	in.note(e.Time, e.Raw, r)
	in.bound(before)
}

// line reads one line of a text file.
func (in *input) line(name, raw string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var r entry.Result
	now := in.s.cfg.Clock()
	if name == "" {
		name = format.Syslog
	}
	in.batch, r = in.reader.Line(name, raw, now, in.batch)
	in.note(now, raw, r)
}

// bound keeps what a socket gave, and cannot be stored, within its limit.
func (in *input) bound(before int) {
	if !in.volatile || len(in.batch) <= mostHeld {
		return
	}
	if in.lost.Kind == tallyman.NoKind {
		in.lost = in.gapOf(in.batch[before].Time, in.batch[before].Time, 0, "evidence could not be stored")
	}
	in.lost.Moved += int64(len(in.batch) - before)
	in.lost.Time = in.batch[len(in.batch)-1].Time
	in.batch = in.batch[:before]
}

// note counts a line, and keeps it if it was refused.
func (in *input) note(at time.Time, raw string, r entry.Result) {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	in.s.counts[Count{in.name, r.Why, r.Outcome}]++
	if r.Outcome != entry.Refused {
		return
	}
	if len(in.s.refused) >= mostRefused {
		copy(in.s.refused, in.s.refused[1:])
		in.s.refused = in.s.refused[:mostRefused-1]
	}
	in.s.refused = append(in.s.refused, RefusedLine{tallyman.Clean(at), in.name, r.Why, strings.Clone(raw[:min(len(raw), longestRefused)])})
}

func (in *input) refuse(at time.Time, why, raw string) {
	in.note(at, raw, entry.Result{Outcome: entry.Refused, Why: why})
}

// gap tells that something could not be seen.
func (in *input) gap(from, to time.Time, lost int64, why string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.batch = append(in.batch, in.gapOf(from, to, lost, why))
}

func (in *input) gapOf(from, to time.Time, lost int64, why string) tallyman.Evidence {
	v := tallyman.Unknown()
	v.Kind, v.Witness, v.Host = tallyman.KindGap, entry.Witness, in.s.cfg.Host
	v.Began, v.Time, v.Moved = tallyman.Clean(from), tallyman.Clean(to), lost
	if v.Time.IsZero() {
		v.Time = tallyman.Clean(in.s.cfg.Clock())
	}
	if v.Began.IsZero() {
		v.Began = v.Time
	}
	v.Err = in.name + ": " + why
	return v
}

// commitTime is how long storing may take when the program is to end.
const commitTime = 30 * time.Second

// commit stores what was read, then keeps the place. A nil place is kept nowhere.
func (in *input) commit(place any) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.batch = in.reader.Settle(in.s.cfg.Clock().Add(-settleAfter), in.batch)
	if err := in.store(); err != nil {
		return err
	}
	if place == nil {
		return nil
	}
	return in.save(place)
}

// store hands the batch over. What a journal or a file gave is forgotten after an error: it is read again.
func (in *input) store() error {
	if in.lost.Kind != tallyman.NoKind {
		in.batch = append(in.batch, in.lost)
	}
	if len(in.batch) == 0 {
		return nil
	}
	// The evidence was seen: that the program is to end does not change that.
	ctx, stop := context.WithTimeout(context.Background(), commitTime)
	defer stop()
	err := in.to.Commit(ctx, in.batch...)
	if in.lost.Kind != tallyman.NoKind {
		in.batch = in.batch[:len(in.batch)-1]
	}
	if err != nil {
		if !in.volatile {
			in.batch = in.batch[:0]
		}
		return fmt.Errorf("store evidence of %s: %w", in.name, err)
	}
	in.lost = tallyman.Evidence{}
	clear(in.batch)
	in.batch = in.batch[:0]
	return nil
}

// keepSettling tells failed logins for which no further line comes.
func (in *input) keepSettling(ctx context.Context) {
	ticker := time.NewTicker(settleAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := in.commit(nil); err != nil {
				in.s.cfg.Log.Warn("evidence of a log waits", "input", in.name, "error", err)
			}
		}
	}
}

// startAgain forgets what was read and not stored, before it is read again.
func (in *input) startAgain() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.volatile {
		in.batch = in.batch[:0]
	}
}

// finish stores all that is held back.
func (in *input) finish() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.batch = in.reader.Settle(in.s.cfg.Clock().Add(settleAfter), in.batch)
	return in.store()
}

// placeFile is where the place of this input is kept.
func (in *input) placeFile() string {
	name := url.PathEscape(in.name)
	if len(name) > 200 {
		h := fnv.New64a()
		_, _ = h.Write([]byte(in.name))
		name = fmt.Sprintf("%s-%016x", name[:180], h.Sum64())
	}
	return filepath.Join(in.s.folder(), name+".json")
}

// load reads the place; a file that is damaged is an error, not a fresh start: lines would be lost or come twice.
func (in *input) load(place any) error {
	b, err := os.ReadFile(in.placeFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(b, place)
	}
	if err != nil {
		return fmt.Errorf("read the place in %s from %s: %w: remove the file to begin at the end of the log", in.name, in.placeFile(), err)
	}
	return nil
}

// save keeps the place: a new file takes the name of the old one when it is on the disk.
func (in *input) save(place any) error {
	b, err := json.Marshal(place)
	if err != nil {
		return fmt.Errorf("keep the place in %s: %w", in.name, err)
	}
	name := in.placeFile()
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep the place in %s: %w", in.name, err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("keep the place in %s: %w", in.name, err)
	}
	return nil
}

// FromJournal makes an entry of a journal entry. What the program sent stands in Raw where journald has changed it: it cuts white space off the end, and
// a file name may end in some.
func FromJournal(j *journal.Entry) *entry.Entry {
	e := &entry.Entry{
		Time: j.Time, Host: j.Host, Ident: j.Ident, PID: j.PID, Tag: j.Tag, Message: j.Message, Raw: j.Raw, Certain: true,
	}
	if j.Raw != "" {
		_, message, ok := line.Datagram(j.Raw, line.Clock{Now: j.Time, Zone: time.UTC})
		if ok && strings.TrimSpace(message) == strings.TrimSpace(j.Message) {
			e.Message = message
		}
		return e
	}
	e.Raw = j.Ident + ": " + j.Message
	if j.Tag != "" {
		e.Raw = j.Ident + "[" + j.Tag + "]: " + j.Message
	}
	return e
}

// fromDatagram makes an entry of what came by a socket. The time is that of the arrival: the stamp has no year, no zone and no fraction.
func fromDatagram(d *devlog.Datagram, c line.Clock) (*entry.Entry, bool) {
	h, message, ok := line.Datagram(d.Text, c)
	if !ok {
		return nil, false
	}
	e := &entry.Entry{
		Time: d.At, Ident: h.Ident, PID: d.PID, Tag: h.Tag, Note: h.Note, Message: message, Raw: d.Text, Certain: !d.Cut,
	}
	if e.PID == 0 {
		e.PID = h.PID()
	}
	return e, true
}

// head reads the first lines of a file.
func head(r io.Reader) (lines []string, err error) {
	b := bufio.NewReader(io.LimitReader(r, 64<<10))
	for {
		s, err := b.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return lines, nil // what is unfinished may be half a line
		}
		if err != nil {
			return lines, err
		}
		lines = append(lines, s)
	}
}
