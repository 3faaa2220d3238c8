package sqlite

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/ledger/sqlstore"
	"tallyman/test/corpus"
)

// model is what a ledger must answer after any operations.
type model struct {
	t       *testing.T
	l       *Ledger
	rand    *rand.Rand
	drawer  *corpus.Drawer
	n       int
	counted []*tallyman.Transfer // the newest accepted revision of every record, also of those that were pruned
	held    map[tallyman.UUID]int
	floor   time.Time
}

func (m *model) draw() *tallyman.Transfer {
	m.n++
	return rapid.Custom(m.drawer.Transfer).Example(m.n)
}

// accept does to the model what a write does to the ledger.
func (m *model) accept(tr *tallyman.Transfer) {
	i, held := m.held[tr.ID]
	switch {
	case held && m.counted[i].Rev < tr.Rev:
		m.counted[i] = tr
	case !held && !tr.Start.Before(m.floor):
		m.held[tr.ID] = len(m.counted)
		m.counted = append(m.counted, tr)
	}
}

// record draws a new record, an amendment, a merger, or something that was there before.
func (m *model) record() *tallyman.Transfer {
	if len(m.counted) == 0 || m.rand.IntN(10) < 4 {
		return m.draw()
	}
	old := m.counted[m.rand.IntN(len(m.counted))]
	switch m.rand.IntN(6) {
	case 0:
		return old
	case 1:
		again := *old
		again.Rev++
		again.Merged = m.counted[0].ID
		return &again
	default:
		if !old.Merged.IsZero() {
			return old
		}
		m.n++
		return rapid.Custom(func(t *rapid.T) *tallyman.Transfer { return m.drawer.Amend(t, old) }).Example(m.n)
	}
}

func (m *model) prune() {
	now := corpus.Day.AddDate(0, 0, 6)
	keep := sqlstore.Keep{Now: now, Transfers: time.Duration(100+m.rand.IntN(40)) * time.Hour, Evidence: 90 * time.Hour}
	done, err := m.l.Prune(m.t.Context(), keep)
	if err != nil {
		m.t.Fatal(err)
	}
	gone := int64(0)
	for id, i := range m.held {
		tr := m.counted[i]
		if !tr.Start.Before(now.Add(-keep.Transfers)) || tr.Judgement.Verdict == tallyman.Active {
			continue
		}
		gone++
		delete(m.held, id)
		if after := tr.Start.Add(time.Microsecond); after.After(m.floor) {
			m.floor = after
		}
	}
	if done.Transfers != gone {
		m.t.Fatalf("pruned %d transfers, want %d", done.Transfers, gone)
	}
}

func (m *model) check() {
	for _, by := range []string{"hour", "verdict", "proto", "host", "client", "file"} {
		corpus.CheckTile(m.t, m.l, m.counted, tallyman.StatsQuery{By: by})
		corpus.CheckTile(m.t, m.l, m.counted, tallyman.StatsQuery{By: by, From: corpus.Day.AddDate(0, 0, 1), To: corpus.Day.AddDate(0, 0, 2)})
	}
	listed := map[tallyman.UUID]uint32{}
	for tr, err := range m.l.Transfers(m.t.Context(), tallyman.Query{}) {
		if err != nil {
			m.t.Fatal(err)
		}
		listed[tr.ID] = tr.Rev
	}
	for id, i := range m.held {
		if tr := m.counted[i]; tr.Merged.IsZero() && listed[id] != tr.Rev {
			m.t.Fatalf("%s is listed as revision %d, want %d", id, listed[id], tr.Rev)
		}
		delete(listed, id)
	}
	if len(listed) > 0 {
		m.t.Fatalf("%d records are listed that went: %v", len(listed), listed)
	}
	for day := range 5 {
		at := corpus.Day.AddDate(0, 0, day)
		r, err := m.l.Recount(m.t.Context(), at)
		if err != nil {
			m.t.Fatal(err)
		}
		if r.Pruned != m.floor.After(at) || !r.Pruned && len(r.Differences) > 0 {
			m.t.Fatalf("recount of %s, floor %s: %+v", at, m.floor, r)
		}
	}
	if c, err := m.l.Counts(m.t.Context()); err != nil || c.Transfers != int64(len(m.held)) {
		m.t.Fatalf("the ledger counts %d rows, want %d (%v)", c.Transfers, len(m.held), err)
	}
}

