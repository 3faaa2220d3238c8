package corpus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

// Open returns an empty ledger, and closes it when the test ends.
type Open func(t testing.TB) tallyman.Ledger

// RunLedger checks that a ledger keeps the promises of tallyman.Ledger. The ledger may be slow: a few thousand records are written in all.
func RunLedger(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"what was written is read again, evidence and all", readBack},
		{"a newer revision replaces, an older or equal one is ignored", revisions},
		{"a batch that is repeated changes nothing", repeated},
		{"a mark moves forward only", marks},
		{"a batch whose context has ended is not stored", cancelled},
		{"a record that was united with another leaves lists and counts", merged},
		{"a list answers as the query language is defined", answers},
		{"tiles say what a count of the records says", tiles},
		{"pages give each record once while writing goes on", pages},
		{"a page goes on after a record that has gone", lostCursor},
		{"transfers that still run are listed with their evidence", running},
		{"events, gaps and findings are read again, newest first", events},
		{"what is not there is not found", missing},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}

var agent = tallyman.Agent{0xa9}

func write(t testing.TB, l tallyman.Ledger, seq uint64, records ...tallyman.Record) {
	t.Helper()
	if err := l.Write(t.Context(), tallyman.Batch{Mark: tallyman.ID{Agent: agent, Epoch: 1, Seq: seq}, Records: records}); err != nil {
		t.Fatal(err)
	}
}

