package engine

import (
	"time"

	"tallyman"
	"tallyman/source/files/host/index"
)

const (
	// rest is how long nothing may be written before a file that stays open is told of.
	rest = time.Second
	// patience is how long one that is written all the time waits at first; each time it is told of it waits twice as long, up to mostPatience.
	patience     = 10 * time.Second
	mostPatience = 10 * time.Minute
	// usesKept bounds the files of which it is remembered that they are written, about 300 bytes each. When there are more, all are told of at once.
	usesKept = 16384
	// gravesKept bounds what is kept of folders that are gone while the queue never runs empty.
	gravesKept = 65536
)

// Machine is the state of all that is watched. It belongs to one goroutine, as its index does.
type Machine struct {
	index   *index.Index
	eyes    Eyes
	wanted  func(path string) bool
	uses    map[index.Key]*use
	moved   map[index.Key]name // the names that objects lost last since the queue was empty
	doubts  map[doubt]*sight
	scanned map[name]index.Key  // what a scan told of, of which events may still be in the queue; a zero key: it is gone
	ghosts  map[index.Key]ghost // renamed when they were gone already: their end is still to come, or was merged with something older
	Counts  Counts
}

type ghost struct {
	name
	pid   int32
	facts index.Facts
}

// Counts is what a Machine has counted.
type Counts struct {
	Events  int64 // of what is watched
	Seen    int64 // things that happened
	Settled int64 // of these, known by looking because events were merged
}

type use struct {
	handle                    string
	id                        index.ID
	key                       index.Key
	maker, writer             int32
	created, modified, attrib bool
	first, last, told         time.Time
	wait                      time.Duration
}

type name struct {
	folder index.Key
	name   string
}

// doubt is a name that may not be what the index says.
type doubt struct {
	name
	pid int32
}

// sight is what stood at a name when it was first looked at.
type sight struct {
	key index.Key
	ok  bool
}

// New returns a Machine over what is known. wanted says of a path in a watched folder whether it is watched; whether its folder is, is asked before.
func New(x *index.Index, eyes Eyes, wanted func(path string) bool) *Machine {
	return &Machine{
		index: x, eyes: eyes, wanted: wanted, uses: map[index.Key]*use{}, moved: map[index.Key]name{}, doubts: map[doubt]*sight{}, scanned: map[name]index.Key{}, ghosts: map[index.Key]ghost{},
	}
}

// Knows reports whether a folder is watched.
func (m *Machine) Knows(folder index.Key) bool { return m.index.Object(folder) != 0 }

// Writer returns the process that is known to write an object, 0 if none is.
func (m *Machine) Writer(k index.Key) int32 {
	if u := m.uses[k]; u != nil {
		return u.writer
	}
	return 0
}

// Take takes one event.
func (m *Machine) Take(e *Event, out []Seen) []Seen {
	before := len(out)
	if len(m.scanned) > 0 && e.Deeds&(Create|Delete|Rename) != 0 { // it may tell of what is past
		m.doubt(e)
	}
	if e.Deeds&Rename != 0 {
		out = m.rename(e, out)
	} else {
		out = m.deed(e, out)
	}
	m.Counts.Seen += int64(len(out) - before)
	return out
}

func (m *Machine) deed(e *Event, out []Seen) []Seen {
	folder := m.index.Object(e.Folder)
	if folder == 0 {
		return out
	}
	if e.Dir && e.Name == "." { // the folder itself
		if e.Deeds&Attrib == 0 || m.index.Dead(folder) {
			return out
		}
		m.Counts.Events++
		return m.attrib(e, folder, out)
	}
	id := m.index.Child(folder, e.Name)
	if id == 0 && !m.wanted(under(m.index.Path(folder), e.Name)) {
		return out
	}
	m.Counts.Events++
	known := id != 0 && m.index.Key(id) == e.Object
	if e.Deeds&(Create|Delete) == Create|Delete && known { // it went and came, or came, was told by a scan, and went
		m.doubt(e)
		k, _, there := m.eyes.Name(under(m.index.Path(folder), e.Name))
		if out = m.deleted(e, folder, out); there && k == e.Object {
			out = m.created(e, folder, out)
		}
		return out
	}
	if e.Deeds&Create != 0 && known { // a scan has told of it; or it is a link that came after the name was given up, merged with an older event
		m.doubt(e)
		e.Deeds &^= Create
	}
	if e.Deeds&Create != 0 {
		n := len(out)
		if out = m.created(e, folder, out); len(out) > n && out[len(out)-1].Gone { // all that was done to it is told with that
			e.Deeds &= Delete
		}
	}
	if e.Deeds&(Modify|Close|Attrib) != 0 && !e.Dir {
		out = m.written(e, folder, out)
	}
	if e.Dir && e.Deeds&Attrib != 0 && known {
		out = m.attrib(e, id, out)
	}
	if e.Deeds&Delete != 0 {
		delete(m.ghosts, e.Object)
		m.again(e)
		out = m.deleted(e, folder, out)
	}
	return out
}

