package engine

import (
	"tallyman"
	"tallyman/source/files/host/index"
)

// rename follows a name within what is watched, out of it, or into it.
func (m *Machine) rename(e *Event, out []Seen) []Seen {
	from, to := m.index.Object(e.From), m.index.Object(e.Folder)
	if from == 0 && to == 0 {
		return out
	}
	s := Seen{At: e.At, Op: tallyman.OpRename, PID: e.PID, Object: e.Object, From: e.Elsewhere, Path: e.Elsewhere}
	var id index.ID
	was := false
	if from != 0 {
		s.From = under(m.index.Path(from), e.FromName)
		id = m.index.Child(from, e.FromName)
		was = id != 0 || m.wanted(s.From)
		if id != 0 && m.index.Key(id) != e.Object { // another one has the name by now
			id = 0
		}
	}
	is := false
	if to != 0 {
		s.Path = under(m.index.Path(to), e.Name)
		is = m.wanted(s.Path)
	}
	if !was && !is {
		return out
	}
	m.Counts.Events++
	if k, ok := m.scanned[name{e.Folder, e.Name}]; ok && k == e.Object && is && m.index.Key(m.index.Child(to, e.Name)) == e.Object {
		return out // a scan has told of it
	}
	if u := m.uses[e.Object]; u != nil && u.created {
		out = m.tell(u, e.At, out)
	}
	if old := m.index.Child(to, e.Name); to != 0 && old != 0 && m.index.Key(old) != e.Object { // it is replaced
		m.loses(m.index.Key(old), name{e.Folder, e.Name}, e.PID)
		if u := m.uses[m.index.Key(old)]; u != nil {
			if u.created || u.modified {
				out = m.tell(u, e.At, out)
			}
			delete(m.uses, u.key)
		}
	}
	m.again(e)
	if id == 0 && is {
		if id = m.lost(e); id != 0 { // it may have that name too
			m.doubts[doubt{name{m.index.Key(m.index.Parent(id)), m.index.Name(id)}, e.PID}] = nil
		}
	}
	switch {
	case is && id != 0 && !m.index.Below(to, id):
		m.index.Move(id, to, e.Name)
		s.Facts = m.index.Facts(id)
	case is:
		out = m.enter(e, to, &s, out)
		return out
	case id != 0:
		s.Facts = m.index.Facts(id)
		m.index.Remove(id)
		delete(m.uses, e.Object)
	default:
		s.Facts = index.Facts{Size: -1}
		if e.Dir {
			s.Facts.Kind = index.Folder
		}
	}
	return append(out, s)
}

// lost finds an object under another name than the event says, if it has one name alone.
func (m *Machine) lost(e *Event) index.ID {
	id := m.index.Object(e.Object)
	if id == 0 || m.index.Dead(id) || m.index.Parent(id) == 0 || m.index.Facts(id).Kind == index.File && m.index.Facts(id).Links > 1 {
		return 0
	}
	return id
}

// enter takes up what came from elsewhere.
func (m *Machine) enter(e *Event, to index.ID, s *Seen, out []Seen) []Seen {
	f, ok := m.eyes.Object(e.Handle)
	if !ok {
		f = index.Facts{Size: -1}
		if e.Dir {
			f.Kind = index.Folder
		}
	}
	id := m.index.Put(to, e.Name, e.Object, f)
	s.Facts, s.Gone = f, !ok
	if !ok {
		m.index.Remove(id) // what was done in a folder meanwhile is still to come
		m.ghosts[e.Object] = ghost{name{e.Folder, e.Name}, e.PID, f}
		return append(out, *s)
	}
	m.index.Keep(id)
	if f.Kind == index.Folder {
		m.Learn(id)
	}
	return append(out, *s)
}

// again remembers that an object lost a name. What happens to its names after that, before the queue is empty, the kernel may have merged with what was
// before: they are looked at.
func (m *Machine) again(e *Event) {
	if _, ok := m.moved[e.Object]; ok {
		m.doubt(e)
	}
	lost := name{e.Folder, e.Name}
	if e.Deeds&Rename != 0 {
		lost = name{e.From, e.FromName}
	}
	m.loses(e.Object, lost, e.PID)
}

func (m *Machine) loses(k index.Key, lost name, pid int32) {
	if former, ok := m.moved[k]; ok {
		m.doubts[doubt{former, pid}] = nil
	}
	m.moved[k] = lost
}

func (m *Machine) doubt(e *Event) {
	m.doubts[doubt{name{e.Folder, e.Name}, e.PID}] = nil
	if e.Deeds&Rename != 0 {
		m.doubts[doubt{name{e.From, e.FromName}, e.PID}] = nil
	}
}
