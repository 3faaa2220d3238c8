package corpus

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

// Tile counts records as a ledger's Stats must: what moves content and is no listing, by the UTC hour or day of its start. Probes and boot searches are
// no transfers.
func Tile(list []*tallyman.Transfer, q tallyman.StatsQuery) map[string]tallyman.Stat {
	slot := 24 * time.Hour
	if q.By == "hour" || q.By == "verdict" || q.By == "proto" {
		slot = time.Hour
	}
	out := map[string]tallyman.Stat{}
	for _, tr := range list {
		at := tr.Start.Truncate(slot)
		if !q.From.IsZero() && at.Before(q.From.Truncate(slot)) || !q.To.IsZero() && !at.Before(q.To) {
			continue
		}
		if !tr.Merged.IsZero() || !tr.Op.MovesContent() || tr.Op == tallyman.OpList {
			continue
		}
		request := tr.Judgement.Verdict != tallyman.Probe && !isSearch(tr.Details)
		key := keyOf(tr, q.By, at)
		if key == "" || !request && q.By == "file" {
			continue
		}
		st := out[key]
		count(&st, tr, request, q.By != "client" && q.By != "file")
		st.Key = key
		out[key] = st
	}
	return out
}

func isSearch(details string) bool {
	var facts map[string]json.RawMessage
	return strings.HasPrefix(details, "{") && json.Unmarshal([]byte(details), &facts) == nil && facts["search"] != nil
}

func keyOf(tr *tallyman.Transfer, by string, at time.Time) string {
	switch by {
	case "hour":
		return at.Format(time.RFC3339)
	case "verdict":
		return tr.Judgement.Verdict.String()
	case "proto":
		return tr.Proto
	case "host":
		return "host " + tr.Host
	case "client":
		if !tr.Client.Addr().IsValid() {
			return ""
		}
		return tr.Client.Addr().String()
	default:
		return tr.File()
	}
}

func count(st *tallyman.Stat, tr *tallyman.Transfer, request, verdicts bool) {
	st.Bytes += max(tr.Bytes, 0)
	v := tr.Judgement.Verdict
	switch {
	case request:
		st.Transfers++
		switch tr.Op.Direction() {
		case "upload":
			st.Uploads++
		case "download":
			st.Downloads++
		}
	default:
		st.Searches++
	}
	if verdicts && (request || v == tallyman.Probe) {
		if st.Verdicts == nil {
			st.Verdicts = map[tallyman.Verdict]int64{}
		}
		st.Verdicts[v]++
	}
}

// checkTiles asks for days that lie around those in which the records start, and for parts of them.
func checkTiles(t rapid.TB, l tallyman.Ledger, from time.Time, list []*tallyman.Transfer) {
	t.Helper()
	for _, by := range []string{"hour", "verdict", "proto", "host", "client", "file"} {
		for _, hours := range [][2]time.Duration{{-48, 144}, {25, 50}, {0, 24}, {47, 48}} {
			q := tallyman.StatsQuery{By: by, From: from.Add(hours[0]*time.Hour + time.Minute), To: from.Add(hours[1]*time.Hour + time.Minute)}
			CheckTile(t, l, list, q)
		}
	}
}

// CheckTile compares an answer of a ledger with a count of the records.
func CheckTile(t rapid.TB, l tallyman.Ledger, list []*tallyman.Transfer, q tallyman.StatsQuery) {
	t.Helper()
	rows, err := l.Stats(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	want := Tile(list, q)
	seen := map[string]bool{}
	for i, st := range rows {
		if q.By == "host" {
			st.Key = "host " + st.Key
		}
		w := want[st.Key]
		equal := maps.Equal(st.Verdicts, w.Verdicts)
		st.Verdicts, w.Verdicts = nil, nil
		if seen[st.Key] || !equal || st.Key != w.Key || st.Transfers != w.Transfers || st.Uploads != w.Uploads || st.Downloads != w.Downloads ||
			st.Bytes != w.Bytes || st.Searches != w.Searches {
			t.Fatalf("stats by %s from %s to %s: %+v %v\nwant %+v %v", q.By, q.From, q.To, rows[i], rows[i].Verdicts, w, want[st.Key].Verdicts)
		}
		seen[st.Key] = true
		if i > 0 && q.By != "hour" && q.By != "verdict" && st.Transfers > rows[i-1].Transfers {
			t.Fatalf("stats by %s: %q stands behind %q", q.By, st.Key, rows[i-1].Key)
		}
	}
	if len(rows) != len(want) {
		t.Fatalf("stats by %s from %s to %s: %d rows, want %d", q.By, q.From, q.To, len(rows), len(want))
	}
}

// tiles writes, amends, merges and repeats at random, and compares every answer with a count.
func tiles(t *testing.T, open Open) {
	l := open(t)
	from := Day
	n := uint32(0)
	var written []*tallyman.Transfer
	rapid.Check(t, func(t *rapid.T) {
		n++
		from = from.AddDate(0, 0, 10)
		d := &Drawer{Agent: numbered(n), From: from, seq: uint64(n) << 16}
		var list []*tallyman.Transfer
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			var records []tallyman.Record
			for range rapid.IntRange(1, 8).Draw(t, "records") {
				list = d.step(t, list, &records)
			}
			if err := l.Write(context.Background(), tallyman.Batch{Records: records}); err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "look") {
				checkTiles(t, l, from, list)
			}
		}
		checkTiles(t, l, from, list)
		written = append(written, list...)
	})
	for _, by := range []string{"verdict", "proto", "host", "client", "file"} {
		CheckTile(t, l, written, tallyman.StatsQuery{By: by})
		CheckTile(t, l, written, tallyman.StatsQuery{By: by, From: from.AddDate(0, 0, -100)})
		CheckTile(t, l, written, tallyman.StatsQuery{By: by, To: from.AddDate(0, 0, -100)})
	}
}

// step draws a new record, an amendment, a merger or a repetition, and returns the newest revisions of all.
func (d *Drawer) step(t *rapid.T, list []*tallyman.Transfer, records *[]tallyman.Record) []*tallyman.Transfer {
	what := rapid.IntRange(0, 5).Draw(t, "what")
	if what < 3 || len(list) == 0 {
		tr := d.Transfer(t)
		*records = append(*records, tr)
		return append(list, tr)
	}
	i := rapid.IntRange(0, len(list)-1).Draw(t, "which")
	tr := list[i]
	switch {
	case what == 3 && tr.Merged.IsZero():
		tr = d.Amend(t, tr)
	case what == 4:
		again := *tr
		again.Rev++
		again.Merged = list[0].ID
		tr = &again
	}
	*records = append(*records, tr)
	list[i] = tr
	return list
}
