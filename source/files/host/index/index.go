package index

import (
	"encoding/binary"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// Key names an object, whatever its name.
type Key struct {
	FS uint64 // id of the file system, as statfs(2) gives it
	ID uint64 // its handle: itself where it has 8 bytes (ext4, with its generation), else a hash of it
}

// MakeKey makes the key of a handle of name_to_handle_at(2).
func MakeKey(fsid uint64, kind int32, handle []byte) Key {
	if len(handle) == 8 {
		return Key{fsid, binary.NativeEndian.Uint64(handle)}
	}
	h := fnv.New64a()
	_, _ = h.Write(binary.NativeEndian.AppendUint32(nil, uint32(kind))) // a hash takes all
	_, _ = h.Write(handle)
	return Key{fsid, h.Sum64()}
}

// Kind is what an object is.
type Kind uint8

// The kinds.
const (
	File Kind = iota
	Folder
	Symlink
	Other // device, socket, pipe
)

var kinds = [...]string{"file", "folder", "symlink", "special"}

// String returns the word for details.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return "unknown"
}

// Facts are what stat(2) says of an object.
type Facts struct {
	Kind         Kind
	Size         int64 // bytes
	Mtime, Ctime int64 // nanoseconds
	Mode         uint32
	UID, GID     uint32
	Links        uint32
}

// SameContent reports whether nothing says that the content has changed.
func (f Facts) SameContent(o Facts) bool { return f.Size == o.Size && f.Mtime == o.Mtime }

// SameRights reports whether owner and rights are the same.
func (f Facts) SameRights(o Facts) bool { return f.Mode == o.Mode && f.UID == o.UID && f.GID == o.GID }

// ID is the place of an entry; 0 is none. It is good as long as the entry stands.
type ID uint32

type entry struct {
	parent, first, next, prev ID
	name                      string // of an anchor the whole path
	key                       Key
	facts                     Facts
	twin                      ID     // the next name of the same object, round in a ring; 0 of an object with one name
	seen                      uint32 // the scan that saw it
	dead                      bool   // its name is gone, and it stays for what is still to come
	kept                      bool   // it was told of: it may be stored
}

type child struct {
	parent ID
	name   string
}

// Index is what is known. It belongs to one goroutine.
type Index struct {
	entries  []entry // [0] is none
	free     []ID
	children map[child]ID // anchors have the parent 0
	objects  map[Key]ID
	dead     []ID
	scan     uint32
	count    int
	journal  []byte
}

// New returns an empty index.
func New() *Index {
	return &Index{entries: make([]entry, 1), children: map[child]ID{}, objects: map[Key]ID{}}
}

// Len returns how many names are known.
func (x *Index) Len() int { return x.count }

// Child returns the entry of a name in a folder, 0 if there is none.
func (x *Index) Child(parent ID, name string) ID { return x.children[child{parent, name}] }

// slot is where an entry stands among its like. Anchors of several file systems may have one path, one after the other.
func slot(parent ID, name string, k Key) child {
	if parent == 0 {
		name += "\x00" + strconv.FormatUint(k.FS, 16)
	}
	return child{parent, name}
}

// Object returns one entry of an object, 0 if it is not known; a dead one if no other is left. A folder has one alone.
func (x *Index) Object(k Key) ID { return x.objects[k] }

// Key returns the object of an entry.
func (x *Index) Key(id ID) Key { return x.entries[id].key }

// Facts returns what is known of an entry.
func (x *Index) Facts(id ID) Facts { return x.entries[id].facts }

// Parent returns the folder of an entry, 0 for an anchor.
func (x *Index) Parent(id ID) ID { return x.entries[id].parent }

// Name returns the name of an entry in its folder, of an anchor its path.
func (x *Index) Name(id ID) string { return x.entries[id].name }

// Dead reports whether the name is gone.
func (x *Index) Dead(id ID) bool { return x.entries[id].dead }

// Path returns the whole path of an entry.
func (x *Index) Path(id ID) string {
	var parts [64]string
	all := parts[:0]
	for ; id != 0; id = x.entries[id].parent {
		all = append(all, x.entries[id].name)
	}
	var b strings.Builder
	for _, name := range slices.Backward(all) {
		if b.Len() > 1 || b.Len() == 1 && b.String() != "/" {
			b.WriteByte('/')
		}
		b.WriteString(name)
	}
	return b.String()
}

// Put adds a name, or changes what it names. It is kept over a restart once Keep was called.
func (x *Index) Put(parent ID, name string, k Key, f Facts) ID {
	name = strings.Clone(name)
	id := x.children[slot(parent, name, k)]
	if id != 0 && x.entries[id].key != k {
		x.Remove(id)
		id = 0
	}
	if id == 0 {
		id = x.alloc()
		e := &x.entries[id]
		e.name, e.key, e.parent = name, k, parent
		x.attach(id)
		if old := x.objects[k]; old == 0 || x.entries[old].dead {
			x.objects[k] = id
		} else {
			x.join(old, id)
		}
	}
	x.entries[id].facts = f
	return id
}

