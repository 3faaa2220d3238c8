package rollup

import (
	"cmp"
	"container/heap"
	"slices"

	"tallyman"
)

// Tally is what a row of an answer adds up.
type Tally struct {
	Item     int64
	sum      Count
	up, down int64
	verdicts *[tallyman.Contradicted + 1]Count
}

// Add adds a cell.
func (t *Tally) Add(at Cell, c Count) {
	t.sum.add(c)
	switch at.Direction {
	case Upload:
		t.up += c.Transfers
	case Download:
		t.down += c.Transfers
	}
	if v := int(at.Verdict); v > 0 && v <= int(tallyman.Contradicted) {
		if t.verdicts == nil {
			t.verdicts = new([tallyman.Contradicted + 1]Count)
		}
		t.verdicts[v].add(c)
	}
}

func (t *Tally) isEmpty() bool { return t.sum.Transfers == 0 && t.sum.Searches == 0 }

// Stat is the row, under the name of its item.
func (t *Tally) Stat(key string) tallyman.Stat {
	st := tallyman.Stat{Key: key, Transfers: t.sum.Transfers, Bytes: t.sum.Bytes, Searches: t.sum.Searches, Uploads: t.up, Downloads: t.down}
	if t.verdicts == nil {
		return st
	}
	st.Verdicts = map[tallyman.Verdict]int64{}
	for i, c := range t.verdicts {
		v, n := tallyman.Verdict(i), c.Transfers
		if v == tallyman.Probe {
			n += c.Searches
		}
		if n != 0 {
			st.Verdicts[v] = n
		}
	}
	return st
}

// denseItems is the size of the part of Tallies.place that is a plain slice: ids of dimensions are small numbers.
const denseItems = 1 << 22

// Tallies adds up by item.
type Tallies struct {
	rows  []Tally
	place []int32 // item -> its row plus one
	rest  map[int64]int32
}

// Of is the row of an item, until the next row is made.
func (s *Tallies) Of(item int64) *Tally {
	if item < 0 || item >= denseItems {
		if s.rest == nil {
			s.rest = map[int64]int32{}
		}
		if s.rest[item] == 0 {
			s.rows = append(s.rows, Tally{Item: item})
			s.rest[item] = int32(len(s.rows))
		}
		return &s.rows[s.rest[item]-1]
	}
	if item >= int64(len(s.place)) {
		s.place = append(s.place, make([]int32, item+1-int64(len(s.place)))...)
	}
	if s.place[item] == 0 {
		s.rows = append(s.rows, Tally{Item: item})
		s.place[item] = int32(len(s.rows))
	}
	return &s.rows[s.place[item]-1]
}

// Sorted returns the rows that count anything.
func (s *Tallies) Sorted(order func(a, b *Tally) int) []*Tally {
	var rows []*Tally
	for i := range s.rows {
		if !s.rows[i].isEmpty() {
			rows = append(rows, &s.rows[i])
		}
	}
	slices.SortFunc(rows, order)
	return rows
}

// Top returns the rows with the most transfers, the first one first.
func (s *Tallies) Top(limit int) []*Tally {
	var best busiest
	for i := range s.rows {
		t := &s.rows[i]
		switch {
		case t.isEmpty():
		case len(best) < limit:
			heap.Push(&best, t)
		case ByTransfers(t, best[0]) < 0:
			best[0] = t
			heap.Fix(&best, 0)
		}
	}
	slices.SortFunc(best, ByTransfers)
	return best
}

// ByTransfers orders rows: the most transfers first.
func ByTransfers(a, b *Tally) int {
	return cmp.Or(cmp.Compare(b.sum.Transfers, a.sum.Transfers), cmp.Compare(b.sum.Searches, a.sum.Searches), cmp.Compare(a.Item, b.Item))
}

// busiest is a heap with the last of the best rows on top.
type busiest []*Tally

func (b busiest) Len() int           { return len(b) }
func (b busiest) Less(i, j int) bool { return ByTransfers(b[i], b[j]) > 0 }
func (b busiest) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }
func (b *busiest) Push(x any)        { *b = append(*b, x.(*Tally)) }
func (b *busiest) Pop() any {
	old := *b
	t := old[len(old)-1]
	*b = old[:len(old)-1]
	return t
}
