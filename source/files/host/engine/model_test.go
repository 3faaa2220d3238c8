package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/source/files/host/engine"
	"tallyman/source/files/host/index"
)

// disk is a model of a file system, with the kernel's queue of events about it: events that wait are merged as fanotify does it, without bound.
type disk struct {
	nodes map[uint64]*node
	next  uint64
	clock int64
	queue []engine.Event
	pid   int32
}

type node struct {
	key   index.Key
	facts index.Facts
	names map[string]uint64 // of a folder
}

var t0 = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)

func newDisk() *disk {
	d := &disk{nodes: map[uint64]*node{}, clock: t0.UnixNano(), pid: 1}
	d.make(index.Folder)
	return d
}

func (d *disk) make(kind index.Kind) *node {
	d.next++
	d.clock++
	n := &node{key: index.Key{FS: 7, ID: d.next}, facts: index.Facts{Kind: kind, Mtime: d.clock, Links: 1}}
	if kind == index.Folder {
		n.names, n.facts = map[string]uint64{}, index.Facts{Kind: kind, Size: -1}
	}
	d.nodes[d.next] = n
	return n
}

// tell puts an event into the queue, or into one that waits there.
func (d *disk) tell(e engine.Event) {
	e.At, e.PID, e.Handle = t0, d.pid, fmt.Sprint(e.Object.ID)
	for i := range d.queue {
		q := &d.queue[i]
		if (q.Deeds^e.Deeds)&engine.Rename == 0 && q.PID == e.PID && q.Folder == e.Folder && q.Name == e.Name && q.Object == e.Object && q.Dir == e.Dir &&
			q.From == e.From && q.FromName == e.FromName {
			q.Deeds |= e.Deeds
			return
		}
	}
	d.queue = append(d.queue, e)
}

func (d *disk) event(folder *node, name string, n *node, deeds engine.Deed) {
	d.tell(engine.Event{Deeds: deeds, Folder: folder.key, Name: name, Object: n.key, Dir: n.names != nil})
}

// act does what a program may do.
func (d *disk) act(t *rapid.T) {
	var folders []*node
	for _, id := range slices.Sorted(maps.Keys(d.nodes)) {
		if n := d.nodes[id]; n.names != nil && d.path(n) != "" {
			folders = append(folders, n)
		}
	}
	name := func(what string) string { return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, what) }
	d.pid = int32(rapid.IntRange(1, 2).Draw(t, "pid"))
	folder, to := rapid.SampledFrom(folders).Draw(t, "folder"), rapid.SampledFrom(folders).Draw(t, "to")
	at, at2 := name("name"), name("new name")
	n := d.nodes[folder.names[at]]
	old := d.nodes[to.names[at2]]
	switch rapid.SampledFrom([]string{"create", "mkdir", "write", "rename", "rename", "rename", "unlink", "link", "chmod"}).Draw(t, "what") {
	case "create", "mkdir":
		if n != nil {
			return
		}
		kind := index.File
		if at2 == "a" {
			kind = index.Folder
		}
		n = d.make(kind)
		folder.names[at] = n.key.ID
		d.event(folder, at, n, engine.Create)
		if kind == index.File && to == folder {
			d.event(folder, at, n, engine.Modify|engine.Close)
		}
	case "write":
		if n != nil && n.names == nil {
			d.clock++
			n.facts.Size, n.facts.Mtime = n.facts.Size+1, d.clock
			d.event(folder, at, n, engine.Modify|engine.Close)
		}
	case "chmod":
		if n != nil {
			n.facts.Mode++
			d.event(folder, at, n, engine.Attrib)
		}
	case "rename":
		if n == nil || n == old || old != nil && (old.names != nil || n.names != nil) || n.names != nil && below(d, to, n) {
			return
		}
		if old != nil {
			d.drop(old)
		}
		delete(folder.names, at)
		to.names[at2] = n.key.ID
		d.tell(engine.Event{Deeds: engine.Rename, Folder: to.key, Name: at2, From: folder.key, FromName: at, Object: n.key, Dir: n.names != nil})
	case "unlink":
		if n == nil || len(n.names) > 0 {
			return
		}
		delete(folder.names, at)
		d.drop(n)
		d.event(folder, at, n, engine.Delete)
	case "link":
		if n != nil && n.names == nil && old == nil {
			n.facts.Links++
			to.names[at2] = n.key.ID
			d.event(to, at2, n, engine.Create)
		}
	}
}

func below(d *disk, n, folder *node) bool {
	return n == folder || strings.HasPrefix(d.path(n)+"/", d.path(folder)+"/")
}

func (d *disk) drop(n *node) {
	n.facts.Links--
	if n.names != nil || n.facts.Links == 0 {
		delete(d.nodes, n.key.ID)
	}
}

// path finds a folder; "" if it is gone.
func (d *disk) path(n *node) string {
	for path, k := range d.all() {
		if k == n.key {
			return path
		}
	}
	if n.key.ID == 1 {
		return "/r"
	}
	return ""
}

// all is what stands on the disk.
func (d *disk) all() map[string]index.Key {
	out := map[string]index.Key{}
	var walk func(path string, n *node)
	walk = func(path string, n *node) {
		for name, id := range n.names {
			out[path+"/"+name] = d.nodes[id].key
			walk(path+"/"+name, d.nodes[id])
		}
	}
	walk("/r", d.nodes[1])
	return out
}

// Object, Name and List are the Eyes.
func (d *disk) Object(handle string) (index.Facts, bool) {
	var id uint64
	_, _ = fmt.Sscan(handle, &id)
	if n := d.nodes[id]; n != nil {
		return n.facts, true
	}
	return index.Facts{}, false
}

