package sqlstore

import (
	"cmp"
	"slices"

	"tallyman"
)

// series names one of the roll-ups. They are stored by number.
type series int64

const (
	byHour   series = iota + 1 // (hour, protocol, verdict, direction)
	byHost                     // (day, host, verdict, direction)
	byClient                   // (day, client, direction)
	byFile                     // (day, file, direction): exact for two days, then the first thousand
)

// cell is the place of one count. slot is the hour or the day since 1970.
type cell struct {
	series     series
	slot, item int64
	verdict    tallyman.Verdict
	direction  uint8
}

const (
	download = 1
	upload   = 2
)

// count is what a cell holds.
type count struct {
	transfers, bytes, searches int64
}

func (c *count) add(d count) {
	c.transfers += d.transfers
	c.bytes += d.bytes
	c.searches += d.searches
}

// entry is what the roll-ups count of a transfer.
type entry struct {
	start                     int64
	host, proto, client, file int64
	op                        tallyman.Op
	verdict                   tallyman.Verdict
	flags                     int64
	bytes                     int64
	merged                    bool
}

// counts reports whether the transfer stands in the roll-ups: it moves content, is no listing, and was not united with another.
func (n *entry) counts() bool {
	return !n.merged && n.verdict != tallyman.NoVerdict && n.op.MovesContent() && n.op != tallyman.OpList
}

// isRequest is false for probes and boot searches: nobody wanted their content.
func (n *entry) isRequest() bool {
	return n.verdict != tallyman.Probe && n.flags&searched == 0
}

// change is what a transaction does to the roll-ups. Each cell is written once, however many records touch it.
type change map[cell]count

// add counts the transfer sign times: +1 for a revision that came, -1 for the one that it replaces.
func (ch change) add(n entry, sign int64) {
	if !n.counts() {
		return
	}
	c := count{transfers: sign, bytes: sign * n.bytes}
	if !n.isRequest() {
		c = count{bytes: sign * n.bytes, searches: sign}
	}
	var dir uint8
	switch n.op.Direction() {
	case "download":
		dir = download
	case "upload":
		dir = upload
	}
	hour, day := hourOf(n.start), dayOf(n.start)
	ch.move(cell{byHour, hour, n.proto, n.verdict, dir}, c)
	ch.move(cell{byHost, day, n.host, n.verdict, dir}, c)
	if n.client != 0 {
		ch.move(cell{byClient, day, n.client, tallyman.NoVerdict, dir}, c)
	}
	if n.file != 0 && n.isRequest() {
		ch.move(cell{byFile, day, n.file, tallyman.NoVerdict, dir}, c)
	}
}

func (ch change) move(at cell, by count) {
	c := ch[at]
	c.add(by)
	ch[at] = c
}

// ordered returns the cells that change, in the order of the table.
func (ch change) ordered() []cell {
	cells := make([]cell, 0, len(ch))
	for at, c := range ch {
		if c != (count{}) {
			cells = append(cells, at)
		}
	}
	slices.SortFunc(cells, func(a, b cell) int {
		return cmp.Or(cmp.Compare(a.series, b.series), cmp.Compare(a.slot, b.slot), cmp.Compare(a.item, b.item),
			cmp.Compare(a.verdict, b.verdict), cmp.Compare(a.direction, b.direction))
	})
	return cells
}

const (
	hourMicros = 3600 * 1e6
	dayMicros  = 24 * hourMicros
)

func hourOf(us int64) int64 { return floor(us, hourMicros) }
func dayOf(us int64) int64  { return floor(us, dayMicros) }

func floor(n, by int64) int64 {
	q := n / by
	if n%by < 0 {
		q--
	}
	return q
}

// day is the UTC day of the cell.
func (at cell) day() int64 {
	if at.series == byHour {
		return floor(at.slot, 24)
	}
	return at.slot
}

// slots are the first slot of a day and the first of the next.
func (s series) slots(day int64) (from, to int64) {
	if s == byHour {
		return day * 24, (day + 1) * 24
	}
	return day, day + 1
}
