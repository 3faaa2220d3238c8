package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"tallyman"
	"tallyman/ledger/sqlstore/rollup"
)

// Recount is a day of roll-ups beside a count of its rows.
type Recount struct {
	Day         time.Time
	Transfers   int64 // rows that were counted
	Pruned      bool  // rows of this day were pruned: the roll-ups rightly say more
	Differences []Difference
}

// Difference is a cell of a roll-up that does not say what the rows say.
type Difference struct {
	By              string // hour, host, client or file
	Slot            time.Time
	Item            string
	Verdict         tallyman.Verdict
	Direction       string
	Stored, Counted [3]int64 // transfers, bytes, searches
}

// Recount counts the rows that start in the UTC day and compares with the roll-ups, both as of one moment.
func (s *Store) Recount(ctx context.Context, day time.Time) (r Recount, err error) {
	n := rollup.DayOf(micros(day))
	r.Day = moment(n * rollup.Day)
	stored, counted := map[rollup.Cell]rollup.Count{}, rollup.Change{}
	err = s.view(ctx, func(tx *sql.Tx) (err error) {
		var lowest, cut int64
		if err := tx.QueryRowContext(ctx, "SELECT floor FROM ledger").Scan(&lowest); err != nil {
			return err
		}
		r.Pruned = lowest > n*rollup.Day
		if counted, err = s.count(ctx, tx, n, &r); err != nil {
			return err
		}
		for of := rollup.ByHour; of <= rollup.ByFile; of++ {
			if err := s.eachCell(ctx, tx, rollup.DayOfSeries{Series: of, Day: n}, func(at rollup.Cell, c rollup.Count) { stored[at] = c }); err != nil {
				return err
			}
		}
		if err := tx.QueryRowContext(ctx, s.dialect.Bind("SELECT count(*) FROM rollup_cut WHERE slot = ?"), n).Scan(&cut); err != nil {
			return err
		}
		if cut > 0 {
			maps.DeleteFunc(counted, func(at rollup.Cell, _ rollup.Count) bool {
				_, kept := stored[at]
				return at.Series == rollup.ByFile && !kept
			})
		}
		return nil
	})
	if err == nil {
		err = s.compare(ctx, &r, stored, counted)
	}
	if err != nil {
		return r, fmt.Errorf("recount: %w", err)
	}
	return r, nil
}

// count counts the rows of a day as the writer does.
func (s *Store) count(ctx context.Context, tx *sql.Tx, day int64, r *Recount) (rollup.Change, error) {
	ch := rollup.Change{}
	query := "SELECT start, host, proto, op, verdict, flags, client, file, bytes FROM transfer WHERE merged IS NULL AND start >= ? AND start < ?"
	err := s.dialect.ask(ctx, tx, query, []any{day * rollup.Day, (day + 1) * rollup.Day}, func(scan scanner) error {
		var n rollup.Entry
		var flags int64
		var bytes sql.NullInt64
		err := scan(&n.Start, &n.Host, &n.Proto, &n.Op, &n.Verdict, &flags, &n.Client, &n.File, &bytes)
		n.Bytes, n.Search = bytes.Int64, flags&searched != 0
		ch.Add(n, 1)
		r.Transfers++
		return err
	})
	return ch, err
}

func (s *Store) compare(ctx context.Context, r *Recount, stored, counted map[rollup.Cell]rollup.Count) error {
	differ := rollup.Change{}
	for _, one := range []map[rollup.Cell]rollup.Count{stored, counted} {
		for at := range one {
			if stored[at] != counted[at] {
				differ[at] = rollup.Count{Transfers: 1}
			}
		}
	}
	items := map[rollup.Series][]int64{}
	for at := range differ {
		items[at.Series] = append(items[at.Series], at.Item)
	}
	names := map[rollup.Series]map[int64]string{}
	for of, list := range items {
		slices.Sort(list)
		found, err := s.names(ctx, of, slices.Compact(list))
		if err != nil {
			return err
		}
		names[of] = found
	}
	for _, at := range differ.Ordered() {
		slot := time.Duration(at.Slot) * 24 * time.Hour
		if at.Series == rollup.ByHour {
			slot = time.Duration(at.Slot) * time.Hour
		}
		a, b := stored[at], counted[at]
		r.Differences = append(r.Differences, Difference{
			By: at.Series.String(), Slot: time.Unix(0, 0).UTC().Add(slot), Item: names[at.Series][at.Item], Verdict: at.Verdict,
			Direction: at.Direction.String(),
			Stored:    [3]int64{a.Transfers, a.Bytes, a.Searches}, Counted: [3]int64{b.Transfers, b.Bytes, b.Searches},
		})
	}
	return nil
}
