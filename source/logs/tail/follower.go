package tail

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// Batch is what one file gave. Lines are without newlines, and belong to the caller.
type Batch struct {
	Lines []string
	Gaps  []string   // why something is missing before these lines
	After []Position // what to keep once these lines are safe
}

const (
	// chunk is how much is read at once; a batch holds the lines of one.
	chunk = 256 << 10
	// LongestLine bounds a line: what is longer is delivered cut, and the rest of it is skipped.
	LongestLine = 64 << 10
	// mostOld bounds the old files that are still read; the oldest is given up first, which is a gap if it had grown.
	mostOld = 16
	// mostSeen bounds the rotated files that are remembered as read.
	mostSeen = 4096
	// linger is how long an old file is kept open after its last byte: programs write to it until they are told of the rotation.
	linger = time.Minute
)

// Follower follows one name. It belongs to one goroutine and starts none.
type Follower struct {
	path    string
	old     []*open // renamed files, the oldest first
	now     *open   // the file that has the name; nil if there is none
	seen    map[file]mark
	lastMod time.Time // when the newest of what was read was written
	resume  []Position
	resumed bool
	away    bool // nothing has been read since the restart
	fresh   bool // without a kept position: begin at the end
	gaps    []string
	buf     []byte
}

// open is a file that is being read.
type open struct {
	file *os.File
	info os.FileInfo // when it was opened
	Position
	skip bool      // in the middle of a line that was too long
	idle time.Time // since when an old file has given nothing
}

// file names a file, mark a state of it.
type (
	file struct{ dev, ino uint64 }
	mark struct {
		at   time.Time
		size int64
	}
)

// New follows the file of this name from the positions that were kept; without any, from its end, or from its start with all.
func New(path string, kept []Position, all bool) *Follower {
	return &Follower{path: path, resume: kept, fresh: len(kept) == 0 && !all, seen: map[file]mark{}, buf: make([]byte, chunk)}
}

// Positions is what to keep once all that was delivered is safe.
func (f *Follower) Positions() []Position {
	var out []Position
	for _, o := range f.old {
		out = append(out, o.Position)
	}
	if f.now != nil {
		out = append(out, f.now.Position)
	}
	if !f.resumed {
		return f.resume
	}
	return out
}

// after is Positions with another place in one file.
func (f *Follower) after(o *open, p Position) []Position {
	kept := o.Position
	o.Position = p
	out := f.Positions()
	o.Position = kept
	return out
}

// Close lets the files go.
func (f *Follower) Close() {
	for _, o := range f.old {
		_ = o.file.Close()
	}
	if f.now != nil {
		_ = f.now.file.Close()
	}
	f.old, f.now = nil, nil
}

// Poll delivers what has been written since, and reports whether there was any. An error of deliver ends it: what it refused comes again.
func (f *Follower) Poll(now time.Time, deliver func(Batch) error) (some bool, err error) {
	if !f.resumed {
		if err := f.find(); err != nil {
			return false, err
		}
	}
	if err := f.look(now); err != nil {
		return false, err
	}
	f.fresh = false
	for _, o := range f.old {
		more, err := f.drain(o, deliver)
		some = some || more
		if err != nil {
			return some, err
		}
		if more || o.idle.IsZero() {
			o.idle = now
		}
	}
	if f.now != nil {
		more, err := f.drain(f.now, deliver)
		some = some || more
		if err != nil {
			return some, err
		}
	}
	f.away = false
	if err := f.tell(deliver); err != nil {
		return some, err
	}
	return some, f.retire(now, deliver)
}

// tell delivers gaps that stand alone.
func (f *Follower) tell(deliver func(Batch) error) error {
	if len(f.gaps) == 0 {
		return nil
	}
	err := deliver(Batch{Gaps: f.gaps, After: f.Positions()})
	if err == nil {
		f.gaps = nil
	}
	return err
}

