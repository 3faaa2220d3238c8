package rollup

import (
	"slices"
	"sync"
)

// mostCells bounds the cells that images hold, at about 100 bytes each. When there are more, the oldest days go.
const mostCells = 1 << 19

// Images are days of roll-ups in memory, so that a tile adds up a few hundred thousand numbers instead of asking SQL for them. The writer
// moves them after each commit by what the transaction changed; an image that missed a change is read again. Transactions are numbered one by one.
type Images struct {
	mu      sync.RWMutex
	commits int64 // the newest transaction that the images know of
	days    map[Series][]int64
	held    map[DayOfSeries]*Image
	touched map[DayOfSeries]int64 // the last transaction that changed the day
	since   int64                 // what is as of an older transaction misses what others wrote
	cells   int
}

// DayOfSeries names an image.
type DayOfSeries struct {
	Series Series
	Day    int64
}

// Image is one day of one series, as of a transaction.
type Image struct {
	AsOf  int64
	cells []Cell
	sums  []Count
	place map[Cell]int // filled by the first change
}

// Put adds a cell that is not there yet.
func (i *Image) Put(at Cell, c Count) { i.cells, i.sums = append(i.cells, at), append(i.sums, c) }

// Each calls f for every cell.
func (i *Image) Each(f func(Cell, Count)) {
	for n, at := range i.cells {
		f(at, i.sums[n])
	}
}

// NewImages returns images of no day.
func NewImages() *Images {
	im := &Images{}
	im.clear()
	return im
}

func (im *Images) clear() {
	im.days = map[Series][]int64{}
	im.held = map[DayOfSeries]*Image{}
	im.touched = map[DayOfSeries]int64{}
	im.cells = 0
}

// Renew forgets everything unless the transaction is the one that the images are as of: somebody else has written.
func (im *Images) Renew(commit int64) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if commit != im.commits {
		im.clear()
		im.commits, im.since = commit, commit
	}
}

// Each calls f for every cell of a day, and reports false if the day is not held. f must not call the images.
func (im *Images) Each(d DayOfSeries, f func(Cell, Count)) bool {
	im.mu.RLock()
	defer im.mu.RUnlock()
	i := im.held[d]
	if i == nil || i.AsOf < im.touched[d] {
		return false
	}
	i.Each(f)
	return true
}

// Days returns the days of a series that have cells, in order, and the transaction that the answer is as of; false if nobody has told them.
// The caller does not change them.
func (im *Images) Days(of Series) (days []int64, commit int64, known bool) {
	im.mu.RLock()
	defer im.mu.RUnlock()
	days, known = im.days[of]
	return days, im.commits, known
}

// SetDays tells the days of a series, unless something was committed since.
func (im *Images) SetDays(of Series, days []int64, commit int64) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.commits == commit {
		im.days[of] = days
	}
}

// Apply takes over what a transaction changed, after its commit.
func (im *Images) Apply(ch Change, commit int64) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if commit != im.commits+1 {
		im.clear()
		im.since = commit - 1
	}
	im.commits = commit
	moved := map[DayOfSeries]*Image{} // nil where there is nothing to move
	for at, c := range ch {
		if c == (Count{}) {
			continue
		}
		d := DayOfSeries{at.Series, at.Day()}
		i, known := moved[d]
		if !known {
			im.note(d)
			if i = im.held[d]; i != nil && (i.AsOf < im.touched[d] || i.AsOf >= commit) {
				i = nil
			}
			moved[d] = i
		}
		if i != nil {
			im.cells += i.move(at, c)
		}
	}
	for d, i := range moved {
		im.touched[d] = commit
		if i != nil {
			i.AsOf = commit
		}
	}
}

// note adds the day to the known days.
func (im *Images) note(d DayOfSeries) {
	days, known := im.days[d.Series]
	if !known {
		return
	}
	if at, found := slices.BinarySearch(days, d.Day); !found {
		im.days[d.Series] = slices.Insert(slices.Clip(days), at, d.Day)
	}
}

// Hold keeps an image that was read, unless it is out of date.
func (im *Images) Hold(d DayOfSeries, i *Image) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if i.AsOf < im.touched[d] || i.AsOf < im.since {
		return
	}
	im.release(d)
	for im.cells+len(i.cells) > mostCells {
		oldest, found := d, false
		for other := range im.held {
			if other.Day < oldest.Day {
				oldest, found = other, true
			}
		}
		if !found {
			return
		}
		im.release(oldest)
	}
	im.held[d] = i
	im.cells += len(i.cells)
}

func (im *Images) release(d DayOfSeries) {
	if i := im.held[d]; i != nil {
		im.cells -= len(i.cells)
		delete(im.held, d)
	}
}

// Drop forgets a day some of whose cells were deleted.
func (im *Images) Drop(d DayOfSeries) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.release(d)
	im.touched[d] = im.commits
}

func (i *Image) move(at Cell, c Count) (grown int) {
	if i.place == nil {
		i.place = make(map[Cell]int, len(i.cells))
		for n, at := range i.cells {
			i.place[at] = n
		}
	}
	n, ok := i.place[at]
	if !ok {
		n = len(i.cells)
		i.place[at] = n
		i.Put(at, Count{})
		grown = 1
	}
	i.sums[n].add(c)
	return grown
}
