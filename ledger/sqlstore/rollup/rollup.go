package rollup

import (
	"cmp"
	"slices"

	"tallyman"
)

// Series names one of the roll-ups. They are stored by number.
type Series int64

// The series. ByFile is exact for two days, then kept for the first thousand of a day.
const (
	ByHour   Series = iota + 1 // (hour, protocol, verdict, direction)
	ByHost                     // (day, host, verdict, direction)
	ByClient                   // (day, client, direction)
	ByFile                     // (day, file, direction)
)

// String returns the word by which a question asks for the series.
func (s Series) String() string {
	return [...]string{"", "hour", "host", "client", "file"}[s]
}

// Slots are the first slot of a day and the first of the next.
func (s Series) Slots(day int64) (from, to int64) {
	if s == ByHour {
		return day * 24, (day + 1) * 24
	}
	return day, day + 1
}

// Cell is the place of one count. Slot is the hour or the day since 1970, Item the row of a dimension.
type Cell struct {
	Series     Series
	Slot, Item int64
	Verdict    tallyman.Verdict // none in ByClient and ByFile
	Direction  Direction
}

// Direction is where the content went.
type Direction uint8

// The directions. They are stored by number.
const (
	Neither Direction = iota
	Download
	Upload
)

// String returns the word of tallyman.Op.Direction.
func (d Direction) String() string { return [...]string{"", "download", "upload"}[d] }

// Count is what a cell holds. Searches counts probes and boot searches: they are no transfers.
type Count struct {
	Transfers, Bytes, Searches int64
}

func (c *Count) add(d Count) {
	c.Transfers += d.Transfers
	c.Bytes += d.Bytes
	c.Searches += d.Searches
}

// Entry is what the roll-ups count of a transfer. Start is in microseconds since 1970; the others are rows of dimensions, Client and File 0 for none.
type Entry struct {
	Start                     int64
	Host, Proto, Client, File int64
	Op                        tallyman.Op
	Verdict                   tallyman.Verdict
	Bytes                     int64
	Search, Merged            bool
}

// counts reports whether the transfer stands in the roll-ups: it moves content, is no listing, and was not united with another.
func (n *Entry) counts() bool {
	return !n.Merged && n.Verdict != tallyman.NoVerdict && n.Op.MovesContent() && n.Op != tallyman.OpList
}

// isRequest is false for probes and boot searches: nobody wanted their content.
func (n *Entry) isRequest() bool { return n.Verdict != tallyman.Probe && !n.Search }

// Change is what a transaction does to the roll-ups. Each cell is written once, however many records touch it.
type Change map[Cell]Count

// Add counts the transfer sign times: +1 for a revision that came, -1 for the one that it replaces.
func (ch Change) Add(n Entry, sign int64) {
	if !n.counts() {
		return
	}
	c := Count{Transfers: sign, Bytes: sign * n.Bytes}
	if !n.isRequest() {
		c = Count{Bytes: sign * n.Bytes, Searches: sign}
	}
	dir := Neither
	switch n.Op.Direction() {
	case "download":
		dir = Download
	case "upload":
		dir = Upload
	}
	hour, day := HourOf(n.Start), DayOf(n.Start)
	ch.move(Cell{ByHour, hour, n.Proto, n.Verdict, dir}, c)
	ch.move(Cell{ByHost, day, n.Host, n.Verdict, dir}, c)
	if n.Client != 0 {
		ch.move(Cell{ByClient, day, n.Client, tallyman.NoVerdict, dir}, c)
	}
	if n.File != 0 && n.isRequest() {
		ch.move(Cell{ByFile, day, n.File, tallyman.NoVerdict, dir}, c)
	}
}

func (ch Change) move(at Cell, by Count) {
	c := ch[at]
	c.add(by)
	ch[at] = c
}

// Ordered returns the cells that change, in the order of the table.
func (ch Change) Ordered() []Cell {
	cells := make([]Cell, 0, len(ch))
	for at, c := range ch {
		if c != (Count{}) {
			cells = append(cells, at)
		}
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(a.Series, b.Series), cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Item, b.Item),
			cmp.Compare(a.Verdict, b.Verdict), cmp.Compare(a.Direction, b.Direction))
	})
	return cells
}

// The lengths of slots in microseconds.
const (
	Hour = 3600 * 1e6
	Day  = 24 * Hour
)

// HourOf and DayOf are the slots of a moment, in UTC.
func HourOf(us int64) int64 { return Floor(us, Hour) }

// DayOf is the UTC day of a moment.
func DayOf(us int64) int64 { return Floor(us, Day) }

// Floor divides and rounds down.
func Floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// Day is the UTC day of the cell.
func (at Cell) Day() int64 {
	if at.Series == ByHour {
		return Floor(at.Slot, 24)
	}
	return at.Slot
}
