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

// takers remembers which processes turned a socket to whom, and says so in the evidence of the transfers that they took. It is pure.
type takers struct {
	most  int // dials that are remembered; when full, the oldest is forgotten, and its transfer is paired by order
	by    map[netip.AddrPort][]dial.Dial
	order []netip.AddrPort // of the dials, oldest first; some are taken already
}

func newTakers(most int) *takers { return &takers{most: most, by: map[netip.AddrPort][]dial.Dial{}} }

// add notes a dial.
func (t *takers) add(d dial.Dial) {
	if len(t.order) >= t.most {
		half := len(t.order) / 2
		for _, to := range t.order[:half] {
			t.drop(to)
		}
		t.order = slices.Delete(t.order, 0, half)
	}
	t.by[d.To] = append(t.by[d.To], d)
	t.order = append(t.order, d.To)
}

func (t *takers) drop(to netip.AddrPort) {
	if list := t.by[to]; len(list) > 1 {
		t.by[to] = list[1:]
	} else {
		delete(t.by, to)
	}
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
	if len(list) == 0 {
		out(e)
		return
	}
	e.Proc.PID = list[0].PID
	for _, d := range list[1:min(len(list), requests(&e))] {
		out(repeat(&e, d))
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
