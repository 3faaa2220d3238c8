package spool

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

// model is a spool as it should be: a list of payloads, and a number for each reader.
type model struct {
	epochs [][]string // of each epoch, the payloads in order
	synced int        // how many of all, counted over the epochs
	marks  map[string]int
	at     map[string]int
}

func (m *model) all() (out []string) {
	for _, e := range m.epochs {
		out = append(out, e...)
	}
	return out
}

// index is the number of entries up to an ID.
func (m *model) index(id tallyman.ID) int {
	n := 0
	for i := uint32(1); i < id.Epoch; i++ {
		n += len(m.epochs[i-1])
	}
	return n + int(id.Seq)
}

// machine drives a spool and its model side by side.
type machine struct {
	base    string
	n       int
	dir     string
	s       *Spool
	readers map[string]*Reader
	model   model
}

func (m *machine) reopen(t *rapid.T) {
	cfg := small(m.dir)
	cfg.SyncEvery = time.Hour
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.s, m.readers = s, map[string]*Reader{}
	for name := range m.model.marks {
		if m.readers[name], err = s.Reader(name); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) shut() {
	for _, r := range m.readers {
		r.Close()
	}
}

func (m *machine) Append(t *rapid.T) {
	var batch [][]byte
	var said []string
	for range rapid.IntRange(1, 5).Draw(t, "entries") {
		m.n++
		said = append(said, fmt.Sprintf("%d%s", m.n, strings.Repeat("p", rapid.IntRange(0, 900).Draw(t, "size"))))
		batch = append(batch, []byte(said[len(said)-1]))
	}
	id, err := m.s.Append(batch...)
	if errors.Is(err, tallyman.ErrFull) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	last := len(m.model.epochs) - 1
	m.model.epochs[last] = append(m.model.epochs[last], said...)
	if got := m.model.index(id); got != len(m.model.all()) {
		t.Fatalf("place %v is number %d of %d", id, got, len(m.model.all()))
	}
}

func (m *machine) Sync(t *rapid.T) {
	if _, err := m.s.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.model.synced = len(m.model.all())
}

func (m *machine) Read(t *rapid.T) {
	name := rapid.SampledFrom([]string{"join", "fleet"}).Draw(t, "reader")
	want := m.model.all()[m.model.at[name]:]
	if m.model.at[name] >= m.model.synced {
		return // what the writer has done by itself since is not known here
	}
	es, err := m.readers[name].Next(t.Context(), rapid.IntRange(1, 20).Draw(t, "limit"))
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range es {
		if e.Lost > 0 || string(e.Payload) != want[i] || m.model.index(e.ID) != m.model.at[name]+i+1 {
			t.Fatalf("%s: got %v %d %.20q, want %.20q", name, e.ID, e.Lost, e.Payload, want[i])
		}
	}
	m.model.at[name] += len(es)
	m.model.synced = max(m.model.synced, m.model.at[name])
}

func (m *machine) Mark(t *rapid.T) {
	name := rapid.SampledFrom([]string{"join", "fleet"}).Draw(t, "reader")
	r := m.readers[name]
	if m.model.at[name] == 0 || r.at.seq == 1 {
		return
	}
	if err := r.Commit(m.s.id(place{r.at.epoch, r.at.seq - 1})); err != nil {
		t.Fatal(err)
	}
	m.model.marks[name] = max(m.model.marks[name], m.model.at[name])
}

func (m *machine) NewEpoch(t *rapid.T) {
	if err := m.s.NewEpoch("model"); err != nil {
		t.Fatal(err)
	}
	m.model.synced = len(m.model.all())
	m.model.epochs = append(m.model.epochs, nil)
}

func (m *machine) Reopen(t *rapid.T) {
	m.shut()
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	m.model.synced = len(m.model.all())
	m.reopen(t)
	maps.Copy(m.model.at, m.model.marks)
}

// Kill goes on with a copy of the folder as it stands between two rounds of the writer: what was synced is there, later entries may be
// gone, and marks may be older.
func (m *machine) Kill(t *rapid.T) {
	m.shut()
	m.s.writing.Lock()
	m.n++
	to := filepath.Join(m.base, fmt.Sprint("copy", m.n))
	if err := os.CopyFS(to, os.DirFS(m.dir)); err != nil {
		t.Fatal(err)
	}
	newest, synced := m.s.Status().Newest, m.s.Status().Synced
	m.s.writing.Unlock()
	if err := m.s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	m.dir = to
	kept := m.model.index(synced)
	if kept < m.model.synced {
		t.Fatalf("%d entries are synced, %d were promised", kept, m.model.synced)
	}
	last := len(m.model.epochs) - 1
	m.model.epochs[last] = m.model.epochs[last][:len(m.model.epochs[last])-(m.model.index(newest)-kept)]
	m.model.synced = kept
	m.reopen(t)
	for name, r := range m.readers {
		mark := m.model.index(m.s.id(place{r.at.epoch, r.at.seq - 1}))
		if mark > m.model.marks[name] {
			t.Fatalf("%s was at %d, is at %d", name, m.model.marks[name], mark)
		}
		m.model.marks[name], m.model.at[name] = mark, mark
	}
}

func TestASpoolIsAListWithMarks(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		base := t.TempDir()
		m := &machine{base: base, dir: filepath.Join(base, "first"), model: model{
			epochs: make([][]string, 1),
			marks:  map[string]int{"join": 0, "fleet": 0},
			at:     map[string]int{},
		}}
		m.reopen(rt)
		defer func() {
			m.shut()
			_ = m.s.Close()
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append again": m.Append, "sync": m.Sync, "read": m.Read, "read again": m.Read,
			"mark": m.Mark, "new epoch": m.NewEpoch, "reopen": m.Reopen, "kill": m.Kill,
		})
	})
}
