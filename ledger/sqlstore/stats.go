package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
)

const (
	mostStats = 1000
	forever   = math.MaxInt64 / 2
)

// Stats implements tallyman.Ledger. Hours come oldest first (the newest ones, where there are more than the limit), verdicts in the order of
// tallyman.Verdicts, all others by the number of transfers. A probe counts in Searches and in Verdicts[Probe]; a boot search in Searches
// alone. Files have no searches: nobody asked for their content.
func (s *Store) Stats(ctx context.Context, q tallyman.StatsQuery) ([]tallyman.Stat, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = mostStats
	}
	switch q.By {
	case "hour", "verdict", "proto":
		return s.hourStats(ctx, q, limit)
	case "host":
		return s.dayStats(ctx, q, rollup.ByHost, limit)
	case "client":
		return s.dayStats(ctx, q, rollup.ByClient, limit)
	case "file":
		return s.dayStats(ctx, q, rollup.ByFile, limit)
	default:
		return nil, fmt.Errorf("stats by %q: choose hour, verdict, proto, host, client or file", tallyman.Escape(q.By))
	}
}

// slots is the interval of a question in slots, both ends included.
func slots(from, to time.Time, slot int64) (first, last int64) {
	first, last = -forever, forever
	if !from.IsZero() {
		first = rollup.Floor(micros(from), slot)
	}
	if !to.IsZero() {
		last = rollup.Floor(micros(to)-1, slot)
	}
	return first, last
}

func (s *Store) hourStats(ctx context.Context, q tallyman.StatsQuery, limit int) ([]tallyman.Stat, error) {
	first, last := slots(q.From, q.To, rollup.Hour)
	var sums rollup.Tallies
	err := s.each(ctx, rollup.ByHour, rollup.Floor(first, 24), rollup.Floor(last, 24), func(at rollup.Cell, c rollup.Count) {
		if at.Slot < first || at.Slot > last {
			return
		}
		item := at.Slot
		switch q.By {
		case "verdict":
			item = int64(at.Verdict)
		case "proto":
			item = at.Item
		}
		sums.Of(item).Add(at, c)
	})
	if err != nil {
		return nil, err
	}
	switch q.By {
	case "hour":
		rows := sums.Sorted(func(a, b *rollup.Tally) int { return cmp.Compare(a.Item, b.Item) })
		rows = rows[max(0, len(rows)-limit):]
		return named(rows, func(item int64) string {
			return time.Unix(item*3600, 0).UTC().Format(time.RFC3339)
		}), nil
	case "verdict":
		order := tallyman.Verdicts()
		rows := sums.Sorted(func(a, b *rollup.Tally) int {
			return cmp.Compare(slices.Index(order, tallyman.Verdict(a.Item)), slices.Index(order, tallyman.Verdict(b.Item)))
		})
		return named(rows[:min(limit, len(rows))], func(item int64) string { return tallyman.Verdict(item).String() }), nil
	default:
		return s.top(ctx, sums, rollup.ByHour, limit)
	}
}

func named(rows []*rollup.Tally, name func(int64) string) []tallyman.Stat {
	out := make([]tallyman.Stat, len(rows))
	for i, t := range rows {
		out[i] = t.Stat(name(t.Item))
	}
	return out
}

func (s *Store) dayStats(ctx context.Context, q tallyman.StatsQuery, of rollup.Series, limit int) ([]tallyman.Stat, error) {
	first, last := slots(q.From, q.To, rollup.Day)
	var sums rollup.Tallies
	err := s.each(ctx, of, first, last, func(at rollup.Cell, c rollup.Count) {
		sums.Of(at.Item).Add(at, c)
	})
	if err != nil {
		return nil, err
	}
	return s.top(ctx, sums, of, limit)
}

// top names the rows with the most transfers.
func (s *Store) top(ctx context.Context, sums rollup.Tallies, of rollup.Series, limit int) ([]tallyman.Stat, error) {
	rows := sums.Top(limit)
	items := make([]int64, len(rows))
	for i, t := range rows {
		items[i] = t.Item
	}
	names, err := s.names(ctx, of, items)
	if err != nil {
		return nil, err
	}
	return named(rows, func(item int64) string { return names[item] }), nil
}

// names reads what people call the items of a series.
func (s *Store) names(ctx context.Context, of rollup.Series, items []int64) (map[int64]string, error) {
	table, column := "word", "text"
	switch of {
	case rollup.ByClient:
		table, column = "address", "ip"
	case rollup.ByFile:
		table, column = "file", "name"
	case rollup.ByHour, rollup.ByHost:
	}
	out := make(map[int64]string, len(items))
	for part := range slices.Chunk(items, 500) {
		query := "SELECT id, " + column + " FROM " + table + " WHERE id IN (" + list(len(part)) + ")"
		args := make([]any, len(part))
		for i, id := range part {
			args[i] = id
		}
		err := s.query(ctx, query, args, func(scan scanner) error {
			var id int64
			var name []byte
			if err := scan(&id, &name); err != nil {
				return err
			}
			if of == rollup.ByClient {
				ip, err := ipOf(name)
				out[id] = ip.String()
				return err
			}
			out[id] = tallyman.Escape(string(name))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read names of %s: %w", table, err)
		}
	}
	return out, nil
}
