package wire

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tallyman"
	"tallyman/source/wire/dial"
)

var (
	dialled = time.Date(2026, 11, 20, 18, 0, 0, 0, time.UTC)
	caller  = netip.MustParseAddrPort("10.0.0.7:2000")
)

// pids are the processes that the evidence of the transfer names, in the order in which it is told.
func pids(t *takers, began time.Time, kind tallyman.Kind, requests int) (out []int32) {
	e := tallyman.Unknown()
	e.Kind, e.Witness, e.Proto, e.Peer, e.Began, e.Time = kind, "wire", "tftp", caller, began, began.Add(time.Second)
	e.Details = fmt.Sprintf(`{"requests":%d}`, requests)
	t.sign(e, func(e tallyman.Evidence) {
		if e.Peer != caller || !e.Began.Equal(began) {
			panic("not of this transfer")
		}
		out = append(out, e.Proc.PID)
	})
	return out
}

func TestEvidenceNamesTheProcessThatTurnedToTheClientAfterItsRequest(t *testing.T) {
	who := newTakers(100, []uint16{53})
	for i, at := range []time.Duration{-time.Second, 200 * time.Microsecond, 300 * time.Microsecond, 10 * time.Second} {
		who.add(dial.Dial{At: dialled.Add(at), PID: int32(10 + i), To: caller})
		who.add(dial.Dial{At: dialled.Add(at), PID: int32(20 + i), To: netip.MustParseAddrPort("10.0.0.8:2000")})
	}
	for _, c := range []struct {
		kind     tallyman.Kind
		began    time.Duration
		requests int
		want     []int32
	}{
		{tallyman.KindRequest, 0, 1, []int32{0}}, // the server has not answered yet
		{tallyman.KindOpened, 0, 1, []int32{11}},
		{tallyman.KindClosed, 0, 1, []int32{11}},
		{tallyman.KindClosed, 0, 2, []int32{12, 11}}, // sent twice, taken by two
		{tallyman.KindRefusal, 10 * time.Second, 1, []int32{13}},
		{tallyman.KindClosed, 20 * time.Second, 1, []int32{0}}, // nobody took it
	} {
		if got := pids(who, dialled.Add(c.began), c.kind, c.requests); !slices.Equal(got, c.want) {
			t.Errorf("%s of the request at %s, sent %d times: %v, want %v", c.kind, c.began, c.requests, got, c.want)
		}
	}
}

func TestFloodOfDialsForgetsTheOldest(t *testing.T) {
	who := newTakers(100, []uint16{53})
	for i := range 10_000 {
		to := netip.AddrPortFrom(caller.Addr(), uint16(3000+i%500))
		if i == 9990 {
			to = caller
		}
		at := dialled.Add(time.Duration(i) * time.Microsecond)
		who.add(dial.Dial{At: at, PID: 7, To: to})
		n := 0
		for _, list := range who.by {
			n += len(list)
		}
		if n > 100 || n != len(who.order) {
			t.Fatalf("%d dials are remembered, %d by their order", n, len(who.order))
		}
	}
	if got := pids(who, dialled.Add(9990*time.Microsecond+dialSkew), tallyman.KindClosed, 1); !slices.Equal(got, []int32{7}) {
		t.Errorf("the newest was forgotten: %v", got)
	}
}

// A dial that was missed must not be replaced by a later one to the same port of the client.
func TestWhereADialMayBeMissingNobodyIsNamed(t *testing.T) {
	f := func(from, to, dialled2 time.Duration, began time.Duration, want int32) {
		t.Helper()
		who := newTakers(100, nil)
		who.miss(dialled.Add(from), dialled.Add(to), 3)
		who.add(dial.Dial{At: dialled.Add(dialled2), PID: 12, To: caller})
		if got := pids(who, dialled.Add(began), tallyman.KindClosed, 1); !slices.Equal(got, []int32{want}) || who.missed != 3 {
			t.Errorf("dials missed from %s to %s, one known at %s, a request at %s: %v, %d missed", from, to, dialled2, began, got, who.missed)
		}
	}
	const ms = time.Millisecond
	f(100*ms, 200*ms, 300*ms, 90*ms, 0)   // the one known may be of the next transfer
	f(100*ms, 200*ms, 300*ms, 150*ms, 0)  // asked in the hole
	f(100*ms, 200*ms, 300*ms, 250*ms, 12) // after it
	f(100*ms, 200*ms, 50*ms, 10*ms, 12)   // answered before it
}

func TestDialsThatAreForgottenTooEarlyAreMissed(t *testing.T) {
	who := newTakers(100, []uint16{53})
	for i := range 150 {
		who.add(dial.Dial{At: dialled.Add(time.Duration(i) * time.Millisecond), PID: 7, To: netip.AddrPortFrom(caller.Addr(), uint16(3000+i))})
		who.add(dial.Dial{At: dialled, PID: 8, To: netip.AddrPortFrom(caller.Addr(), 53)}) // no transfer: it takes no room
	}
	if who.missed != 50 || !who.holed(dialled, dialled.Add(49*time.Millisecond)) || who.holed(dialled.Add(50*time.Millisecond), dialled.Add(time.Hour)) {
		t.Errorf("%d missed: %+v", who.missed, who.holes)
	}
	who.add(dial.Dial{At: dialled.Add(time.Hour), PID: 7, To: caller})
	for i := range 200 { // what is forgotten was made long ago: nobody wants it
		who.add(dial.Dial{At: dialled.Add(time.Hour + time.Duration(i)*time.Minute), PID: 7, To: caller})
	}
	if who.missed != 50 {
		t.Errorf("%d missed", who.missed)
	}
}

func TestHolesAreBounded(t *testing.T) {
	who := newTakers(100, nil)
	for i := range 1000 {
		from := dialled.Add(time.Duration(i) * 10 * time.Millisecond)
		who.miss(from, from.Add(time.Millisecond), 1)
		if len(who.holes) > mostHoles || !who.holed(dialled, dialled) {
			t.Fatalf("%d holes, the first %+v", len(who.holes), who.holes[0])
		}
	}
}
