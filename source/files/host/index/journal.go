package index

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// The journal is a row of records: length (uvarint), payload, CRC-32C of the payload (4 bytes, little endian). The payload begins with one letter:
//
//	p parent key, name, key, facts    the name is kept
//	r parent key, name                it is gone
//	m parent key, name, parent key, name    it was renamed
//
// The parent of an anchor is the zero key. A snapshot is a journal of p alone, folders before what they hold.

// ErrTorn is wrapped when a journal ends with something that is none: what stood there is lost.
var ErrTorn = errors.New("the end of the index is torn")

const (
	letterPut    = 'p'
	letterRemove = 'r'
	letterMove   = 'm'
	mostRecord   = 16 << 10 // a path has at most 4,096 bytes (PATH_MAX)
)

// Keep writes the entry to the journal, as it is now.
func (x *Index) Keep(id ID) {
	x.entries[id].kept = true
	x.journal = x.appendPut(x.journal, id)
}

// Pending takes what is to be stored.
func (x *Index) Pending() []byte {
	b := x.journal
	x.journal = nil
	return b
}

// PendingLen returns how many bytes wait to be stored.
func (x *Index) PendingLen() int { return len(x.journal) }

// Snapshot writes all entries that are kept.
func (x *Index) Snapshot() []byte {
	var b []byte
	var walk func(id ID)
	walk = func(id ID) {
		if x.entries[id].kept {
			b = x.appendPut(b, id)
			x.Children(id, walk)
		}
	}
	for _, a := range x.Anchors() {
		walk(a)
	}
	return b
}

func (x *Index) appendPut(b []byte, id ID) []byte {
	e := &x.entries[id]
	if e.dead {
		return b
	}
	p := x.start(letterPut, e.parent, e.name)
	p = appendKey(p, e.key)
	p = append(p, byte(e.facts.Kind))
	p = binary.AppendVarint(p, e.facts.Size)
	p = binary.AppendVarint(p, e.facts.Mtime)
	p = binary.AppendVarint(p, e.facts.Ctime)
	for _, n := range [...]uint32{e.facts.Mode, e.facts.UID, e.facts.GID, e.facts.Links} {
		p = binary.AppendUvarint(p, uint64(n))
	}
	return frame(b, p)
}

func (x *Index) logRemove(id ID) {
	e := &x.entries[id]
	x.journal = frame(x.journal, x.start(letterRemove, e.parent, e.name))
}

func (x *Index) logMove(id, parent ID, name string) {
	e := &x.entries[id]
	p := x.start(letterMove, e.parent, e.name)
	p = appendKey(p, x.entries[parent].key)
	x.journal = frame(x.journal, appendText(p, name))
}

func (x *Index) start(letter byte, parent ID, name string) []byte {
	p := append(make([]byte, 0, 96+len(name)), letter)
	return appendText(appendKey(p, x.entries[parent].key), name)
}

func appendKey(b []byte, k Key) []byte {
	b = binary.LittleEndian.AppendUint64(b, k.FS)
	return binary.LittleEndian.AppendUint64(b, k.ID)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func frame(b, payload []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(payload)))
	b = append(b, payload...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
}

// Load brings back what a journal tells. It returns how many bytes were good: with ErrTorn what follows is none.
func (x *Index) Load(b []byte) (good int, err error) {
	table := crc32.MakeTable(crc32.Castagnoli)
	all := len(b)
	defer func() { x.journal, x.dead = nil, x.dead[:0] }()
	for len(b) > 0 {
		n, w := binary.Uvarint(b)
		if w <= 0 || n == 0 || n > mostRecord || uint64(len(b)-w) < n+4 {
			return all - len(b), ErrTorn
		}
		p, rest := b[w:w+int(n)], b[w+int(n):]
		if crc32.Checksum(p, table) != binary.LittleEndian.Uint32(rest) || !x.play(p) {
			return all - len(b), ErrTorn
		}
		x.Bury()
		b = rest[4:]
	}
	return all, nil
}

// play does what one record tells. What it speaks of may not be known: then it was removed with its folder.
func (x *Index) play(p []byte) bool {
	r := reader{b: p[1:]}
	parent, name := r.key(), r.text()
	at, known := x.folder(parent)
	switch p[0] {
	case letterPut:
		k := r.key()
		f := Facts{Kind: Kind(r.byte()), Size: r.varint(), Mtime: r.varint(), Ctime: r.varint()}
		f.Mode, f.UID, f.GID, f.Links = r.uint32(), r.uint32(), r.uint32(), r.uint32()
		if known && !r.bad {
			x.entries[x.Put(at, name, k, f)].kept = true
		}
	case letterRemove:
		if id := x.Child(at, name); known && id != 0 && !r.bad {
			x.Remove(id)
		}
	case letterMove:
		to, toKnown := x.folder(r.key())
		newName := r.text()
		if id := x.Child(at, name); known && toKnown && id != 0 && !r.bad && !x.Below(to, id) {
			x.Move(id, to, newName)
		}
	default:
		return false
	}
	return !r.bad && len(r.b) == 0
}

func (x *Index) folder(k Key) (ID, bool) {
	if k == (Key{}) {
		return 0, true
	}
	id := x.objects[k]
	return id, id != 0 && x.entries[id].facts.Kind == Folder
}

// reader takes values off a payload. After a value that is none all are zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.b) {
		r.bad = true
		return make([]byte, min(max(n, 0), 16))
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) key() Key {
	b := r.take(16)
	return Key{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

func (r *reader) byte() byte { return r.take(1)[0] }

func (r *reader) varint() int64 {
	n, w := binary.Varint(r.b)
	if w <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *reader) uvarint() uint64 {
	n, w := binary.Uvarint(r.b)
	if w <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[w:]
	return n
}

func (r *reader) uint32() uint32 { return uint32(r.uvarint()) }

func (r *reader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return ""
	}
	return string(r.take(int(n)))
}
