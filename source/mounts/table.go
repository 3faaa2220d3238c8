package mounts

import (
	"slices"
	"time"

	"tallyman/source/mounts/device"
	"tallyman/source/mounts/mountinfo"
)

// seen is a mount of the table.
type seen struct {
	line   mountinfo.Mount
	place  Place
	pulled bool // its device went while it was mounted; that has been told
}

// what happened to a mount between two looks.
type happening uint8

const (
	appeared happening = iota
	went
	moved
	remounted
)

// change is one thing that happened.
type change struct {
	what happening
	old  *seen // of all but appeared
	now  *seen // of all but went
}

// table is the state as of the last look.
type table struct{ all []*seen }

// update takes the lines of a new look and returns what happened in between: first what went, the innermost first, then the rest in the order of the table. An
// id that is used again for something else is one that went and one that appeared. Lines that did not change are not classed again.
func (t *table) update(lines []mountinfo.Mount, class func(m *mountinfo.Mount, before []*seen) *seen) (changes []change) {
	known := make(map[int]*seen, len(t.all))
	for _, s := range t.all {
		known[s.line.ID] = s
	}
	stay := make(map[*seen]bool, len(t.all))
	fresh := make([]*seen, 0, len(lines))
	var later []change
	for i := range lines {
		m := &lines[i]
		old := known[m.ID]
		switch {
		case old == nil || !old.line.Same(m) || stay[old]:
			s := class(m, fresh)
			fresh = append(fresh, s)
			later = append(later, change{appeared, nil, s})
			continue
		case old.line == *m:
			stay[old] = true
			fresh = append(fresh, old)
			continue
		}
		stay[old] = true
		s := *old
		s.line = *m
		s.place.Path, s.place.ReadOnly = m.Point, m.ReadOnly()
		fresh = append(fresh, &s)
		if old.line.Point != m.Point {
			later = append(later, change{moved, old, &s})
		}
		if old.place.ReadOnly != s.place.ReadOnly {
			later = append(later, change{remounted, old, &s})
		}
	}
	for _, old := range slices.Backward(t.all) {
		if !stay[old] {
			changes = append(changes, change{went, old, nil})
		}
	}
	t.all = fresh
	return append(changes, later...)
}

// places are the mounts for Places.
func (t *table) places() []Place {
	out := make([]Place, len(t.all))
	for i, s := range t.all {
		out[i] = s.place
	}
	return out
}

// see classes a new line.
func (w *Watcher) see(m *mountinfo.Mount, before []*seen, now time.Time) *seen {
	s := &seen{line: *m, place: placeOf(m)}
	d := w.classify(m, func(path string) (Place, bool) {
		var l longest
		for _, b := range before {
			l.try(path, &b.place)
		}
		for _, f := range w.folderPlaces() {
			l.try(path, &f)
		}
		return l.found(path)
	})
	if class, ok := w.cfg.Classes[m.Point]; ok {
		d.Class, d.Why = class, listed
		if d.Volume() == d.Bus+":" || d.Share == "" && class != device.Removable { // nothing else names it
			d.Share = m.Source
		}
	}
	s.place.set(d)
	s.place.Since, s.place.User = now, w.mountedBy(m)
	s.place.Quiet = quiet(m, d.Class)
	return s
}
