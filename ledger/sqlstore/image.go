package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
)

// mostCells bounds the cells that images hold, at about 100 bytes each. Days beyond it are read again each time they are asked for.
const mostCells = 1 << 19

// images are days of roll-ups in memory, so that a tile adds up a few hundred thousand numbers instead of asking SQL for them. The writer
// moves them after each commit by what the transaction changed; an image that missed a change is read again.
type images struct {
	mu      sync.RWMutex
	commits int64 // the newest transaction that the images know of
	days    map[series][]int64
	held    map[dayOfSeries]*image
	touched map[dayOfSeries]int64 // the last transaction that changed the day
	cells   int
}

type dayOfSeries struct {
	series series
	day    int64
}

// image is one day of one series, as of a transaction.
type image struct {
	asOf  int64
	cells []cell
	sums  []count
	place map[cell]int // filled by the first change
}

func newImages() *images {
	im := &images{}
	im.clear()
	return im
}

// clear forgets everything: the ledger was changed by somebody else.
func (im *images) clear() {
	im.days = map[series][]int64{}
	im.held = map[dayOfSeries]*image{}
	im.touched = map[dayOfSeries]int64{}
	im.cells = 0
}

// apply takes over what a transaction changed, after its commit.
func (im *images) apply(ch change, commit int64) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if commit != im.commits+1 {
		im.clear()
	}
	im.commits = commit
	days := map[dayOfSeries]*image{} // nil where there is nothing to move
	for at, c := range ch {
		if c == (count{}) {
			continue
		}
		d := dayOfSeries{at.series, at.day()}
		i, known := days[d]
		if !known {
			im.note(d)
			if i = im.held[d]; i != nil && (i.asOf < im.touched[d] || i.asOf >= commit) {
				i = nil
			}
			days[d] = i
		}
		if i != nil {
			im.cells += i.move(at, c)
		}
	}
	for d, i := range days {
		im.touched[d] = commit
		if i != nil {
			i.asOf = commit
		}
	}
}

// hold keeps an image that was read. When there are too many cells, the oldest days go.
func (im *images) hold(d dayOfSeries, i *image) {
	im.mu.Lock()
	defer im.mu.Unlock()
	if i.asOf < im.touched[d] {
		return
	}
	im.release(d)
	for im.cells+len(i.cells) > mostCells {
		oldest, found := d, false
		for other := range im.held {
			if other.day < oldest.day {
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

func (im *images) release(d dayOfSeries) {
	if i := im.held[d]; i != nil {
		im.cells -= len(i.cells)
		delete(im.held, d)
	}
}

// note adds the day to the known days, where these were ever asked for.
func (im *images) note(d dayOfSeries) {
	days, asked := im.days[d.series]
	if !asked {
		return
	}
	if at, found := slices.BinarySearch(days, d.day); !found {
		im.days[d.series] = slices.Insert(slices.Clip(days), at, d.day)
	}
}

// drop forgets days whose cells were taken away.
func (im *images) drop(d dayOfSeries) {
	im.mu.Lock()
	defer im.mu.Unlock()
	im.release(d)
	im.touched[d] = im.commits
}

func (i *image) move(at cell, c count) (grown int) {
	if i.place == nil {
		i.place = make(map[cell]int, len(i.cells))
		for n, at := range i.cells {
			i.place[at] = n
		}
	}
	n, ok := i.place[at]
	if !ok {
		n = len(i.cells)
		i.place[at] = n
		i.cells, i.sums = append(i.cells, at), append(i.sums, count{})
		grown = 1
	}
	i.sums[n].add(c)
	return grown
}

// each calls f for the cells of a series in days from..to. Days that are not in memory are read.
func (s *Store) each(ctx context.Context, of series, from, to int64, f func(cell, count)) error {
	if err := s.refresh(ctx); err != nil {
		return err
	}
	days, err := s.daysOf(ctx, of)
	if err != nil {
		return err
	}
	first, _ := slices.BinarySearch(days, from)
	for _, day := range days[first:] {
		if day > to {
			break
		}
		if err := s.eachOfDay(ctx, dayOfSeries{of, day}, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOfDay(ctx context.Context, d dayOfSeries, f func(cell, count)) error {
	im := s.images
	im.mu.RLock()
	if i := im.held[d]; i != nil && i.asOf >= im.touched[d] {
		for n, at := range i.cells {
			f(at, i.sums[n])
		}
		im.mu.RUnlock()
		return nil
	}
	im.mu.RUnlock()
	i, err := s.readImage(ctx, d)
	if err != nil {
		return err
	}
	for n, at := range i.cells {
		f(at, i.sums[n])
	}
	im.hold(d, i)
	return nil
}

// refresh forgets the images when another process has written. In the process that writes, it asks nobody.
func (s *Store) refresh(ctx context.Context) error {
	if s.writes != nil {
		return nil
	}
	var commits int64
	if err := s.read.QueryRowContext(ctx, "SELECT commits FROM ledger").Scan(&commits); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	s.images.mu.Lock()
	defer s.images.mu.Unlock()
	if commits != s.images.commits {
		s.images.clear()
		s.images.commits = commits
	}
	return nil
}

// daysOf returns the days that have cells, in order. The caller does not change it.
func (s *Store) daysOf(ctx context.Context, of series) ([]int64, error) {
	im := s.images
	im.mu.RLock()
	days, ok := im.days[of]
	commits := im.commits
	im.mu.RUnlock()
	if ok {
		return days, nil
	}
	days = []int64{}
	next := int64(-1) << 40
	for {
		var slot sql.NullInt64
		row := s.read.QueryRowContext(ctx, s.dialect.Bind("SELECT min(slot) FROM rollup WHERE series = ? AND slot >= ?"), int64(of), next)
		if err := row.Scan(&slot); err != nil {
			return nil, fmt.Errorf("read days of roll-ups: %w", err)
		}
		if !slot.Valid {
			break
		}
		day := cell{series: of, slot: slot.Int64}.day()
		days = append(days, day)
		_, next = of.slots(day)
	}
	im.mu.Lock()
	defer im.mu.Unlock()
	if im.commits == commits {
		im.days[of] = days
	}
	return days, nil
}

// readImage reads a day of a series together with the transaction that it is as of.
func (s *Store) readImage(ctx context.Context, d dayOfSeries) (*image, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read roll-ups: %w", err)
	}
	defer tx.Rollback()
	i := &image{}
	if err := tx.QueryRowContext(ctx, "SELECT commits FROM ledger").Scan(&i.asOf); err != nil {
		return nil, fmt.Errorf("read ledger: %w", err)
	}
	err = s.eachCell(ctx, tx, d, func(at cell, c count) {
		i.cells, i.sums = append(i.cells, at), append(i.sums, c)
	})
	return i, err
}

func (s *Store) eachCell(ctx context.Context, tx *sql.Tx, d dayOfSeries, f func(cell, count)) error {
	from, to := d.series.slots(d.day)
	rows, err := tx.QueryContext(ctx, s.dialect.Bind(
		"SELECT slot, item, verdict, direction, transfers, bytes, searches FROM rollup WHERE series = ? AND slot >= ? AND slot < ?"),
		int64(d.series), from, to)
	if err != nil {
		return fmt.Errorf("read roll-ups: %w", err)
	}
	defer rows.Close()
	at := cell{series: d.series}
	var c count
	for rows.Next() {
		if err := rows.Scan(&at.slot, &at.item, &at.verdict, &at.direction, &c.transfers, &c.bytes, &c.searches); err != nil {
			return fmt.Errorf("read roll-ups: %w", err)
		}
		f(at, c)
	}
	return rows.Err()
}
