package ranges

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSetKnowsEachByte(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		const size = 64
		var s Set
		var has [size]bool
		for range rapid.IntRange(0, 30).Draw(rt, "steps") {
			at, n := rapid.Int64Range(0, size-1).Draw(rt, "at"), rapid.Int64Range(0, size).Draw(rt, "n")
			n = min(n, size-at)
			if rapid.IntRange(0, 9).Draw(rt, "cut") == 0 {
				s.Cut(at)
				clear(has[at:])
				continue
			}
			s.Add(at, n)
			for i := at; i < at+n; i++ {
				has[i] = true
			}
		}
		sum, front, hole, end := int64(0), int64(-1), int64(-1), int64(-1)
		for i, h := range has {
			if h {
				sum++
			}
			switch {
			case !h && hole < 0:
				hole = int64(i)
			case h && hole >= 0 && end < 0:
				end = int64(i)
			}
			if !h && front < 0 {
				front = int64(i)
			}
		}
		if front < 0 {
			front = size
		}
		if hole >= 0 && end < 0 {
			end = size
		}
		from, to, ok := s.Hole(size)
		if s.Sum() != sum || s.Front() != front || ok != (hole >= 0) || ok && (from != hole || to != end) {
			rt.Fatalf("%+v: sum %d front %d hole %d-%d %v, want %d %d %d-%d", s.list, s.Sum(), s.Front(), from, to, ok, sum, front, hole, end)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	var s Set
	for i := range int64(Most) {
		if !s.Add(i*2, 1) {
			t.Fatal("too few are held")
		}
	}
	if s.Add(Most*2, 1) || len(s.list) != Most {
		t.Error("too many are held")
	}
	if !s.Add(1, 1) || len(s.list) != Most-1 {
		t.Error("a hole that is filled takes room")
	}
}
