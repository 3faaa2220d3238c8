package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"tallyman/ledger/sqlstore/rollup"
)

// each calls f for the cells of a series in days from..to. Days that are not in memory are read.
func (s *Store) each(ctx context.Context, of rollup.Series, from, to int64, f func(rollup.Cell, rollup.Count)) error {
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
		if err := s.eachOfDay(ctx, rollup.DayOfSeries{Series: of, Day: day}, f); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOfDay(ctx context.Context, d rollup.DayOfSeries, f func(rollup.Cell, rollup.Count)) error {
	if s.images.Each(d, f) {
		return nil
	}
	i, err := s.readImage(ctx, d)
	if err != nil {
		return err
	}
	i.Each(f)
	s.images.Hold(d, i)
	return nil
}

// refresh forgets the images when another process has written. In the process that writes, it asks nobody.
func (s *Store) refresh(ctx context.Context) error {
	if !s.readOnly {
		return nil
	}
	var commits int64
	if err := s.read.QueryRowContext(ctx, "SELECT commits FROM ledger").Scan(&commits); err != nil {
		return fmt.Errorf("read ledger: %w", err)
	}
	s.images.Renew(commits)
	return nil
}

// daysOf returns the days that have cells, in order. The caller does not change it.
func (s *Store) daysOf(ctx context.Context, of rollup.Series) ([]int64, error) {
	days, commit, known := s.images.Days(of)
	if known {
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
		day := rollup.Cell{Series: of, Slot: slot.Int64}.Day()
		days = append(days, day)
		_, next = of.Slots(day)
	}
	s.images.SetDays(of, days, commit)
	return days, nil
}

// readImage reads a day of a series together with the transaction that it is as of.
func (s *Store) readImage(ctx context.Context, d rollup.DayOfSeries) (*rollup.Image, error) {
	i := &rollup.Image{}
	err := s.view(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT commits FROM ledger").Scan(&i.AsOf); err != nil {
			return err
		}
		return s.eachCell(ctx, tx, d, i.Put)
	})
	if err != nil {
		return nil, fmt.Errorf("read roll-ups: %w", err)
	}
	return i, nil
}

func (s *Store) eachCell(ctx context.Context, tx *sql.Tx, d rollup.DayOfSeries, f func(rollup.Cell, rollup.Count)) error {
	from, to := d.Series.Slots(d.Day)
	at := rollup.Cell{Series: d.Series}
	var c rollup.Count
	query := "SELECT slot, item, verdict, direction, transfers, bytes, searches FROM rollup WHERE series = ? AND slot >= ? AND slot < ?"
	return s.dialect.ask(ctx, tx, query, []any{int64(d.Series), from, to}, func(scan scanner) error {
		err := scan(&at.Slot, &at.Item, &at.Verdict, &at.Direction, &c.Transfers, &c.Bytes, &c.Searches)
		f(at, c)
		return err
	})
}
