package host

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"tallyman"
	"tallyman/source/files/host/engine"
	"tallyman/source/files/host/index"
	"tallyman/source/files/who"
)

// Witness is the name that evidence of the file system is signed with, Proto the protocol of what happens on this machine.
const (
	Witness = "files"
	Proto   = "local"
)

// details are the facts of one deed, in the order of their keys: canonical JSON.
type details struct {
	Cmdline   string   `json:"cmdline,omitempty"`
	Comm      string   `json:"comm,omitempty"`
	Container string   `json:"container,omitempty"`
	Exe       string   `json:"exe,omitempty"`
	Found     string   `json:"found,omitempty"` // rescan, look; absent: the kernel told it
	Gone      bool     `json:"gone,omitempty"`
	Login     *int64   `json:"login_uid,omitempty"`
	Mode      string   `json:"mode,omitempty"`
	Owner     string   `json:"owner,omitempty"` // uid:gid
	Parents   []string `json:"parents,omitempty"`
	Target    string   `json:"target,omitempty"`
	Type      string   `json:"type,omitempty"` // absent: a file
	UID       *int64   `json:"uid,omitempty"`
	Why       string   `json:"who_why,omitempty"`
}

// resolve makes evidence of what was seen.
func (w *Watcher) resolve(at time.Time) {
	for i := range w.seen {
		w.out = append(w.out, w.evidence(&w.seen[i], at))
	}
	clear(w.seen)
	w.seen = w.seen[:0]
}

func (w *Watcher) evidence(s *engine.Seen, at time.Time) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Reason, e.Op = tallyman.KindClosed, tallyman.ClosedWell, s.Op
	e.Host, e.Witness, e.Proto = w.cfg.Host, Witness, Proto
	e.Time, e.Began = s.At, s.At
	e.Path, e.From, e.Size = s.Path, s.From, s.Facts.Size
	e.File = strconv.FormatUint(s.Object.FS, 16) + ":" + strconv.FormatUint(s.Object.ID, 16)
	d := details{Gone: s.Gone}
	if s.Facts.Kind != index.File {
		d.Type = s.Facts.Kind.String()
	}
	switch s.How {
	case engine.Told:
	case engine.Looked:
		d.Found = "look"
	case engine.Found:
		d.Found = "rescan"
		if !s.Since.IsZero() && s.Since.Before(s.At) {
			e.Began = tallyman.Clean(s.Since)
		}
	}
	if s.Op == tallyman.OpAttrib {
		d.Mode, d.Owner = fmt.Sprintf("%04o", s.Facts.Mode), fmt.Sprintf("%d:%d", s.Facts.UID, s.Facts.GID)
	}
	if s.Op == tallyman.OpSymlink {
		if to, err := os.Readlink(s.Path); err == nil {
			d.Target = tallyman.Escape(to)
		}
	}
	switch {
	case s.How == engine.Found:
		d.Why = "it was found by comparing, nobody watched when it was done"
	case s.PID == 0:
		d.Why = "the process is outside of what this program can see (another pid namespace)"
	default:
		w.person(&e, &d, s.PID, at)
	}
	text, err := json.Marshal(&d)
	if err == nil && string(text) != "{}" {
		e.Details = string(text)
	}
	return e
}

func (w *Watcher) person(e *tallyman.Evidence, d *details, pid int32, at time.Time) {
	p := w.census.Of(pid, at)
	e.Proc, e.User = tallyman.Proc{PID: pid, Start: p.Start}, p.User
	d.Exe, d.Comm, d.Cmdline, d.Container, d.Why = tallyman.Escape(p.Exe), tallyman.Escape(p.Comm), tallyman.Escape(p.Cmdline), p.Container, p.Why
	if p.UID >= 0 {
		uid := p.UID
		d.UID = &uid
	}
	if p.Login >= 0 {
		login := p.Login
		d.Login = &login
	}
	for _, parent := range w.census.Parents(p, at) {
		d.Parents = append(d.Parents, called(parent))
	}
}

// called names a parent: its number and its program.
func called(p *who.Person) string {
	name := p.Exe
	if name == "" {
		name = p.Comm
	}
	return strconv.Itoa(int(p.PID)) + " " + tallyman.Escape(name)
}

// gap tells that nobody could see for a while.
func (w *Watcher) gap(from, to time.Time, lost int64, why string) {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Err, e.Moved = tallyman.KindGap, Witness, w.cfg.Host, why, lost
	e.Began, e.Time, e.Details = tallyman.Clean(from), to, `{"rescan":true}`
	if e.Began.IsZero() || e.Began.After(to) {
		e.Began = to
	}
	w.counts.Gaps++
	w.out = append(w.out, e)
	w.log.Warn("file events may be missing", "why", why, "from", e.Began)
}
