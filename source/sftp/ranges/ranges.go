// Package ranges remembers which bytes of a file went by, whatever the order: the proof that nothing is missing. It is pure.
package ranges

import "slices"

// Most is how many separate stretches a set holds. A client that leaves more holes open than that has its further bytes counted as missing.
const Most = 4096

// Set is a set of bytes. The zero Set is empty.
type Set struct {
	list []stretch // sorted, apart from each other
}

type stretch struct{ from, to int64 }

// Add adds n bytes from a place on. It is false when there are too many holes to remember them.
func (s *Set) Add(from, n int64) bool {
	if n <= 0 {
		return true
	}
	to := from + n
	if last := len(s.list) - 1; last >= 0 && s.list[last].to == from { // in order, as most clients write
		s.list[last].to = to
		return true
	}
	i, _ := slices.BinarySearchFunc(s.list, from, func(x stretch, from int64) int {
		if x.to < from {
			return -1
		}
		return 1
	})
	j := i
	for j < len(s.list) && s.list[j].from <= to {
		from, to = min(from, s.list[j].from), max(to, s.list[j].to)
		j++
	}
	if i == j && len(s.list) >= Most {
		return false
	}
	s.list = slices.Replace(s.list, i, j, stretch{from, to})
	return true
}

// Cut takes away all from a place on.
func (s *Set) Cut(at int64) {
	for i := range s.list {
		if s.list[i].to > at {
			if s.list[i].from < at {
				s.list[i].to = at
				i++
			}
			s.list = s.list[:i]
			return
		}
	}
}

// Front returns how many bytes there are from the begin on, without a hole.
func (s *Set) Front() int64 {
	if len(s.list) > 0 && s.list[0].from == 0 {
		return s.list[0].to
	}
	return 0
}

// Sum returns how many bytes there are.
func (s *Set) Sum() int64 {
	n := int64(0)
	for _, x := range s.list {
		n += x.to - x.from
	}
	return n
}

// Hole returns the first stretch below size that is missing, and false if there is none.
func (s *Set) Hole(size int64) (from, to int64, ok bool) {
	at := int64(0)
	for _, x := range s.list {
		if x.from > at {
			break
		}
		at = x.to
	}
	if at >= size {
		return 0, 0, false
	}
	to = size
	for _, x := range s.list {
		if x.from > at {
			to = min(to, x.from)
			break
		}
	}
	return at, to, true
}
