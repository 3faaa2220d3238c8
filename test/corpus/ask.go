package corpus

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
	"tallyman/query"
)

// inOrder are the records that fit a query, in the order of a list. Of two that start at one moment, the ledger may choose the order.
func inOrder(list []*tallyman.Transfer, q tallyman.Query) map[tallyman.UUID]bool {
	out := map[tallyman.UUID]bool{}
	for _, tr := range list {
		if query.Match(q.Where, tr) && (q.From.IsZero() || !tr.Start.Before(q.From)) && (q.To.IsZero() || tr.Start.Before(q.To)) {
			out[tr.ID] = true
		}
	}
	return out
}

// answers compares a ledger with package query, which defines the language.
func answers(t *testing.T, open Open) {
	l := open(t)
	list := drawn(300)
	for i, tr := range list {
		write(t, l, uint64(i+1), tr)
	}
	check := func(t rapid.TB, q tallyman.Query) {
		want := inOrder(list, q)
		got := all(t, l.Transfers(context.Background(), q))
		for i, tr := range got {
			if !want[tr.ID] {
				t.Fatalf("%s: %s does not fit, or came twice: %+v", query.String(q.Where), tr.ID, tr)
			}
			delete(want, tr.ID)
			if i > 0 && tr.Start.After(got[i-1].Start) {
				t.Fatalf("%s: %s stands before a newer one", query.String(q.Where), got[i-1].ID)
			}
		}
		for id := range want {
			i := slices.IndexFunc(list, func(tr *tallyman.Transfer) bool { return tr.ID == id })
			t.Fatalf("%s: %s is missing: %+v", query.String(q.Where), id, list[i])
		}
	}
	for _, name := range Names() {
		for _, cmp := range []tallyman.Cmp{tallyman.Equal, tallyman.Match} {
			check(t, tallyman.Query{Where: tallyman.Term{Field: tallyman.FieldFile, Cmp: cmp, Text: name}})
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		q := tallyman.Query{Where: expr(t, 3)}
		if rapid.Bool().Draw(t, "bounded") {
			q.From = Day.Add(time.Duration(rapid.IntRange(0, 96).Draw(t, "from")) * time.Hour)
			q.To = q.From.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "hours")) * time.Hour)
		}
		check(t, q)
	})
}

func expr(t *rapid.T, depth int) tallyman.Expr {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	if depth == 0 || kind < 3 {
		return term(t)
	}
	var list []tallyman.Expr
	for range rapid.IntRange(1, 3).Draw(t, "members") {
		list = append(list, expr(t, depth-1))
	}
	switch kind {
	case 3:
		return tallyman.And(list)
	case 4:
		return tallyman.Or(list)
	default:
		return tallyman.Not{Of: list[0]}
	}
}

