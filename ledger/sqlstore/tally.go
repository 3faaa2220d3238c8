package sqlstore

import (
	"cmp"
	"container/heap"
	"slices"

	"tallyman"
)

// tally is what a row of an answer adds up.
type tally struct {
	item     int64
	sum      count
	up, down int64
	verdicts *[tallyman.Contradicted + 1]count
}

func (t *tally) add(at cell, c count) {
	t.sum.add(c)
	switch at.direction {
	case upload:
		t.up += c.transfers
	case download:
		t.down += c.transfers
	}
	if v := int(at.verdict); v > 0 && v <= int(tallyman.Contradicted) {
		if t.verdicts == nil {
			t.verdicts = new([tallyman.Contradicted + 1]count)
		}
		t.verdicts[v].add(c)
	}
}

func (t *tally) isEmpty() bool { return t.sum.transfers == 0 && t.sum.searches == 0 }

func (t *tally) stat(key string) tallyman.Stat {
	st := tallyman.Stat{Key: key, Transfers: t.sum.transfers, Bytes: t.sum.bytes, Searches: t.sum.searches, Uploads: t.up, Downloads: t.down}
	if t.verdicts == nil {
		return st
	}
	st.Verdicts = map[tallyman.Verdict]int64{}
	for i, c := range t.verdicts {
		v, n := tallyman.Verdict(i), c.transfers
		if v == tallyman.Probe {
			n += c.searches
		}
		if n != 0 {
			st.Verdicts[v] = n
		}
	}
	return st
}

// denseItems is the size of the part of tallies.place that is a plain slice: ids of dimensions are small numbers.
const denseItems = 1 << 22

// tallies adds up by item.
type tallies struct {
	rows  []tally
	place []int32 // item -> its row plus one
	rest  map[int64]int32
}

func (s *tallies) of(item int64) *tally {
	if item < 0 || item >= denseItems {
		if s.rest == nil {
			s.rest = map[int64]int32{}
		}
		if s.rest[item] == 0 {
			s.rows = append(s.rows, tally{item: item})
			s.rest[item] = int32(len(s.rows))
		}
		return &s.rows[s.rest[item]-1]
	}
	if item >= int64(len(s.place)) {
		s.place = append(s.place, make([]int32, item+1-int64(len(s.place)))...)
	}
	if s.place[item] == 0 {
		s.rows = append(s.rows, tally{item: item})
		s.place[item] = int32(len(s.rows))
	}
	return &s.rows[s.place[item]-1]
}

// sorted returns the rows that count anything.
func (s *tallies) sorted(order func(a, b *tally) int) []*tally {
	var rows []*tally
	for i := range s.rows {
		if !s.rows[i].isEmpty() {
			rows = append(rows, &s.rows[i])
		}
	}
	slices.SortFunc(rows, order)
	return rows
}

// top returns the rows with the most transfers, the first one first.
func (s *tallies) top(limit int) []*tally {
	var best busiest
	for i := range s.rows {
		t := &s.rows[i]
		switch {
		case t.isEmpty():
		case len(best) < limit:
			heap.Push(&best, t)
		case byTransfers(t, best[0]) < 0:
			best[0] = t
			heap.Fix(&best, 0)
		}
	}
	slices.SortFunc(best, byTransfers)
	return best
}

func byTransfers(a, b *tally) int {
	return cmp.Or(cmp.Compare(b.sum.transfers, a.sum.transfers), cmp.Compare(b.sum.searches, a.sum.searches), cmp.Compare(a.item, b.item))
}

// busiest is a heap with the last of the best rows on top.
type busiest []*tally

func (b busiest) Len() int           { return len(b) }
func (b busiest) Less(i, j int) bool { return byTransfers(b[i], b[j]) > 0 }
func (b busiest) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busiest) Push(x any)        { *b = append(*b, x.(*tally)) }
func (b *busiest) Pop() any {
	old := *b
	t := old[len(old)-1]
	*b = old[:len(old)-1]
	return t
}
