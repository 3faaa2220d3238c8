package wire

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"tallyman"
	"tallyman/source/wire/dial"
)

// takers remembers which processes turned a socket to whom, and says so in the evidence of the transfers that they took. Where a dial may be missing it names
// nobody: the next one to the same client may be of its next transfer. It is pure.
type takers struct {
	most  int // dials that are remembered; when full, the older half is forgotten, and missed counts those that a transfer may still want
	skip  []uint16
	by    map[netip.AddrPort][]dial.Dial
	order []at // of the dials, oldest first; some are taken already

	holes  []hole // when dials were missed, oldest first
	missed uint64 // dials
}

// at is when a socket was turned to whom.
type at struct {
	to   netip.AddrPort
	when time.Time
}

// hole is a stretch in which dials were missed.
type hole struct{ from, to time.Time }

const (
	dialKept  = 70 * time.Second // a request that nobody answers is told after 65 s; nobody wants an older dial
	mostHoles = 64               // when full, the two oldest become one
)

func newTakers(most int, skip []uint16) *takers {
	return &takers{most: most, skip: skip, by: map[netip.AddrPort][]dial.Dial{}}
}

// add notes a dial.
func (t *takers) add(d dial.Dial) {
	if slices.Contains(t.skip, d.To.Port()) {
		return // no transfer
	}
	if len(t.order) >= t.most {
		half := t.order[:(len(t.order)+1)/2]
		wanted := 0
		for _, o := range half {
			t.drop(o.to)
			if d.At.Sub(o.when) < dialKept {
				wanted++
			}
		}
		if wanted > 0 {
			t.miss(half[len(half)-wanted].when, half[len(half)-1].when, uint64(wanted))
		}
		t.order = slices.Delete(t.order, 0, len(half))
	}
	t.by[d.To] = append(t.by[d.To], d)
	t.order = append(t.order, at{d.To, d.At})
}

func (t *takers) drop(to netip.AddrPort) {
	if list := t.by[to]; len(list) > 1 {
		t.by[to] = list[1:]
	} else {
		delete(t.by, to)
	}
}

// miss notes that n dials between two times are not known.
func (t *takers) miss(from, to time.Time, n uint64) {
	t.missed += n
	t.holes = slices.DeleteFunc(t.holes, func(h hole) bool { return to.Sub(h.to) > dialKept })
	if n := len(t.holes); n > 0 && !from.After(t.holes[n-1].to) {
		t.holes[n-1].to = to
		return
	}
	if len(t.holes) >= mostHoles {
		t.holes[1].from = t.holes[0].from
		t.holes = t.holes[1:]
	}
	t.holes = append(t.holes, hole{from, to})
}

// holed reports whether a dial between two times may have been missed.
func (t *takers) holed(from, to time.Time) bool {
	return slices.ContainsFunc(t.holes, func(h hole) bool { return !h.to.Before(from) && !h.from.After(to) })
}

// sign names the process in the evidence of a transfer that it took. A request that was sent more than once may have been taken by several: each of the
// others is one more request, told before.
func (t *takers) sign(e tallyman.Evidence, out func(tallyman.Evidence)) {
	if e.Proto != "tftp" || e.Kind == tallyman.KindRequest || e.Kind.Alone() || e.Began.IsZero() {
		out(e)
		return
	}
	since := e.Began.Add(-dialSkew)
	list := slices.DeleteFunc(slices.Clone(t.by[e.Peer]), func(d dial.Dial) bool { return d.At.Before(since) }) // of transfers before, from the same port
	answered := e.Time
	if len(list) > 0 {
		answered = list[0].At
	}
	if len(list) == 0 || t.holed(since, answered) {
		out(e)
		return
	}
	e.Proc.PID = list[0].PID
	if n := min(len(list), requests(&e)); !t.holed(since, list[n-1].At) {
		for _, d := range list[1:n] {
			out(repeat(&e, d))
		}
	}
	out(e)
}

// requests is how often a transfer that ended was asked for; 1 as long as that is not said.
func requests(e *tallyman.Evidence) int {
	var d struct{ Requests int }
	if json.Unmarshal([]byte(e.Details), &d) != nil {
		return 1
	}
	return max(d.Requests, 1)
}

// repeat is the request of the transfer as another process got it.
func repeat(e *tallyman.Evidence, d dial.Dial) tallyman.Evidence {
	r := tallyman.Unknown()
	r.Kind, r.Witness, r.Host, r.Proto, r.Op, r.Name = tallyman.KindRequest, e.Witness, e.Host, e.Proto, e.Op, e.Name
	r.Peer, r.Self, r.Began, r.Time = e.Peer, e.Self, e.Began, tallyman.Clean(d.At)
	r.Proc.PID, r.Raw = d.PID, fmt.Sprintf("the request again, taken by process %d", d.PID)
	return r
}

// dialSkew is how far the clock of the packets and that of the dials may be apart.
const dialSkew = time.Millisecond
