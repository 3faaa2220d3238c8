package tftp

import (
	"net/netip"
	"strconv"
	"time"

	"tallyman"
)

// floodEvery is how often refusals that may come from forged addresses are recorded: all together.
const floodEvery = 10 * time.Second

// flood counts refusals of one reason, so that a flood of forged requests
// makes no flood of records.
type flood struct {
	reason tallyman.Reason
	what   string
	count  int64
	first  netip.AddrPort
	self   netip.AddrPort
	began  time.Time
	last   time.Time
}

func (f *flood) add(client, self netip.AddrPort, at time.Time) {
	if f.count == 0 {
		f.first, f.self, f.began = client, self, at
	}
	f.count++
	f.last = at
}

// tellFloods records the floods that are due, or all.
func (l *loop) tellFloods(all bool) {
	for _, f := range [...]*flood{&l.limited, &l.illegible} {
		if f.count == 0 || !all && l.now < l.floodAt {
			continue
		}
		l.floodAt = l.now + floodEvery
		e := l.tell.sign(tallyman.KindRefusal, f.last, f.began)
		e.Peer, e.Self, e.Reason = f.first, f.self, f.reason
		count := strconv.FormatInt(f.count, 10)
		e.Err = count + " " + f.what + ", the first by the client named here"
		e.Details = `{"count":` + count + `}`
		l.tell.to.Record(e)
		f.count = 0
	}
}

// bytesText writes a number of bytes for people.
func bytesText(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }
