package record

import "sync/atomic"

// Counts are totals since the start.
type Counts struct {
	Requests  uint64 // datagrams on the request port
	Served    uint64 // transfers begun
	Refused   uint64 // requests answered with an ERROR, or with silence because of who asked
	Malformed uint64 // datagrams that were no request, answered with silence
	Limited   uint64 // requests beyond the bound of unanswered transfers, met with silence or dropped later
	Strangers uint64 // packets on a transfer port of others than its client
	Unsent    uint64 // packets that the kernel did not take
}

// Totals are counted by several goroutines.
type Totals struct {
	Requests, Served, Refused, Malformed, Limited, Strangers, Unsent atomic.Uint64
}

// Counts is what they are now.
func (t *Totals) Counts() Counts {
	return Counts{
		Requests: t.Requests.Load(), Served: t.Served.Load(), Refused: t.Refused.Load(), Malformed: t.Malformed.Load(),
		Limited: t.Limited.Load(), Strangers: t.Strangers.Load(), Unsent: t.Unsent.Load(),
	}
}