func all[T any](t rapid.TB, seq iter.Seq2[T, error]) (out []T) {
	t.Helper()
	for r, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func same(t rapid.TB, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

func drawn(n int) []*tallyman.Transfer {
	d := &Drawer{Agent: agent}
	var out []*tallyman.Transfer
	one := rapid.Custom(d.Transfer)
	for i := range n {
		out = append(out, one.Example(i))
	}
	return out
}

// numbered is another agent each time, also while a failure is made smaller.
func numbered(n uint32) (a tallyman.Agent) {
	binary.BigEndian.PutUint32(a[:], n)
	return a
}

func readBack(t *testing.T, open Open) {
	l := open(t)
	n := uint32(0)
	rapid.Check(t, func(t *rapid.T) {
		n++
		tr := (&Drawer{Agent: numbered(n), seq: uint64(n) << 16}).Transfer(t)
		if err := l.Write(context.Background(), tallyman.Batch{Records: []tallyman.Record{tr}}); err != nil {
			t.Fatal(err)
		}
		got, err := l.Transfer(context.Background(), tr.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "transfer", got, tr)
		bare := *tr
		bare.Evidence = nil
		q := tallyman.Query{From: tr.Start, To: tr.Start.Add(time.Microsecond)}
		at := slices.IndexFunc(all(t, l.Transfers(context.Background(), q)), func(f *tallyman.Transfer) bool { return f.ID == tr.ID })
		if at < 0 {
			t.Fatal("the transfer is in no list")
		}
		same(t, "listed", all(t, l.Transfers(context.Background(), q))[at], &bare)
		q.Evidence = true
		same(t, "listed with evidence", all(t, l.Transfers(context.Background(), q))[at], tr)
	})
}

func revisions(t *testing.T, open Open) {
	l := open(t)
	n := uint32(0)
	rapid.Check(t, func(t *rapid.T) {
		n++
		d := &Drawer{Agent: numbered(n), seq: uint64(n) << 16}
		revs := []*tallyman.Transfer{d.Transfer(t)}
		for range rapid.IntRange(0, 3).Draw(t, "amendments") {
			revs = append(revs, d.Amend(t, revs[len(revs)-1]))
		}
		newest := revs[len(revs)-1]
		for _, tr := range rapid.Permutation(append(revs, revs...)).Draw(t, "order") {
			if err := l.Write(context.Background(), tallyman.Batch{Records: []tallyman.Record{tr}}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := l.Transfer(context.Background(), newest.ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(newest.Evidence) == 0 {
			got.Evidence = nil // a revision that brings none keeps what was known
		}
		same(t, "transfer", got, newest)
	})
}

func repeated(t *testing.T, open Open) {
	l := open(t)
	var records []tallyman.Record
	for _, tr := range drawn(50) {
		records = append(records, tr)
	}
	event := rapid.Custom((&Drawer{Agent: agent}).Event)
	for i := range 20 {
		records = append(records, event.Example(i))
	}
	write(t, l, 70, records...)
	before := everything(t, l)
	write(t, l, 70, records...)
	write(t, l, 30, records[:30]...)
	same(t, "after a repetition", everything(t, l), before)
}

// everything is all that a ledger answers.
func everything(t testing.TB, l tallyman.Ledger) []any {
	out := []any{
		all(t, l.Transfers(t.Context(), tallyman.Query{Evidence: true})),
		all(t, l.Events(t.Context(), tallyman.Query{})),
	}
	for _, by := range []string{"hour", "verdict", "proto", "host", "client", "file"} {
		st, err := l.Stats(t.Context(), tallyman.StatsQuery{By: by})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, st)
	}
	return out
}

func marks(t *testing.T, open Open) {
	l := open(t)
	committed := func(a tallyman.Agent) tallyman.ID {
		id, err := l.Committed(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	same(t, "mark of an agent that never wrote", committed(agent), tallyman.ID{})
	other := tallyman.Agent{7}
	tr := drawn(1)[0]
	tr.Evidence = []tallyman.Evidence{{ID: tallyman.ID{Agent: other, Seq: 1}}}
	write(t, l, 5, tr)
	same(t, "mark of an agent whose evidence another brought", committed(other), tallyman.ID{})
	for _, c := range []struct{ write, want tallyman.ID }{
		{tallyman.ID{Agent: agent, Epoch: 1, Seq: 3}, tallyman.ID{Agent: agent, Epoch: 1, Seq: 5}},
		{tallyman.ID{Agent: agent, Epoch: 1, Seq: 6}, tallyman.ID{Agent: agent, Epoch: 1, Seq: 6}},
		{tallyman.ID{Agent: agent, Epoch: 2, Seq: 1}, tallyman.ID{Agent: agent, Epoch: 2, Seq: 1}},
		{tallyman.ID{Agent: agent, Epoch: 1, Seq: 900}, tallyman.ID{Agent: agent, Epoch: 2, Seq: 1}},
		{tallyman.ID{Agent: other, Epoch: 1, Seq: 1 << 40}, tallyman.ID{Agent: agent, Epoch: 2, Seq: 1}},
		{tallyman.ID{}, tallyman.ID{Agent: agent, Epoch: 2, Seq: 1}},
	} {
		if err := l.Write(t.Context(), tallyman.Batch{Mark: c.write}); err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("mark after %+v", c.write), committed(agent), c.want)
	}
	same(t, "mark of the other agent", committed(other), tallyman.ID{Agent: other, Epoch: 1, Seq: 1 << 40})
}

func cancelled(t *testing.T, open Open) {
	l := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := l.Write(ctx, tallyman.Batch{Mark: tallyman.ID{Agent: agent, Seq: 1}, Records: []tallyman.Record{drawn(1)[0]}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the write ended in %v", err)
	}
	same(t, "transfers", len(all(t, l.Transfers(t.Context(), tallyman.Query{}))), 0)
	write(t, l, 1, drawn(1)[0])
}

func merged(t *testing.T, open Open) {
	l := open(t)
	list := drawn(20)
	for i, tr := range list {
		write(t, l, uint64(i+1), tr)
	}
	older, younger := list[3], *list[4]
	younger.Rev++
	younger.Merged = older.ID
	write(t, l, 30, &younger)
	for _, tr := range all(t, l.Transfers(t.Context(), tallyman.Query{})) {
		if tr.ID == younger.ID {
			t.Fatal("a merged record is listed")
		}
	}
	got, err := l.Transfer(t.Context(), younger.ID)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "merged into", got.Merged, older.ID)
	want := slices.Delete(slices.Clone(list), 4, 5)
	checkTiles(t, l, Day, want)
	write(t, l, 31, list[4])
	checkTiles(t, l, Day, want)
	never := *list[5]
	never.ID[15] ^= 1
	never.Merged = older.ID
	write(t, l, 32, &never)
	checkTiles(t, l, Day, want)
}

func lostCursor(t *testing.T, open Open) {
	l := open(t)
	list := drawn(40)
	for i, tr := range list {
		write(t, l, uint64(i+1), tr)
	}
	listed := all(t, l.Transfers(t.Context(), tallyman.Query{}))
	gone := *listed[10]
	gone.Rev++
	gone.Merged = listed[11].ID
	write(t, l, 50, &gone)
	rest := all(t, l.Transfers(t.Context(), tallyman.Query{After: tallyman.Cursor{At: gone.Start, ID: gone.ID}}))
	same(t, "records after the lost one", ids(rest), ids(listed[11:]))
	between := tallyman.Cursor{At: listed[20].Start.Add(time.Microsecond), ID: tallyman.UUID{1}}
	rest = all(t, l.Transfers(t.Context(), tallyman.Query{After: between, Limit: 5}))
	if len(rest) != 5 || rest[0].Start.After(between.At) {
		t.Fatalf("a cursor of a record that never was gives %d records", len(rest))
	}
}

func ids(list []*tallyman.Transfer) (out []tallyman.UUID) {
	for _, tr := range list {
		out = append(out, tr.ID)
	}
	return out
}

func running(t *testing.T, open Open) {
	l := open(t)
	want := map[tallyman.UUID]*tallyman.Transfer{}
	for i, tr := range drawn(60) {
		write(t, l, uint64(i+1), tr)
		if tr.Judgement.Verdict == tallyman.Active {
			want[tr.ID] = tr
		}
	}
	got := map[tallyman.UUID]*tallyman.Transfer{}
	for _, tr := range all(t, l.Transfers(t.Context(), tallyman.Query{Open: true, Evidence: true})) {
		got[tr.ID] = tr
	}
	if len(want) == 0 {
		t.Fatal("nothing drawn runs")
	}
	same(t, "running transfers", got, want)
}

func missing(t *testing.T, open Open) {
	l := open(t)
	if _, err := l.Transfer(t.Context(), tallyman.UUID{1}); !errors.Is(err, tallyman.ErrNotFound) {
		t.Fatalf("a transfer that is not there gives %v", err)
	}
	if list := all(t, l.Transfers(t.Context(), tallyman.Query{})); len(list) > 0 {
		t.Fatal("an empty ledger lists a transfer")
	}
	if st, err := l.Stats(t.Context(), tallyman.StatsQuery{By: "host"}); err != nil || len(st) != 0 {
		t.Fatalf("an empty ledger counts %v, %v", st, err)
	}
	if _, err := l.Stats(t.Context(), tallyman.StatsQuery{By: "colour"}); err == nil {
		t.Fatal("stats by a field that is no field give no error")
	}
}