// look finds out whether the name stands for another file now.
func (f *Follower) look(now time.Time) error {
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if f.now != nil {
			f.retireNow(now)
		}
		return nil
	case err != nil:
		return fmt.Errorf("look for log file: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file", f.path)
	}
	if f.now != nil {
		if dev, ino := identity(info); dev == f.now.Dev && ino == f.now.Ino {
			return nil
		}
		f.retireNow(now)
	}
	if err := f.openNow(); err != nil {
		return err
	}
	f.unread(now)
	return nil
}

// unread takes up files beside ours that were written after what we have read: it was rotated more than once since the last look. A file that begins as
// ours does is a copy of it, which truncated reads.
func (f *Follower) unread(now time.Time) {
	var found []*open
	for _, o := range f.siblings() {
		state := mark{o.info.ModTime(), o.info.Size()}
		id := file{o.Dev, o.Ino}
		old, known := f.seen[id]
		switch {
		case f.reads(o) || f.isCopy(o):
			_ = o.file.Close()
			continue
		case known && old == state, state.at.Before(f.lastMod), f.lastMod.IsZero():
			f.seen[id] = state
			_ = o.file.Close()
			continue
		}
		f.seen[id] = state
		o.idle = now
		found = append(found, o)
	}
	slices.Reverse(found)
	f.old = append(f.old, found...)
}

// isCopy reports a file that holds what one that is open holds, or held when we read it; perhaps it is being made just now.
func (f *Follower) isCopy(o *open) bool {
	like := func(p *open) bool {
		return p.beginsLike(o) || p.HeadLen > 0 && p.holds(o.file) // in this order: a copy is whole before its original is truncated
	}
	return f.now != nil && like(f.now) || slices.ContainsFunc(f.old, like)
}

func (f *Follower) retireNow(now time.Time) {
	f.now.idle = now
	f.old = append(f.old, f.now)
	f.now = nil
}

// openNow opens the file that has the name; it may be gone again.
func (f *Follower) openNow() error {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open log file: %w", err)
	}
	o, err := describe(file)
	if err != nil {
		return err
	}
	if f.fresh {
		o.Offset = lastLine(file, o.info.Size())
		var head [headMost]byte
		got, _ := file.ReadAt(head[:], 0)
		o.note(head[:got])
	}
	f.now = o
	return nil
}