// join makes two entries names of one object.
func (x *Index) join(old, id ID) {
	if x.entries[old].twin == 0 {
		x.entries[old].twin = old
	}
	x.entries[id].twin, x.entries[old].twin = x.entries[old].twin, id
}

// part takes an entry from the names of its object.
func (x *Index) part(id ID) {
	e := &x.entries[id]
	if e.twin == 0 { // the object is found until it is buried
		return
	}
	before := id
	for x.entries[before].twin != id {
		before = x.entries[before].twin
	}
	if x.entries[before].twin = e.twin; e.twin == before {
		x.entries[before].twin = 0
	}
	if x.objects[e.key] == id {
		x.objects[e.key] = before
	}
	e.twin = 0
}

// Set changes what is known of an entry.
func (x *Index) Set(id ID, f Facts) { x.entries[id].facts = f }

func (x *Index) alloc() ID {
	if n := len(x.free); n > 0 {
		id := x.free[n-1]
		x.free = x.free[:n-1]
		x.entries[id] = entry{}
		return id
	}
	x.entries = append(x.entries, entry{})
	return ID(len(x.entries) - 1)
}

func (x *Index) attach(id ID) {
	e := &x.entries[id]
	x.children[slot(e.parent, e.name, e.key)] = id
	e.prev, e.next = 0, 0
	if e.parent != 0 {
		p := &x.entries[e.parent]
		if e.next = p.first; e.next != 0 {
			x.entries[e.next].prev = id
		}
		p.first = id
	}
	e.dead = false
	x.count++
}

func (x *Index) detach(id ID) {
	e := &x.entries[id]
	if at := slot(e.parent, e.name, e.key); x.children[at] == id {
		delete(x.children, at)
	}
	switch {
	case e.prev != 0:
		x.entries[e.prev].next = e.next
	case e.parent != 0 && x.entries[e.parent].first == id:
		x.entries[e.parent].first = e.next
	}
	if e.next != 0 {
		x.entries[e.next].prev = e.prev
	}
	e.prev, e.next = 0, 0
	x.count--
}

// Remove takes a name away, and all below it. Events of an object may come after that of its end (the kernel merges them): it is still found by its
// key, as dead, until Bury.
func (x *Index) Remove(id ID) {
	if x.entries[id].dead {
		return
	}
	x.logRemove(id)
	x.kill(id)
}

func (x *Index) kill(id ID) {
	for c := x.entries[id].first; c != 0; c = x.entries[id].first {
		x.kill(c)
	}
	x.detach(id)
	e := &x.entries[id]
	e.dead = true
	x.part(id)
	x.dead = append(x.dead, id)
}

// Bury forgets what is dead, when nothing more can come of it.
func (x *Index) Bury() {
	for i := 0; i < len(x.dead); i++ { // what was put into a dead folder dies with it, and adds to them
		id := x.dead[i]
		for c := x.entries[id].first; c != 0; c = x.entries[id].first {
			x.kill(c)
		}
	}
	for _, id := range x.dead {
		e := &x.entries[id]
		if x.objects[e.key] == id {
			delete(x.objects, e.key)
		}
		*e = entry{}
		x.free = append(x.free, id)
	}
	x.dead = x.dead[:0]
}

// Graves returns how many are dead and not buried.
func (x *Index) Graves() int { return len(x.dead) }

// Move gives an entry another name; what had that name is removed.
func (x *Index) Move(id, parent ID, name string) {
	if old := x.Child(parent, name); old != 0 && old != id {
		x.Remove(old)
	}
	e := &x.entries[id]
	if e.dead {
		return
	}
	x.logMove(id, parent, name)
	x.detach(id)
	e.parent, e.name = parent, strings.Clone(name)
	x.attach(id)
}

// Below reports whether an entry is folder or lies in it.
func (x *Index) Below(id, folder ID) bool {
	for ; id != 0; id = x.entries[id].parent {
		if id == folder {
			return true
		}
	}
	return false
}

// Children calls f for each name in a folder. f may not change the folder.
func (x *Index) Children(id ID, f func(ID)) {
	for c := x.entries[id].first; c != 0; c = x.entries[c].next {
		f(c)
	}
}

// Anchors returns the entries without a parent, in no order that means anything but always the same.
func (x *Index) Anchors() []ID {
	var out []ID
	for c, id := range x.children {
		if c.parent == 0 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// Scan begins a scan: nothing is seen yet.
func (x *Index) Scan() { x.scan++ }

// See marks an entry as seen by the scan.
func (x *Index) See(id ID) { x.entries[id].seen = x.scan }

// Seen reports whether the scan has seen it.
func (x *Index) Seen(id ID) bool { return x.entries[id].seen == x.scan }