func TestRollupsEqualARecountAfterThousandsOfOperations(t *testing.T) {
	m := &model{t: t, l: open(t), rand: rand.New(rand.NewPCG(3, 4)), drawer: &corpus.Drawer{Agent: tallyman.Agent{5}}, held: map[tallyman.UUID]int{}}
	prunes, looks := operations/7, operations/11
	for done := 0; done < operations; {
		b := tallyman.Batch{Mark: tallyman.ID{Agent: tallyman.Agent{5}, Epoch: 1, Seq: uint64(done + 1)}}
		for range 1 + m.rand.IntN(20) {
			tr := m.record()
			b.Records = append(b.Records, tr)
			m.accept(tr)
			done++
		}
		if err := m.l.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if done/looks != (done-len(b.Records))/looks {
			m.check()
		}
		if done > operations/2 && done/prunes != (done-len(b.Records))/prunes {
			m.prune()
		}
	}
	m.check()
	if m.floor.IsZero() {
		t.Fatal("nothing was pruned")
	}
}

func TestCountsOfFilesAreExactForTwoDaysThenTheFirstThousand(t *testing.T) {
	l := open(t)
	write := func(day int, files map[int]int) {
		t.Helper()
		var b tallyman.Batch
		for file, times := range files {
			for n := range times {
				at := corpus.Day.AddDate(0, 0, day).Add(time.Duration(n) * time.Second)
				b.Records = append(b.Records, &tallyman.Transfer{
					ID:  tallyman.DrawUUID(at, tallyman.ID{Epoch: uint32(day + 1), Seq: uint64(file*100 + n)}),
					Rev: 1, Start: at, End: at, Seen: at, Proto: "tftp", Op: tallyman.OpGet, Name: fmt.Sprintf("f%04d", file),
					Judgement: tallyman.Judgement{Verdict: tallyman.Complete, Reason: tallyman.FinalAck},
				})
			}
		}
		if err := l.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	counted := func(day int) int {
		t.Helper()
		rows, err := l.Stats(t.Context(), tallyman.StatsQuery{By: "file", From: corpus.Day.AddDate(0, 0, day), To: corpus.Day.AddDate(0, 0, day+1), Limit: 5000})
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	every := map[int]int{}
	for file := range 1200 {
		every[file] = 1 + file%2
	}
	for day := range 3 {
		write(day, every)
	}
	if _, err := l.Prune(t.Context(), sqlstore.Keep{Now: corpus.Day.AddDate(0, 0, 2).Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for day, want := range []int{1000, 1200, 1200} {
		if n := counted(day); n != want {
			t.Errorf("day %d: %d files are counted, want %d", day, n, want)
		}
	}
	stay := func() {
		t.Helper()
		r, err := l.Recount(t.Context(), corpus.Day)
		if err != nil || len(r.Differences) > 0 {
			t.Errorf("recount of a cut day: %+v, %v", r, err)
		}
	}
	stay()
	// A file that comes late does not get a count that begins at 7; one that kept its count counts on.
	write(0, map[int]int{5000: 7, 1: 9})
	if n := counted(0); n != 1000 {
		t.Errorf("a cut day grew to %d files", n)
	}
	stay()
	if _, err := l.Prune(t.Context(), sqlstore.Keep{Now: corpus.Day.AddDate(0, 0, 2).Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	stay()
}

func TestPruneTakesWhatIsOldAndNothingElse(t *testing.T) {
	l := open(t)
	now := corpus.Day.AddDate(0, 0, 100)
	var ids []tallyman.UUID
	add := func(days int, v tallyman.Verdict) {
		at := now.AddDate(0, 0, -days)
		tr := ofVictim(uint64(len(ids)), v)
		tr.ID, tr.Start, tr.Seen, tr.End = tallyman.DrawUUID(at, tallyman.ID{Seq: uint64(len(ids))}), at, at, at
		tr.Name = fmt.Sprintf("name-%d", days)
		ids = append(ids, tr.ID)
		event := &tallyman.Event{ID: tr.ID, At: at, Kind: "mount"}
		if err := l.Write(t.Context(), tallyman.Batch{Mark: tallyman.ID{Agent: victimAgent, Epoch: 1, Seq: 1}, Records: []tallyman.Record{tr, event}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, days := range []int{1, 10, 30, 50, 70} {
		add(days, tallyman.Complete)
	}
	add(70, tallyman.Active)
	before, err := l.Stats(t.Context(), tallyman.StatsQuery{By: "file"})
	if err != nil {
		t.Fatal(err)
	}
	done, err := l.Prune(t.Context(), sqlstore.Keep{Now: now, Transfers: 60 * 24 * time.Hour, Evidence: 40 * 24 * time.Hour, Events: 20 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if done.Transfers != 1 || done.Evidence != 3 || done.Events != 4 || !done.Oldest.Equal(now.AddDate(0, 0, -70).Add(time.Microsecond)) {
		t.Errorf("pruned %+v", done)
	}
	for i, id := range ids {
		tr, err := l.Transfer(t.Context(), id)
		if i == 4 {
			if err == nil {
				t.Error("the old one is still there")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := i < 3; want != (len(tr.Evidence) == 1) {
			t.Errorf("record %d has %d pieces of evidence", i, len(tr.Evidence))
		}
	}
	after, err := l.Stats(t.Context(), tallyman.StatsQuery{By: "file"})
	if err != nil || len(after) != len(before) {
		t.Errorf("the roll-ups went from %v to %v (%v)", before, after, err)
	}
	if mark, err := l.Committed(t.Context(), victimAgent); err != nil || mark.Seq != 1 {
		t.Errorf("the watermark is %v, %v", mark, err)
	}
}

func TestPruneBySizeTakesTheOldestFirst(t *testing.T) {
	l := open(t)
	fillLedger(t, l, 4000)
	before, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	bound := before.Used * 6 / 10
	done, err := l.Prune(t.Context(), sqlstore.Keep{Now: corpus.Day, MaxSize: bound})
	if err != nil {
		t.Fatal(err)
	}
	after, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.Used > bound || after.Used < bound/2 || after.Transfers != before.Transfers-done.Transfers {
		t.Errorf("%d bytes for %d rows became %d for %d, bound %d", before.Used, before.Transfers, after.Used, after.Transfers, bound)
	}
	oldest := time.Time{}
	for tr, err := range l.Transfers(t.Context(), tallyman.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		oldest = tr.Start
	}
	if oldest.Before(after.Floor) || !after.Floor.Equal(done.Oldest) {
		t.Errorf("the oldest starts %s, the floor is %s", oldest, after.Floor)
	}
	again := ofVictim(1, tallyman.Complete)
	if err := l.Write(t.Context(), tallyman.Batch{Records: []tallyman.Record{again}}); err != nil {
		t.Fatal(err)
	}
	if st, err := l.Status(t.Context()); err != nil || st.Late != 1 || st.Transfers != after.Transfers {
		t.Errorf("a pruned record came again: %+v, %v", st, err)
	}
}

func fillLedger(t testing.TB, l *Ledger, n int) {
	t.Helper()
	for part := range slices.Chunk(make([]int, n), 500) {
		var b tallyman.Batch
		st, err := l.Counts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range part {
			b.Records = append(b.Records, ofVictim(uint64(st.Transfers)+uint64(i)+1, tallyman.Complete))
		}
		if err := l.Write(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}