// fromScan reports whether a scan has told that the entry has its name.
func (m *Machine) fromScan(id index.ID) bool {
	k, ok := m.scanned[name{m.index.Key(m.index.Parent(id)), m.index.Name(id)}]
	return ok && k == m.index.Key(id)
}

// created tells of a name that is new.
func (m *Machine) created(e *Event, folder index.ID, out []Seen) []Seen {
	f, ok := m.eyes.Object(e.Handle)
	if !ok {
		f = index.Facts{Size: -1}
		if e.Dir {
			f.Kind = index.Folder
		}
	}
	s := Seen{At: e.At, Op: tallyman.OpCreate, PID: e.PID, Object: e.Object, Facts: f, Gone: !ok}
	other := m.index.Object(e.Object)
	if other != 0 && ok && f.Links == 1 && m.fromScan(other) { // a name that it had before the scan: the scan told of the one it has
		return out
	}
	id := m.index.Put(folder, e.Name, e.Object, f)
	s.Path = m.index.Path(id)
	if ok && f.Links > 1 { // the name may be given up and taken again while the event waits
		m.doubt(e)
	}
	switch {
	case f.Kind == index.Symlink:
		s.Op = tallyman.OpSymlink
	case other != 0 && other != id && f.Kind != index.Folder: // dead or not: the kernel may have told of its end before
		if u := m.uses[e.Object]; u != nil { // first what it is a link to
			out = m.tell(u, e.At, out)
		}
		s.Op, s.From = tallyman.OpLink, m.index.Path(other)
	case f.Kind != index.File || !ok:
	case f.Links > 1 && e.Deeds&(Modify|Close) == 0 && e.At.UnixNano()-f.Mtime > int64(rest): // of a file that lies elsewhere
		s.Op = tallyman.OpLink
	case e.Deeds&Close == 0 && e.Deeds&Delete == 0:
		u := m.use(e, id)
		u.created, u.maker = true, e.PID
		return m.crowded(e.At, out)
	case e.Deeds&Close != 0:
		u := m.use(e, id)
		u.created, u.maker = true, e.PID
		return out // written tells of it
	}
	m.index.Keep(id)
	return append(out, s)
}

// use remembers that an object is written.
func (m *Machine) use(e *Event, id index.ID) *use {
	u := m.uses[e.Object]
	if u == nil {
		u = &use{handle: e.Handle, key: e.Object, first: e.At, wait: patience}
		m.uses[e.Object] = u
	}
	u.id, u.writer, u.last = id, e.PID, e.At
	return u
}

// crowded tells of all files that are written, when there are too many to remember.
func (m *Machine) crowded(at time.Time, out []Seen) []Seen {
	if len(m.uses) < usesKept {
		return out
	}
	for k, u := range m.uses {
		out = m.tell(u, at, out)
		delete(m.uses, k)
	}
	return out
}

// written takes the signs that an object was changed.
func (m *Machine) written(e *Event, folder index.ID, out []Seen) []Seen {
	id := m.index.Child(folder, e.Name)
	if id == 0 || m.index.Key(id) != e.Object {
		if id = m.index.Object(e.Object); id == 0 || m.index.Dead(id) { // the name has gone to another object meanwhile, or nobody told of it
			if e.Deeds&Delete != 0 {
				return out
			}
			if id = m.adopt(e, folder); id == 0 {
				return out
			}
		}
	}
	if m.index.Facts(id).Kind != index.File {
		return m.attrib(e, id, out)
	}
	u := m.use(e, id)
	u.modified = u.modified || e.Deeds&Modify != 0
	u.attrib = u.attrib || e.Deeds&Attrib != 0
	switch {
	case e.Deeds&Close != 0:
		out = m.tell(u, e.At, out)
		delete(m.uses, e.Object)
	case e.Deeds&Modify == 0 && !u.created && !u.modified: // rights alone: nothing else comes
		out = m.tell(u, e.At, out)
		delete(m.uses, e.Object)
	default:
		out = m.crowded(e.At, out)
	}
	return out
}

