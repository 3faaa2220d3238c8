package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"tallyman/ledger/sqlstore/rollup"
)

// cutFiles keeps the counts of the first thousand files of each day before yesterday.
func (p *pruner) cutFiles(ctx context.Context) error {
	s := p.store
	done, err := s.cutDays(ctx)
	if err != nil {
		return err
	}
	days, err := s.daysOf(ctx, rollup.ByFile)
	if err != nil {
		return err
	}
	for _, day := range days {
		if day >= rollup.DayOf(micros(p.keep.Now))-1 {
			break
		}
		if !done[day] {
			if err := p.cutDay(ctx, day); err != nil {
				return fmt.Errorf("cut counts of files: %w", err)
			}
		}
	}
	return nil
}

func (s *Store) cutDays(ctx context.Context) (map[int64]bool, error) {
	done := map[int64]bool{}
	err := s.query(ctx, "SELECT slot FROM rollup_cut WHERE done = 1", nil, func(scan scanner) error {
		var day int64
		err := scan(&day)
		done[day] = true
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read cut days: %w", err)
	}
	return done, nil
}

// cutDay leaves a day alone that counts no more than a thousand files. Otherwise it first marks the day, so that no count begins anew, then deletes, then says that it is done. A crash in between is made good by the next Prune.
func (p *pruner) cutDay(ctx context.Context, day int64) error {
	s := p.store
	mark := func(done int64) error {
		return s.transact(ctx, func(w *writer) error {
			_, err := w.conn.ExecContext(context.WithoutCancel(ctx), w.bindSQL(w.dialect.Put("rollup_cut", "slot", "done")), done, day)
			w.cut[day] = true
			return err
		})
	}
	rest, err := s.beyondTop(ctx, day)
	if err != nil || len(rest) == 0 {
		return err
	}
	if err := mark(0); err != nil {
		return err
	}
	if rest, err = s.beyondTop(ctx, day); err != nil {
		return err
	}
	for part := range slices.Chunk(rest, pruneStep) {
		err := s.transact(ctx, func(w *writer) error {
			for _, file := range part {
				if _, err := w.dropCell.ExecContext(context.WithoutCancel(ctx), int64(rollup.ByFile), day, file); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		p.done.Counts += int64(len(part))
	}
	s.images.Drop(rollup.DayOfSeries{Series: rollup.ByFile, Day: day})
	return mark(1)
}

// beyondTop returns the files of a day that are not among the first thousand.
func (s *Store) beyondTop(ctx context.Context, day int64) ([]int64, error) {
	var sums rollup.Tallies
	err := s.eachOfDay(ctx, rollup.DayOfSeries{Series: rollup.ByFile, Day: day}, func(at rollup.Cell, c rollup.Count) { sums.Of(at.Item).Add(at, c) })
	if err != nil {
		return nil, err
	}
	rows := sums.Sorted(rollup.ByTransfers)
	rest := []int64{}
	for _, t := range rows[min(topFiles, len(rows)):] {
		rest = append(rest, t.Item)
	}
	return rest, nil
}

// forgetFiles deletes the names of files that no transfer and no roll-up speaks of any more.
func (p *pruner) forgetFiles(ctx context.Context) error {
	if len(p.files) == 0 {
		return nil
	}
	s := p.store
	delete(p.files, 0)
	err := s.query(ctx, "SELECT DISTINCT item FROM rollup WHERE series = ?", []any{int64(rollup.ByFile)}, func(scan scanner) error {
		var file int64
		err := scan(&file)
		delete(p.files, file)
		return err
	})
	if err != nil {
		return fmt.Errorf("read counted files: %w", err)
	}
	files := make([]int64, 0, len(p.files))
	for file := range p.files {
		files = append(files, file)
	}
	slices.SortFunc(files, cmp.Compare[int64])
	for part := range slices.Chunk(files, pruneStep) {
		err := s.transact(ctx, func(w *writer) error {
			for _, file := range part {
				// A transfer that came since is in the table, or it would have no count either.
				if _, err := w.dropFile.ExecContext(context.WithoutCancel(ctx), file, file); err != nil {
					return err
				}
			}
			w.dims.files.forget()
			return nil
		})
		if err != nil {
			return fmt.Errorf("delete names of files: %w", err)
		}
	}
	return nil
}
