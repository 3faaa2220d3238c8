package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"tallyman"
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
func (s *Store) Recount(ctx context.Context, day time.Time) (Recount, error) {
	n := dayOf(micros(day))
	r := Recount{Day: moment(n * dayMicros)}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return r, fmt.Errorf("recount: %w", err)
	}
	defer tx.Rollback()
	var lowest int64
	if err := tx.QueryRowContext(ctx, "SELECT floor FROM ledger").Scan(&lowest); err != nil {
		return r, fmt.Errorf("recount: %w", err)
	}
	r.Pruned = lowest > n*dayMicros
	counted, err := s.count(ctx, tx, n, &r)
	if err != nil {
		return r, fmt.Errorf("recount: %w", err)
	}
	stored := map[cell]count{}
	for of := byHour; of <= byFile; of++ {
		if err := s.eachCell(ctx, tx, dayOfSeries{of, n}, func(at cell, c count) { stored[at] = c }); err != nil {
			return r, fmt.Errorf("recount: %w", err)
		}
	}
	var cut int64
	row := tx.QueryRowContext(ctx, s.dialect.Bind("SELECT count(*) FROM rollup_cut WHERE slot = ?"), n)
	if err := row.Scan(&cut); err != nil {
		return r, fmt.Errorf("recount: %w", err)
	}
	if cut > 0 {
		maps.DeleteFunc(counted, func(at cell, _ count) bool {
			_, kept := stored[at]
			return at.series == byFile && !kept
		})
	}
	return r, s.compare(ctx, &r, stored, counted)
}

// count counts the rows of a day as the writer does.
func (s *Store) count(ctx context.Context, tx *sql.Tx, day int64, r *Recount) (change, error) {
	ch := change{}
	query := "SELECT start, host, proto, op, verdict, flags, client, file, bytes FROM transfer WHERE merged IS NULL AND start >= ? AND start < ?"
	err := s.queryOn(ctx, tx, query, []any{day * dayMicros, (day + 1) * dayMicros}, func(scan scanner) error {
		var n entry
		var bytes sql.NullInt64
		err := scan(&n.start, &n.host, &n.proto, &n.op, &n.verdict, &n.flags, &n.client, &n.file, &bytes)
		n.bytes = bytes.Int64
		ch.add(n, 1)
		r.Transfers++
		return err
	})
	return ch, err
}

func (s *Store) compare(ctx context.Context, r *Recount, stored, counted map[cell]count) error {
	differ := change{}
	for _, one := range []map[cell]count{stored, counted} {
		for at := range one {
			if stored[at] != counted[at] {
				differ[at] = count{transfers: 1}
			}
		}
	}
	items := map[series][]int64{}
	for at := range differ {
		items[at.series] = append(items[at.series], at.item)
	}
	names := map[series]map[int64]string{}
	for of, list := range items {
		slices.Sort(list)
		found, err := s.names(ctx, of, slices.Compact(list))
		if err != nil {
			return fmt.Errorf("recount: %w", err)
		}
		names[of] = found
	}
	for _, at := range differ.ordered() {
		slot := time.Duration(at.slot) * 24 * time.Hour
		if at.series == byHour {
			slot = time.Duration(at.slot) * time.Hour
		}
		a, b := stored[at], counted[at]
		r.Differences = append(r.Differences, Difference{
			By: at.series.String(), Slot: time.Unix(0, 0).UTC().Add(slot), Item: names[at.series][at.item], Verdict: at.verdict,
			Direction: [...]string{"", "download", "upload"}[at.direction],
			Stored:    [3]int64{a.transfers, a.bytes, a.searches}, Counted: [3]int64{b.transfers, b.bytes, b.searches},
		})
	}
	return nil
}

// String returns the word by which a question asks for the series.
func (s series) String() string {
	return [...]string{"", "hour", "host", "client", "file"}[s]
}
