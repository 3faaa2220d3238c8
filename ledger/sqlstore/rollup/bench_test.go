package rollup

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkTopFilesOfAMonth adds up 28 days of a thousand files and two of forty thousand.
func BenchmarkTopFilesOfAMonth(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(r, 1.07, 8, 200_000)
	im := NewImages()
	for day := range int64(30) {
		ch, most := Change{}, 1000
		if day >= 28 {
			most = 40_000
		}
		for len(ch) < most {
			ch.move(Cell{ByFile, day, int64(zipf.Uint64()), 0, Download}, Count{Transfers: 1, Bytes: 100})
		}
		i := &Image{}
		for _, at := range ch.Ordered() { // as the table gives them
			i.Put(at, ch[at])
		}
		im.Hold(DayOfSeries{ByFile, day}, i)
	}
	for b.Loop() {
		var sums Tallies
		for day := range int64(30) {
			im.Each(DayOfSeries{ByFile, day}, func(at Cell, c Count) { sums.Of(at.Item).Add(at, c) })
		}
		if len(sums.Top(20)) != 20 {
			b.Fatal("no twenty files")
		}
	}
}