func (d *disk) Name(path string) (index.Key, index.Facts, bool) {
	if k, ok := d.all()[path]; ok {
		return k, d.nodes[k.ID].facts, true
	}
	return index.Key{}, index.Facts{}, false
}

func (d *disk) List(path string) (out []engine.Entry, err error) {
	n := d.nodes[1]
	if path != "/r" {
		k, ok := d.all()[path]
		if !ok {
			return nil, fmt.Errorf("no folder %s", path)
		}
		n = d.nodes[k.ID]
	}
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		c := d.nodes[n.names[name]]
		out = append(out, engine.Entry{Name: name, Key: c.key, Facts: c.facts})
	}
	return out, nil
}

// world is a disk that is watched.
type world struct {
	d   *disk
	x   *index.Index
	m   *engine.Machine
	out []engine.Seen
	log []string
}

func newWorld() *world {
	w := &world{d: newDisk(), x: index.New()}
	w.x.Put(0, "/r", index.Key{FS: 7, ID: 1}, index.Facts{Kind: index.Folder, Size: -1})
	w.m = engine.New(w.x, w.d, func(string) bool { return true })
	return w
}

// read takes at most n events from the queue.
func (w *world) read(n int) {
	n = min(n, len(w.d.queue))
	batch := w.d.queue[:n]
	w.d.queue = slices.Clone(w.d.queue[n:])
	for i := range batch {
		w.log = append(w.log, fmt.Sprintf("%+v", batch[i]))
		w.out = w.m.Take(&batch[i], w.out)
	}
	if len(w.d.queue) == 0 {
		w.out = w.m.Drained(t0, w.out)
	}
}

// known is what the index holds.
func (w *world) known() map[string]index.Key {
	out := map[string]index.Key{}
	var walk func(id index.ID)
	walk = func(id index.ID) {
		if w.x.Parent(id) != 0 {
			out[w.x.Path(id)] = w.x.Key(id)
		}
		w.x.Children(id, walk)
	}
	for _, a := range w.x.Anchors() {
		walk(a)
	}
	return out
}

// replay makes of what was told what must stand there.
func (w *world) replay() map[string]bool {
	out := map[string]bool{}
	for _, s := range w.out {
		switch s.Op {
		case tallyman.OpDelete:
			delete(out, s.Path)
		case tallyman.OpRename:
			for p := range maps.Clone(out) {
				if p == s.From || strings.HasPrefix(p, s.From+"/") {
					delete(out, p)
				}
			}
			for p := range maps.Clone(out) {
				if strings.HasPrefix(p, s.Path+"/") {
					delete(out, p)
				}
			}
			out[s.Path] = true
			for p := range w.known() { // what lay below it
				if strings.HasPrefix(p, s.Path+"/") {
					out[p] = true
				}
			}
		case tallyman.OpCreate, tallyman.OpLink, tallyman.OpSymlink:
			out[s.Path] = true
		default:
		}
	}
	return out
}

func (w *world) settle() {
	for range 4 {
		w.read(len(w.d.queue))
		w.out, _ = w.m.Tick(t0.Add(time.Hour), w.out)
	}
}

func (w *world) tale() string {
	var b strings.Builder
	for _, l := range w.log {
		b.WriteString("\n   " + l)
	}
	for _, s := range w.out {
		fmt.Fprintf(&b, "\n-> %v %s < %s how %d %v", s.Op, s.Path, s.From, s.How, s.Object.ID)
	}
	return b.String()
}

// However late events are read, and whatever the kernel merges: in the end the index holds what stands on the disk.
func TestFinalStateIsRightWhateverIsMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.d.act(t)
			if rapid.IntRange(0, 3).Draw(t, "reads") == 0 {
				w.read(rapid.IntRange(1, 9).Draw(t, "events"))
			}
		}
		w.settle()
		if is, known := w.d.all(), w.known(); !maps.Equal(is, known) {
			t.Fatalf("the disk holds %v\nthe index    %v%s", is, known, w.tale())
		}
	})
}

// Events are lost, and what is left of them is read after the scan that finds what they told.
func TestFinalStateIsRightAfterALoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.d.act(t)
			switch rapid.IntRange(0, 9).Draw(t, "then") {
			case 0, 1:
				w.read(rapid.IntRange(1, 9).Draw(t, "events"))
			case 2:
				w.d.queue = w.d.queue[rapid.IntRange(0, len(w.d.queue)).Draw(t, "lost"):]
				w.out, _ = w.m.Scan(w.x.Anchors()[0], t0, t0, w.out)
				w.log = append(w.log, "scan")
			}
		}
		w.settle()
		if is, known := w.d.all(), w.known(); !maps.Equal(is, known) {
			t.Fatalf("the disk holds %v\nthe index    %v%s", is, known, w.tale())
		}
	})
}

// What was told, one after the other, leads to what stands on the disk.
func TestWhatIsToldLeadsToWhatStandsThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.d.act(t)
			if rapid.IntRange(0, 1).Draw(t, "reads") == 0 {
				w.read(rapid.IntRange(1, 9).Draw(t, "events"))
			}
		}
		w.settle()
		told, is := w.replay(), w.d.all()
		for p := range is {
			if !told[p] {
				t.Fatalf("%s stands there, told was %v%s", p, told, w.tale())
			}
		}
		if len(told) != len(is) {
			t.Fatalf("the disk holds %v\ntold was      %v%s", is, told, w.tale())
		}
	})
}
