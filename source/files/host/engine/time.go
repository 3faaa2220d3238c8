package engine

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tallyman"
	"tallyman/source/files/host/index"
)

// Tick tells of what has waited long enough. It reports whether more waits.
func (m *Machine) Tick(at time.Time, out []Seen) (_ []Seen, waits bool) {
	before := len(out)
	for k, u := range m.uses {
		switch idle := !u.created && !u.modified && !u.attrib; {
		case m.index.Key(u.id) != u.key: // its name was buried
			delete(m.uses, k)
		case idle && at.Sub(u.last) > mostPatience:
			delete(m.uses, k)
		case idle:
		case at.Sub(u.last) >= rest && at.Sub(u.told) >= u.pause() || !u.first.IsZero() && at.Sub(u.first) >= u.wait:
			if !u.told.IsZero() {
				u.wait = min(2*u.wait, mostPatience)
			}
			out = m.tell(u, at, out)
			u.first = time.Time{}
		default:
			waits = true
			if u.first.IsZero() {
				u.first = u.last
			}
		}
	}
	m.Counts.Seen += int64(len(out) - before)
	return out, waits || len(m.doubts) > 0
}

// pause is how long a file that was told of and stays open is left alone.
func (u *use) pause() time.Duration {
	if u.told.IsZero() {
		return 0
	}
	return u.wait
}

// Drained says that the queue was empty at a moment after the last event was taken. Names of which the kernel may have merged events away are looked
// at; what still is not as the index says when the queue is empty again has no event to come.
func (m *Machine) Drained(at time.Time, out []Seen) []Seen {
	before := len(out)
	for _, d := range slices.SortedFunc(maps.Keys(m.doubts), order) {
		first := m.doubts[d]
		folder := m.index.Object(d.folder)
		if folder == 0 || m.index.Dead(folder) {
			delete(m.doubts, d)
			continue
		}
		path := under(m.index.Path(folder), d.name.name)
		k, f, ok := m.eyes.Name(path)
		id := m.index.Child(folder, d.name.name)
		switch right := ok && id != 0 && m.index.Key(id) == k || !ok && id == 0; {
		case right || ok && !m.wanted(path):
			delete(m.doubts, d)
		case first == nil || first.ok != ok || first.key != k:
			m.doubts[d] = &sight{k, ok}
		default:
			delete(m.doubts, d)
			out = m.correct(d, at, k, f, ok, out)
		}
	}
	for k, g := range m.ghosts {
		if folder := m.index.Object(g.folder); folder != 0 {
			out = append(out, Seen{At: at, How: Looked, Op: tallyman.OpDelete, PID: g.pid, Path: under(m.index.Path(folder), g.name.name), Object: k, Facts: g.facts})
		}
	}
	clear(m.ghosts)
	m.Counts.Settled += int64(len(out) - before)
	m.Counts.Seen += int64(len(out) - before)
	clear(m.moved)
	clear(m.scanned)
	m.index.Bury()
	return out
}

func order(a, b doubt) int {
	return cmp.Or(
		cmp.Compare(a.folder.FS, b.folder.FS), cmp.Compare(a.folder.ID, b.folder.ID), strings.Compare(a.name.name, b.name.name), cmp.Compare(a.pid, b.pid),
	)
}

// Full says that much is kept for a queue that does not run empty.
func (m *Machine) Full() bool { return m.index.Graves() > gravesKept }

// Forget drops what was kept for events that may still come.
func (m *Machine) Forget() { m.index.Bury() }

// correct brings the index to what stands at a name.
func (m *Machine) correct(d doubt, at time.Time, k index.Key, f index.Facts, ok bool, out []Seen) []Seen {
	folder := m.index.Object(d.folder)
	s := Seen{At: at, How: Looked, PID: d.pid, Object: k, Facts: f, Path: under(m.index.Path(folder), d.name.name)}
	id := m.index.Child(folder, d.name.name)
	if !ok {
		s.Op, s.Object, s.Facts = tallyman.OpDelete, m.index.Key(id), m.index.Facts(id)
		if u := m.uses[s.Object]; u != nil && u.id == id {
			delete(m.uses, s.Object)
		}
		if m.elsewhere(id) {
			return out // its new name is doubted too, and tells of the rename
		}
		m.index.Remove(id)
		return append(out, s)
	}
	if other := m.index.Object(k); other != 0 && !m.index.Dead(other) && m.index.Parent(other) != 0 && !m.index.Below(folder, other) {
		if old, _, there := m.eyes.Name(m.index.Path(other)); !there || old != k {
			s.Op, s.From = tallyman.OpRename, m.index.Path(other)
			m.index.Move(other, folder, d.name.name)
			return append(out, s)
		}
		s.Op, s.From = tallyman.OpLink, m.index.Path(other)
	} else {
		s.Op = tallyman.OpCreate
	}
	id = m.index.Put(folder, d.name.name, k, f)
	m.index.Keep(id)
	if f.Kind == index.Folder {
		m.Learn(id)
	}
	return append(out, s)
}

// elsewhere reports whether one of the doubted names holds the object now.
func (m *Machine) elsewhere(id index.ID) bool {
	for d, first := range m.doubts {
		if first != nil && first.ok && first.key == m.index.Key(id) {
			folder := m.index.Object(d.folder)
			if folder != 0 && m.index.Child(folder, d.name.name) != id {
				return true
			}
		}
	}
	return false
}
