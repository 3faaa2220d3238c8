package mounts

import (
	"strings"
	"time"

	"tallyman"
	"tallyman/details"
)

// How a mount is told to have come and gone.
const (
	isMounted   = "mounted"
	isUnmounted = "unmounted"
	wasThere    = "there when the watch began"
	wasGone     = "gone when the watch began again"
	wasPulled   = "pulled out while it was mounted"
)

// evidence makes one from a place. says stands first in its text.
func (w *Watcher) evidence(kind tallyman.Kind, p *Place, says string, at time.Time) tallyman.Evidence {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Host, e.Time = kind, "mounts", w.cfg.Host, tallyman.Clean(at)
	e.Path, e.Volume, e.User = p.Path, p.Volume, p.User
	e.Err = says + p.how()
	e.Details = facts(p)
	return e
}

// how says by what it is mounted.
func (p *Place) how() string {
	var b strings.Builder
	if p.Folder {
		b.WriteString(", " + p.Facts.Why)
		return b.String()
	}
	b.WriteString(", " + p.FS)
	if p.Source != "" && p.Source != p.FS && p.Source != "none" && p.Source != p.Facts.Share {
		b.WriteString(" of " + p.Source)
	}
	if p.ReadOnly {
		b.WriteString(", read-only")
	}
	return b.String()
}

// facts are the device fields, sorted by name.
func facts(p *Place) string {
	d := &p.Facts
	var b details.Builder
	b.Text("account", d.Account)
	b.Text("bus", d.Bus)
	b.Text("device", p.Device)
	b.Text("fs", p.FS)
	b.Text("label", d.Label)
	b.Text("model", d.Model)
	b.Text("provider", d.Provider)
	b.Flag("read_only", p.ReadOnly)
	b.Text("serial", d.Serial)
	b.Text("share", d.Share)
	b.Text("source", p.Source)
	b.Text("to_class", string(p.Class))
	b.Text("uuid", d.UUID)
	b.Text("vendor", d.Vendor)
	b.Text("why", d.Why)
	return b.String()
}

// tellChanges makes evidence of what happened.
func (w *Watcher) tellChanges(changes []change, at time.Time) {
	for _, c := range changes {
		s := c.now
		if s == nil {
			s = c.old
		}
		if s.place.Quiet || !w.cfg.tells(s.place.Class) {
			continue
		}
		switch c.what {
		case appeared:
			w.out = append(w.out, w.evidence(tallyman.KindMounted, &s.place, isMounted, at))
		case went:
			if !s.pulled { // that was its end
				w.out = append(w.out, w.evidence(tallyman.KindUnmounted, &s.place, isUnmounted, at))
			}
		case moved:
			w.out = append(w.out, w.evidence(tallyman.KindUnmounted, &c.old.place, "moved to "+s.place.Path, at))
			e := w.evidence(tallyman.KindMounted, &s.place, "moved from "+c.old.place.Path, at)
			e.From = c.old.place.Path
			w.out = append(w.out, e)
		case remounted:
			says := "remounted, it can be written now"
			if s.place.ReadOnly {
				says = "remounted"
			}
			w.out = append(w.out, w.evidence(tallyman.KindMounted, &s.place, says, at))
		}
	}
}