func term(t *rapid.T) tallyman.Term {
	text := []string{
		"verdict:*", "verdict:failed", "verdict:active", "outcome:unknown", "outcome:failure", "reason:not-found", "reason:*gap*", "reason:client-silent",
		"client:10.20.0.0/16", "client:10.20.0.5", "client:10.20.0.4/30", "client:0.0.0.0/0", "client:::/0", "client:2001:db8::/33", "client:fe80::1", "client:2001:db8::/48",
		"proto:tftp", "proto:ftp,sftp", "op:upload", "op:get", "op:list,delete", "host:alpha", "host:a*", `host:""`, "user:tally", `user:""`, "user:?ally", "user:*",
		"size:>1000", "size:<=500", "size:0", "took:<2s", "took:>=1s", "search:yes", "search:no", "to_class:removable", "-to_class:removable", "to_class:local,cloud", "kind:transfer", "kind:gap",
		"sha256:00", "sha256:" + hexOf(1), "sha256:0*", "file:x", "file:router*", "file:*confg", "file:*-confg*", "file:r*-?-*g", `file:a\*b`, `file:a\\\*b`,
		`file:*\xff*`, `file:\xff?`, `file:bad\xff*`, "file:?", "file:??", "file:*", `file:""`, "file:pxelinux.cfg/*", "file:100?", "file:a[b]*", `file:*\n*`, "file:*'*",
		"router", "ROUTER", "confg", "10.20", "2001:db8", "silent", "*ent", "*.bin", "?", `caf\u00e9`, `\xff`, `\x80`, "%", "_", "'", "fe80::1",
	}
	e, err := query.Parse(rapid.SampledFrom(text).Draw(t, "term"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		switch list := e.(type) {
		case tallyman.Term:
			return list
		case tallyman.Or:
			e = list[0]
		case tallyman.And:
			e = list[0]
		case tallyman.Not:
			e = list.Of
		default:
			t.Fatalf("a term gave %T", e)
		}
	}
}

// pages reads page by page while another goroutine writes newer and older records and revises those that are read.
func pages(t *testing.T, open Open) {
	l := open(t)
	list := drawn(200)
	for i, tr := range list {
		write(t, l, uint64(i+1), tr)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i, tr := range (&amendments{list: list}).all() {
			select {
			case <-stop:
				return
			default:
			}
			b := tallyman.Batch{Mark: tallyman.ID{Agent: agent, Epoch: 1, Seq: uint64(1000 + i)}, Records: []tallyman.Record{tr}}
			if err := l.Write(context.Background(), b); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for _, where := range []string{"", "file:*o*", "client:10.0.0.0/8", "verdict:failed,aborted,unproven"} {
		e, err := query.Parse(where, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[tallyman.UUID]int{}
		q := tallyman.Query{Where: e, Limit: 7}
		for {
			page := all(t, l.Transfers(t.Context(), q))
			for _, tr := range page {
				seen[tr.ID]++
			}
			if len(page) < q.Limit {
				break
			}
			last := page[len(page)-1]
			q.After = tallyman.Cursor{At: last.Start, ID: last.ID}
		}
		for _, tr := range list {
			if want := query.Match(e, tr); want && seen[tr.ID] != 1 {
				t.Errorf("%s: %s came %d times", where, tr.ID, seen[tr.ID])
			}
		}
		for id, n := range seen {
			if n > 1 {
				t.Errorf("%s: %s came %d times", where, id, n)
			}
		}
	}
	close(stop)
	<-stopped
}

// amendments are new records, and revisions that change neither place nor file nor verdict of the old ones.
type amendments struct{ list []*tallyman.Transfer }

func (a *amendments) all() (out []*tallyman.Transfer) {
	one := rapid.Custom((&Drawer{Agent: tallyman.Agent{0xbb}}).Transfer)
	for i := range 300 {
		again := *a.list[i%len(a.list)]
		again.Rev += uint32(1 + i/len(a.list))
		again.Tags = []string{"again"}
		out = append(out, one.Example(i), &again)
	}
	return out
}

func events(t *testing.T, open Open) {
	l := open(t)
	d := &Drawer{Agent: agent}
	one := rapid.Custom(d.Event)
	var want []tallyman.Record
	for i := range 120 {
		want = append(want, one.Example(i))
	}
	write(t, l, 1, want...)
	byTime := func(a, b tallyman.Record) int { return placeOf(b).Compare(placeOf(a)) }
	slices.SortStableFunc(want, byTime)
	got := all(t, l.Events(t.Context(), tallyman.Query{}))
	same(t, "number of events", len(got), len(want))
	if !slices.IsSortedFunc(got, byTime) {
		t.Fatal("events are not newest first")
	}
	known := map[tallyman.UUID]tallyman.Record{}
	for _, r := range want {
		known[idOf(r)] = r
	}
	for _, r := range got {
		same(t, "event", r, known[idOf(r)])
	}
	for text, fits := range map[string]func(tallyman.Record) bool{
		"kind:gap":                func(r tallyman.Record) bool { _, ok := r.(*tallyman.Gap); return ok },
		"kind:finding":            func(r tallyman.Record) bool { _, ok := r.(*tallyman.Finding); return ok },
		"kind:mount":              func(r tallyman.Record) bool { e, ok := r.(*tallyman.Event); return ok && e.Kind == "mount" },
		"to_class:removable":      func(r tallyman.Record) bool { e, ok := r.(*tallyman.Event); return ok && e.ToClass == "removable" },
		"to_class:cloud":          func(tallyman.Record) bool { return false },
		"host:alpha":              func(r tallyman.Record) bool { return hostOf(r) == "alpha" },
		"-kind:gap -kind:finding": func(r tallyman.Record) bool { _, ok := r.(*tallyman.Event); return ok },
		"startup":                 func(r tallyman.Record) bool { return strings.Contains(textOf(r), "startup") },
		"verdict:failed":          func(tallyman.Record) bool { return false },
	} {
		e, err := query.Parse(text, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		same(t, text, idsOf(all(t, l.Events(t.Context(), tallyman.Query{Where: e}))), idsOf(filter(got, fits)))
	}
	var paged []tallyman.Record
	q := tallyman.Query{Limit: 7}
	for {
		page := all(t, l.Events(t.Context(), q))
		paged = append(paged, page...)
		if len(page) < q.Limit {
			break
		}
		last := page[len(page)-1]
		q.After = tallyman.Cursor{At: placeOf(last), ID: idOf(last)}
	}
	same(t, "events by pages", idsOf(paged), idsOf(got))
	some := all(t, l.Events(t.Context(), tallyman.Query{From: Day.Add(24 * time.Hour), To: Day.Add(48 * time.Hour)}))
	same(t, "events of a day", idsOf(some), idsOf(filter(got, func(r tallyman.Record) bool {
		at := placeOf(r)
		return !at.Before(Day.Add(24*time.Hour)) && at.Before(Day.Add(48*time.Hour))
	})))
}

func filter(list []tallyman.Record, fits func(tallyman.Record) bool) (out []tallyman.Record) {
	for _, r := range list {
		if fits(r) {
			out = append(out, r)
		}
	}
	return out
}

func idsOf(list []tallyman.Record) (out []tallyman.UUID) {
	for _, r := range list {
		out = append(out, idOf(r))
	}
	return out
}

func idOf(r tallyman.Record) tallyman.UUID {
	switch r := r.(type) {
	case *tallyman.Event:
		return r.ID
	case *tallyman.Gap:
		return r.ID
	case *tallyman.Finding:
		return r.ID
	default:
		return tallyman.UUID{}
	}
}

func placeOf(r tallyman.Record) time.Time {
	switch r := r.(type) {
	case *tallyman.Event:
		return r.At
	case *tallyman.Gap:
		return r.To
	case *tallyman.Finding:
		return r.At
	default:
		return time.Time{}
	}
}

func hostOf(r tallyman.Record) string {
	switch r := r.(type) {
	case *tallyman.Event:
		return r.Host
	case *tallyman.Gap:
		return r.Host
	default:
		return ""
	}
}

func textOf(r tallyman.Record) string {
	switch r := r.(type) {
	case *tallyman.Event:
		return cmp.Or(r.Text, r.Path)
	case *tallyman.Gap:
		return r.Why
	case *tallyman.Finding:
		return r.Why
	default:
		return ""
	}
}

// Fits is what package query says of a pattern and the whole of a text.
func Fits(pattern, text string) bool {
	return query.Match(tallyman.Term{Field: tallyman.FieldUser, Cmp: tallyman.Match, Text: pattern}, &tallyman.Transfer{User: text})
}
