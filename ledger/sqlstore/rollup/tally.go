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
	case Neither:
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

const (
	// denseItems is the size of the part of Tallies.place that is a plain slice: ids of dimensions are small numbers.
	denseItems = 1 << 20
	// Rows are made in blocks, which are never copied: the first one is small, the others grow.
	firstBlock, mostBlock = 1 << 5, 1 << 12
)

// Tallies adds up by item.
type Tallies struct {
	blocks [][]Tally
	place  []*Tally // by item
	rest   map[int64]*Tally
}

// Of is the row of an item.
func (s *Tallies) Of(item int64) *Tally {
	if item >= 0 && item < int64(len(s.place)) {
		if t := s.place[item]; t != nil {
			return t
		}
	}
	return s.add(item)
}

func (s *Tallies) add(item int64) *Tally {
	if t := s.rest[item]; t != nil {
		return t
	}
	last := len(s.blocks) - 1
	switch {
	case last < 0:
		s.blocks, last = append(s.blocks, make([]Tally, 0, firstBlock)), 0
	case len(s.blocks[last]) == cap(s.blocks[last]):
		s.blocks = append(s.blocks, make([]Tally, 0, min(2*cap(s.blocks[last]), mostBlock)))
		last++
	}
	s.blocks[last] = append(s.blocks[last], Tally{Item: item})
	t := &s.blocks[last][len(s.blocks[last])-1]
	if item < 0 || item >= denseItems {
		if s.rest == nil {
			s.rest = map[int64]*Tally{}
		}
		s.rest[item] = t
		return t
	}
	if n := int64(len(s.place)); item >= n {
		s.place = append(s.place, make([]*Tally, max(item+1-n, n, 64))...)
	}
	s.place[item] = t
	return t
}

// each calls f for the rows that count anything.
func (s *Tallies) each(f func(*Tally)) {
	for _, block := range s.blocks {
		for i := range block {
			if t := &block[i]; !t.isEmpty() {
				f(t)
			}
		}
	}
}

// Sorted returns the rows that count anything.
func (s *Tallies) Sorted(order func(a, b *Tally) int) []*Tally {
	var rows []*Tally
	s.each(func(t *Tally) { rows = append(rows, t) })
	slices.SortFunc(rows, order)
	return rows
}

// Top returns the rows with the most transfers, the first one first.
func (s *Tallies) Top(limit int) []*Tally {
	var best busiest
	s.each(func(t *Tally) {
		switch {
		case len(best) < limit:
			heap.Push(&best, t)
		case t.sum.Transfers >= best[0].sum.Transfers && ByTransfers(t, best[0]) < 0:
			best[0] = t
			heap.Fix(&best, 0)
		}
	})
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