// adopt takes up a name that was not known, if it is there: it is not told as new, nobody saw it come.
func (m *Machine) adopt(e *Event, folder index.ID) index.ID {
	if m.index.Dead(folder) {
		return 0
	}
	k, f, ok := m.eyes.Name(under(m.index.Path(folder), e.Name))
	if !ok || k != e.Object {
		return 0
	}
	f.Size, f.Mtime = -1, 0 // unlike anything, so that the change is seen
	return m.index.Put(folder, e.Name, k, f)
}

// tell looks at what was written, and tells what is different.
func (m *Machine) tell(u *use, at time.Time, out []Seen) []Seen {
	if m.index.Key(u.id) != u.key { // its name was buried
		return out
	}
	f, ok := m.eyes.Object(u.handle)
	was := m.index.Facts(u.id)
	s := Seen{At: at, Object: u.key, Facts: f, Gone: !ok, Path: m.index.Path(u.id), PID: u.writer}
	if !ok {
		s.Facts = index.Facts{Kind: was.Kind, Size: -1}
	}
	switch {
	case !ok && was.Size < 0: // it was gone when it was told of
		return out
	case u.created:
		s.Op, s.PID = tallyman.OpCreate, u.maker
	case ok && !u.attrib && !was.SameContent(f), ok && was.Size != f.Size, u.modified && !m.sameAsScan(u, f):
		s.Op = tallyman.OpModify
	case ok && u.attrib && (!was.SameRights(f) || was.Mtime != f.Mtime):
		s.Op = tallyman.OpAttrib
	default:
		m.keep(u.id, f, ok && was != f)
		return out
	}
	m.keep(u.id, f, ok)
	u.created, u.modified, u.attrib = false, false, false
	u.told, u.first = at, time.Time{}
	return append(out, s)
}

// sameAsScan reports whether a scan has told of the change already.
func (m *Machine) sameAsScan(u *use, f index.Facts) bool {
	return m.fromScan(u.id) && m.index.Facts(u.id).SameContent(f)
}

func (m *Machine) keep(id index.ID, f index.Facts, changed bool) {
	if changed && !m.index.Dead(id) {
		m.index.Set(id, f)
		m.index.Keep(id)
	}
}

// attrib tells of other rights of what is no file.
func (m *Machine) attrib(e *Event, id index.ID, out []Seen) []Seen {
	f, ok := m.eyes.Object(e.Handle)
	was := m.index.Facts(id)
	if !ok || was.SameRights(f) {
		return out
	}
	m.keep(id, f, true)
	return append(out, Seen{At: e.At, Op: tallyman.OpAttrib, PID: e.PID, Object: e.Object, Facts: f, Path: m.index.Path(id)})
}

// deleted tells of a name that is gone.
func (m *Machine) deleted(e *Event, folder index.ID, out []Seen) []Seen {
	id := m.index.Child(folder, e.Name)
	mine := id != 0 && m.index.Key(id) == e.Object
	if k, ok := m.scanned[name{e.Folder, e.Name}]; ok && k == (index.Key{}) && !mine {
		return out // a scan has told of it
	}
	s := Seen{At: e.At, Op: tallyman.OpDelete, PID: e.PID, Object: e.Object, Path: under(m.index.Path(folder), e.Name), Facts: index.Facts{Size: -1}}
	if e.Dir {
		s.Facts.Kind = index.Folder
	}
	if u := m.uses[e.Object]; u != nil && u.id == id && mine {
		if u.created || u.modified {
			out = m.tell(u, e.At, out)
		}
		delete(m.uses, e.Object)
	}
	if mine {
		s.Facts = m.index.Facts(id)
		m.index.Remove(id)
	}
	return append(out, s)
}

func under(folder, name string) string {
	if folder == "/" {
		return folder + name
	}
	return folder + "/" + name
}
