package engine_test

import (
	"slices"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/files/host/engine"
)

// ops are the operations that were told, with their paths.
func (w *world) ops() (out []string) {
	for _, s := range w.out {
		out = append(out, s.Op.String()+" "+s.Path)
	}
	w.out = nil
	return out
}

func (w *world) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := w.ops(); !slices.Equal(got, want) {
		t.Errorf("told %q, not %q", got, want)
	}
}

func TestNewFileIsToldWhenItIsClosed(t *testing.T) {
	w := newWorld()
	n := w.d.make(0)
	root := w.d.nodes[1]
	root.names["a"] = n.key.ID
	w.d.event(root, "a", n, engine.Create)
	w.read(9)
	w.expect(t)
	n.facts.Size = 7
	w.d.event(root, "a", n, engine.Modify|engine.Close)
	w.read(9)
	if len(w.out) != 1 || w.out[0].Op != tallyman.OpCreate || w.out[0].Facts.Size != 7 || w.out[0].PID != 1 {
		t.Errorf("told %+v", w.out)
	}
}

func TestFileThatStaysOpenIsToldEverMoreRarely(t *testing.T) {
	w := newWorld()
	n := w.d.make(0)
	root := w.d.nodes[1]
	root.names["log"] = n.key.ID
	w.d.event(root, "log", n, engine.Create)
	w.read(9)
	told := 0
	for s := range 3600 { // a line each second for an hour
		w.d.clock++
		n.facts.Size, n.facts.Mtime = n.facts.Size+1, w.d.clock
		w.d.event(root, "log", n, engine.Modify)
		at := t0.Add(time.Duration(s) * time.Second)
		for i := range w.d.queue {
			w.d.queue[i].At = at
			w.out = w.m.Take(&w.d.queue[i], w.out)
		}
		w.d.queue = nil
		w.out, _ = w.m.Tick(at, w.out)
		told += len(w.ops())
	}
	if told < 5 || told > 20 {
		t.Errorf("told %d times in an hour", told)
	}
}

func TestWhatDidNotChangeIsNotTold(t *testing.T) {
	w := newWorld()
	n := w.d.make(0)
	root := w.d.nodes[1]
	root.names["a"] = n.key.ID
	w.d.event(root, "a", n, engine.Create|engine.Modify|engine.Close)
	w.read(9)
	w.expect(t, "create /r/a")
	w.d.event(root, "a", n, engine.Close) // opened to write, and closed
	w.d.event(root, "a", n, engine.Attrib)
	w.read(9)
	w.expect(t)
	w.d.clock++
	n.facts.Mtime = w.d.clock // as by a mapping: the kernel tells no change
	w.d.event(root, "a", n, engine.Close)
	w.read(9)
	w.expect(t, "modify /r/a")
}

// A folder that was made and removed at once is told of first, by the event into which both were merged; what was done in it comes after that.
func TestEventsOfAFolderThatIsGoneAreTold(t *testing.T) {
	w := newWorld()
	root, dir, n := w.d.nodes[1], w.d.make(1), w.d.make(0)
	delete(w.d.nodes, dir.key.ID)
	delete(w.d.nodes, n.key.ID)
	w.d.event(root, "d", dir, engine.Create|engine.Delete)
	w.d.event(dir, "f", n, engine.Create|engine.Delete)
	w.read(9)
	w.expect(t, "create /r/d", "delete /r/d", "create /r/d/f", "delete /r/d/f")
}
