package record

import (
	"net/netip"
	"strconv"
	"time"

	"tallyman"
)

// floodEvery is how often refusals that may come from forged addresses are recorded, all together.
const floodEvery = 10 * time.Second

// Flood counts refusals of one reason, so that a flood of forged requests makes no flood of records.
type Flood struct {
	Reason tallyman.Reason
	What   string // what is counted, in the plural

	count         int64
	client, self  netip.AddrPort // of the first one
	began, latest time.Time
	due           time.Duration
}

// Add counts one.
func (f *Flood) Add(client, self netip.AddrPort) {
	f.latest = Wall()
	if f.count == 0 {
		f.client, f.self, f.began = client, self, f.latest
	}
	f.count++
}

// Flood records what was counted, if it is time by now, a monotonic clock. With all it is always time.
func (w *Scribe) Flood(f *Flood, now time.Duration, all bool) {
	if f.count == 0 || !all && now < f.due {
		return
	}
	f.due = now + floodEvery
	e := w.sign(tallyman.KindRefusal, f.latest, f.began)
	e.Peer, e.Self, e.Reason = f.client, f.self, f.Reason
	count := strconv.FormatInt(f.count, 10)
	e.Err = count + " " + f.What + ", the first by the client named here"
	e.Details = `{"count":` + count + `}`
	w.to.Record(e)
	f.count = 0
}

// Quota bounds how much is done singly in ten seconds.
type Quota struct {
	Most int

	used int
	due  time.Duration // when it begins anew
}

// Take uses one up, false when there is none left at now, a monotonic clock.
func (q *Quota) Take(now time.Duration) bool {
	if now >= q.due {
		q.due, q.used = now+floodEvery, 0
	}
	q.used++
	return q.used <= q.Most
}
