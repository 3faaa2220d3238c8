package engine

import (
	"time"

	"tallyman"
	"tallyman/source/files/host/index"
)

// Learn takes up all below a folder without telling of it.
func (m *Machine) Learn(folder index.ID) { m.scan(folder, &scan{quiet: true}) }

// scan is one look at all below a folder.
type scan struct {
	quiet     bool
	at, since time.Time
	out       []Seen
	fresh     []fresh // names of files whose object has another name in the index: renames or links
	unread    []error
}

type fresh struct {
	parent index.ID
	entry  Entry
}

// Scan compares all below an anchor with what is known, and tells the differences. What could not be read is left as it was.
func (m *Machine) Scan(anchor index.ID, since, at time.Time, out []Seen) (_ []Seen, unread []error) {
	before := len(out)
	s := &scan{at: at, since: since, out: out}
	m.index.Scan()
	m.index.See(anchor)
	m.scan(anchor, s)
	m.renamed(s)
	m.missing(anchor, s)
	m.Counts.Seen += int64(len(s.out) - before)
	return s.out, s.unread
}

func (m *Machine) scan(folder index.ID, s *scan) {
	path := m.index.Path(folder)
	list, err := m.eyes.List(path)
	if err != nil {
		s.unread = append(s.unread, err)
		m.seeAll(folder)
		return
	}
	for i := range list {
		e := &list[i]
		at := under(path, e.Name)
		if !m.wanted(at) {
			continue
		}
		id := m.index.Child(folder, e.Name)
		switch {
		case e.Over:
			if id != 0 {
				m.index.See(id)
				m.seeAll(id)
			}
			continue
		case s.quiet:
			m.index.Keep(m.index.Put(folder, e.Name, e.Key, e.Facts))
		case id != 0 && m.index.Key(id) == e.Key:
			m.index.See(id)
			m.compare(id, e, s)
		default:
			m.arrived(folder, e, s)
		}
		if id = m.index.Child(folder, e.Name); e.Facts.Kind == index.Folder && id != 0 && m.index.Key(id) == e.Key {
			m.scan(id, s)
		}
	}
}

// arrived takes a name that was not there, or named something else.
func (m *Machine) arrived(folder index.ID, e *Entry, s *scan) {
	other := m.index.Object(e.Key)
	known := other != 0 && !m.index.Dead(other) && m.index.Parent(other) != 0
	switch {
	case known && e.Facts.Kind == index.Folder && !m.index.Below(folder, other):
		was := m.index.Path(other)
		m.index.Move(other, folder, e.Name)
		m.index.See(other)
		m.found(s, tallyman.OpRename, other, was)
		m.keep(other, e.Facts, true)
	case known && e.Facts.Kind != index.Folder:
		s.fresh = append(s.fresh, fresh{folder, *e})
	default:
		if old := m.index.Child(folder, e.Name); old != 0 && m.index.Facts(old).Kind != index.Folder {
			m.gone(old, s)
		}
		m.add(folder, e, "", tallyman.OpCreate, s)
	}
}

func (m *Machine) add(folder index.ID, e *Entry, from string, op tallyman.Op, s *scan) {
	id := m.index.Put(folder, e.Name, e.Key, e.Facts)
	m.index.Keep(id)
	m.index.See(id)
	if op == tallyman.OpCreate && e.Facts.Kind == index.Symlink {
		op = tallyman.OpSymlink
	}
	m.found(s, op, id, from)
}

// renamed tells of files that have another name: their old one is gone, or they have both.
func (m *Machine) renamed(s *scan) {
	for _, f := range s.fresh {
		other := m.index.Object(f.entry.Key)
		if other == 0 || m.index.Dead(other) {
			m.add(f.parent, &f.entry, "", tallyman.OpCreate, s)
			continue
		}
		was := m.index.Path(other)
		if m.index.Seen(other) {
			m.add(f.parent, &f.entry, was, tallyman.OpLink, s)
			continue
		}
		if old := m.index.Child(f.parent, f.entry.Name); old != 0 && m.index.Key(old) != f.entry.Key {
			m.index.Remove(old)
		}
		m.index.Move(other, f.parent, f.entry.Name)
		m.index.See(other)
		m.found(s, tallyman.OpRename, other, was)
		m.compare(other, &f.entry, s)
	}
}

// compare tells of an object that changed.
func (m *Machine) compare(id index.ID, e *Entry, s *scan) {
	was := m.index.Facts(id)
	if was == e.Facts {
		return
	}
	op := tallyman.NoOp
	switch {
	case e.Facts.Kind == index.File && !was.SameContent(e.Facts):
		op = tallyman.OpModify
	case !was.SameRights(e.Facts):
		op = tallyman.OpAttrib
	}
	m.index.Set(id, e.Facts)
	m.index.Keep(id)
	if op != tallyman.NoOp {
		m.found(s, op, id, "")
	}
	if u := m.uses[e.Key]; u != nil { // told with this
		u.created, u.modified, u.attrib = false, false, false
	}
}

// missing tells of what was there and is not.
func (m *Machine) missing(folder index.ID, s *scan) {
	var lost []index.ID
	m.index.Children(folder, func(id index.ID) {
		switch {
		case !m.index.Seen(id):
			lost = append(lost, id)
		case m.index.Facts(id).Kind == index.Folder:
			m.missing(id, s)
		}
	})
	for _, id := range lost {
		m.gone(id, s)
	}
}

// gone tells of an entry that is not there any more, and of all below it first.
func (m *Machine) gone(id index.ID, s *scan) {
	var below []index.ID
	m.index.Children(id, func(c index.ID) { below = append(below, c) })
	for _, c := range below {
		m.gone(c, s)
	}
	delete(m.uses, m.index.Key(id))
	m.found(s, tallyman.OpDelete, id, "")
	m.scanned[name{m.index.Key(m.index.Parent(id)), m.index.Name(id)}] = index.Key{}
	m.index.Remove(id)
}

func (m *Machine) found(s *scan, op tallyman.Op, id index.ID, from string) {
	m.scanned[name{m.index.Key(m.index.Parent(id)), m.index.Name(id)}] = m.index.Key(id)
	s.out = append(s.out, Seen{
		At: s.at, Since: s.since, How: Found, Op: op, Path: m.index.Path(id), From: from, Object: m.index.Key(id), Facts: m.index.Facts(id),
	})
}

// seeAll leaves all below a folder as it was.
func (m *Machine) seeAll(folder index.ID) {
	m.index.Children(folder, func(id index.ID) {
		m.index.See(id)
		m.seeAll(id)
	})
}