// modified is when the file was written to.
func modified(file *os.File) time.Time {
	info, err := file.Stat()
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// lastLine is where the unfinished line at the end of a file begins.
func lastLine(file *os.File, size int64) int64 {
	var buf [4096]byte
	for end := size; end > 0; {
		n := min(end, int64(len(buf)))
		m, err := file.ReadAt(buf[:n], end-n)
		if err != nil && int64(m) < n {
			return size
		}
		if i := bytes.LastIndexByte(buf[:m], '\n'); i >= 0 {
			return end - n + int64(i) + 1
		}
		end -= n
	}
	return 0
}

// note takes the first bytes into the position, as far as they lie before the offset.
func (o *open) note(head []byte) {
	if n := min(o.Offset, int64(len(head))); n > o.HeadLen {
		o.HeadLen, o.Head = n, sum(head[:n])
	}
}

// drain delivers what one file holds beyond its position.
func (f *Follower) drain(o *open, deliver func(Batch) error) (some bool, err error) {
	for {
		written := modified(o.file)
		if !o.holds(o.file) {
			if err := f.truncated(o, deliver); err != nil {
				return some, err
			}
		}
		var head [headMost]byte
		got, _ := o.file.ReadAt(head[:], 0)
		n, err := o.file.ReadAt(f.buf, o.Offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return some, fmt.Errorf("read log file: %w", err)
		}
		if !o.holds(o.file) { // it was truncated while we read: what we have may be of both
			continue
		}
		if written.After(f.lastMod) {
			f.lastMod = written
		}
		if n == 0 {
			return some, nil
		}
		if o.Offset == 0 { // nothing tells yet which content the first bytes were of
			got = copy(head[:], f.buf[:n])
		}
		next := *o
		lines := next.cut(f.buf[:n])
		if len(lines) == 0 && next.Offset == o.Offset {
			return some, nil
		}
		next.note(head[:got])
		next.Mod = written.UnixNano()
		if len(lines)+len(f.gaps) > 0 {
			if err := deliver(Batch{Lines: lines, Gaps: f.gaps, After: f.after(o, next.Position)}); err != nil {
				return some, err
			}
			f.gaps = nil
			some = true
		}
		*o = next
	}
}

// cut splits whole lines off and moves the position behind them.
func (o *open) cut(b []byte) (lines []string) {
	for len(b) > 0 {
		i := bytes.IndexByte(b, '\n')
		switch {
		case i < 0 && len(b) <= LongestLine && !o.skip:
			return lines
		case i < 0:
			if !o.skip {
				lines = append(lines, string(b[:LongestLine]))
			}
			o.skip = true
			o.Offset += int64(len(b))
			return lines
		case o.skip:
			o.skip = false
		case i > LongestLine:
			lines = append(lines, string(b[:LongestLine]))
		default:
			lines = append(lines, string(b[:i]))
		}
		o.Offset += int64(i) + 1
		b = b[i+1:]
	}
	return lines
}

// truncated: the content that the position speaks of is gone from this file. What had not been read stands in a copy, if one was made.
func (f *Follower) truncated(o *open, deliver func(Batch) error) error {
	before := o.Position
	copyOf := f.sibling(func(c *open) bool { return before.HeadLen > 0 && before.holds(c.file) })
	o.Offset, o.HeadLen, o.Head, o.skip = 0, 0, 0, false
	if copyOf == nil {
		if before.Offset > 0 {
			f.gaps = append(f.gaps, f.path+" was truncated, and no copy of it was found: lines may be lost")
		}
		return nil
	}
	copyOf.Offset, copyOf.HeadLen, copyOf.Head, copyOf.Mod = before.Offset, before.HeadLen, before.Head, before.Mod
	f.old = append(f.old, copyOf) // it is known as read, also after a restart
	if _, err := f.drain(copyOf, deliver); err != nil {
		return err
	}
	if err := f.lastPart(copyOf, deliver); err != nil {
		return err
	}
	if !f.away {
		return nil
	}
	known := len(f.old)
	f.unread(o.idle)
	for i := known; i < len(f.old); i++ { // copied and truncated more than once while nobody looked
		if _, err := f.drain(f.old[i], deliver); err != nil {
			return err
		}
	}
	return nil
}

// lastPart delivers a last line that has no newline, of a file that nobody writes to any more.
func (f *Follower) lastPart(o *open, deliver func(Batch) error) error {
	n, err := o.file.ReadAt(f.buf[:LongestLine], o.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the end of %s: %w", o.file.Name(), err)
	}
	if n == 0 || o.skip {
		return nil
	}
	next := o.Position
	next.Offset += int64(n)
	if err := deliver(Batch{Lines: []string{string(f.buf[:n])}, After: f.after(o, next)}); err != nil {
		return err
	}
	o.Position = next
	return nil
}

// retire lets old files go that nobody has written to for a while, and the oldest if there are too many.
func (f *Follower) retire(now time.Time, deliver func(Batch) error) error {
	for len(f.old) > 0 {
		o := f.old[0]
		if now.Sub(o.idle) < linger && len(f.old) <= mostOld {
			return nil
		}
		if err := f.lastPart(o, deliver); err != nil {
			return err
		}
		f.forget(o)
		f.old = slices.Delete(f.old, 0, 1)
	}
	return nil
}

// forget closes a file that has been read to its end, and remembers that it was.
func (f *Follower) forget(o *open) {
	if info, err := o.file.Stat(); err == nil {
		f.seen[file{o.Dev, o.Ino}] = mark{info.ModTime(), info.Size()}
	}
	_ = o.file.Close()
	if len(f.seen) > mostSeen {
		clear(f.seen)
	}
}
