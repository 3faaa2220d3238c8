package rollup

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tallyman"
)

func TestBusiestAreTheFirstOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sums Tallies
		for range rapid.IntRange(0, 60).Draw(t, "n") {
			item := rapid.SampledFrom([]int64{0, 1, 2, 3, 5, 8, 1000, denseItems, 1 << 40, -1}).Draw(t, "item")
			sums.Of(item).Add(Cell{}, Count{Transfers: rapid.Int64Range(0, 3).Draw(t, "transfers"), Searches: rapid.Int64Range(0, 1).Draw(t, "searches")})
		}
		all := sums.Sorted(ByTransfers)
		limit := rapid.IntRange(1, 12).Draw(t, "limit")
		if got := sums.Top(limit); !slices.Equal(got, all[:min(limit, len(all))]) {
			t.Fatalf("top %d of %d: %d", limit, len(all), len(got))
		}
	})
}

func TestHoursAndDaysAreThoseOfUTC(t *testing.T) {
	is := func(at string, hour, day int64) {
		t.Helper()
		tm, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Fatal(err)
		}
		if h, d := HourOf(tm.UnixMicro()), DayOf(tm.UnixMicro()); h != hour || d != day {
			t.Errorf("%s is in hour %d of day %d, want %d and %d", at, h, d, hour, day)
		}
	}
	is("1970-01-01T00:00:00Z", 0, 0)
	is("1969-12-31T23:59:59.999999Z", -1, -1)
	is("1970-01-01T23:30:00-01:00", 24, 1)
	is("2026-03-09T00:00:00Z", 24*20521, 20521)
}

func TestDaysBeyondTheBoundAreForgottenOldestFirst(t *testing.T) {
	im := NewImages()
	big := func() *Image { return &Image{cells: make([]Cell, mostCells/4), sums: make([]Count, mostCells/4)} }
	for day := range int64(6) {
		im.Hold(DayOfSeries{ByHost, day}, big())
	}
	im.Hold(DayOfSeries{ByHost, 0}, big())
	var held []int64
	for d := range im.held {
		held = append(held, d.Day)
	}
	slices.Sort(held)
	if fmt.Sprint(held) != "[2 3 4 5]" || im.cells != mostCells {
		t.Errorf("days %v hold %d cells", held, im.cells)
	}
}

func TestImageIsWhatTheTableSaysHoweverReadingAndCommitsInterleave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := NewImages()
		table, commit := Change{}, int64(rapid.IntRange(0, 3).Draw(t, "begin"))
		day := func(n int64) DayOfSeries { return DayOfSeries{ByHost, n} }
		read := func(n int64) *Image {
			i := &Image{AsOf: commit}
			for at, c := range table {
				if at.Slot == n {
					i.Put(at, c)
				}
			}
			return i
		}
		var late []func()
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			n := int64(rapid.IntRange(0, 2).Draw(t, "day"))
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0:
				im.Hold(day(n), read(n))
			case 1: // a reader that is slow to hand its image in
				i := read(n)
				late = append(late, func() { im.Hold(day(n), i) })
			case 2:
				for _, f := range late {
					f()
				}
				late = nil
			case 3: // another process commits, which nobody tells
				table.move(Cell{ByHost, n, 9, tallyman.Complete, Download}, Count{Transfers: 1})
				commit++
				continue // until the next commit of ours, what is held may be old
			case 4:
				ch := Change{}
				for range rapid.IntRange(1, 3).Draw(t, "cells") {
					at := Cell{ByHost, int64(rapid.IntRange(0, 2).Draw(t, "slot")), int64(rapid.IntRange(0, 2).Draw(t, "item")), tallyman.Failed, Upload}
					ch.move(at, Count{Transfers: int64(rapid.IntRange(-1, 2).Draw(t, "by"))})
				}
				for at, c := range ch {
					table.move(at, c)
				}
				commit++
				if rapid.Bool().Draw(t, "read between commit and apply") {
					im.Hold(day(n), read(n))
				}
				im.Apply(ch, commit)
			case 5:
				im.Drop(day(n))
			}
			if im.commits != commit {
				continue
			}
			for n := range int64(3) {
				got := Change{}
				if im.Each(day(n), func(at Cell, c Count) { got.move(at, c) }) {
					for at, c := range got {
						if table[at] != c {
							t.Fatalf("day %d: the image says %+v of %+v, the table %+v", n, c, at, table[at])
						}
					}
					for at, c := range table {
						if at.Slot == n && got[at] != c {
							t.Fatalf("day %d: the image says %+v of %+v, the table %+v", n, got[at], at, c)
						}
					}
				}
			}
		}
	})
}

func TestRevisionMovesItsCountsAndNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entry := func() Entry {
			return Entry{
				Start: rapid.Int64Range(0, 3*Day).Draw(t, "start"), Host: rapid.Int64Range(1, 2).Draw(t, "host"), Proto: 1,
				Client: rapid.Int64Range(0, 2).Draw(t, "client"), File: rapid.Int64Range(0, 2).Draw(t, "file"),
				Op:      rapid.SampledFrom([]tallyman.Op{tallyman.OpGet, tallyman.OpPut, tallyman.OpList, tallyman.OpDelete, tallyman.OpCopy}).Draw(t, "op"),
				Verdict: rapid.SampledFrom(tallyman.Verdicts()).Draw(t, "verdict"), Bytes: rapid.Int64Range(0, 9).Draw(t, "bytes"),
				Search: rapid.Bool().Draw(t, "search"), Merged: rapid.Bool().Draw(t, "merged"),
			}
		}
		sum, last := Change{}, entry()
		sum.Add(last, 1)
		for range rapid.IntRange(0, 5).Draw(t, "revisions") {
			next := entry()
			sum.Add(last, -1)
			sum.Add(next, 1)
			last = next
		}
		want := Change{}
		want.Add(last, 1)
		if !slices.Equal(sum.Ordered(), want.Ordered()) {
			t.Fatalf("%v, want %v", sum, want)
		}
		for _, at := range want.Ordered() {
			if sum[at] != want[at] {
				t.Fatalf("%v: %v, want %v", at, sum[at], want[at])
			}
		}
	})
}
