package main

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// A transfer of somebody else's server that ran when nobody looked any more is unproven: that server lived on.
func TestARestartCallsNoForeignServerGone(t *testing.T) {
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	begins := func(witness string) tallyman.Evidence {
		e := tallyman.Unknown()
		e.ID.Seq = uint64(len(witness))
		e.Time, e.Seen, e.Began, e.Host, e.Witness = at, at, at, "h", witness
		e.Proto, e.Op, e.Kind, e.Name = "tftp", tallyman.OpGet, tallyman.KindRequest, "f"
		switch witness {
		case "wire", "server":
			e.Peer, e.Self = netip.MustParseAddrPort("10.0.0.7:4000"), netip.MustParseAddrPort("10.0.0.1:69")
		case "log":
			e.Peer, e.Proc.PID = netip.MustParseAddrPort("10.0.0.7:0"), 5
		case "files":
			e.Kind, e.Path, e.Proc.PID, e.File, e.Size = tallyman.KindOpened, "/srv/f", 5, "8:1:2:3", 7
		}
		return e
	}
	f := func(reason tallyman.Reason, verdict tallyman.Verdict, witnesses ...string) {
		t.Helper()
		j := join.New(join.Defaults())
		for _, w := range witnesses {
			j.Add(begins(w))
		}
		j.Changed()
		running := j.Running()
		if len(running) != 1 {
			t.Fatalf("%v: %d run", witnesses, len(running))
		}
		e := orphan("h", running[0], at.Add(time.Minute))
		e.ID.Seq = 100
		j.Add(e)
		all := j.Changed()
		if len(all) != 1 {
			t.Fatalf("%v: %d records", witnesses, len(all))
		}
		r, _ := all[0].(*tallyman.Transfer)
		if got := r.Judgement; got.Verdict != verdict || got.Reason != reason || r.ID != running[0].ID {
			t.Errorf("%v: %s %s", witnesses, got.Verdict, got.Reason)
		}
		if left := j.Running(); len(left) != 0 {
			t.Errorf("%v: %d still run", witnesses, len(left))
		}
	}
	f(tallyman.InGap, tallyman.Unproven, "wire")
	f(tallyman.InGap, tallyman.Unproven, "files")
	f(tallyman.InGap, tallyman.Unproven, "log", "files")
	f(tallyman.InGap, tallyman.Unproven, "wire", "log", "files")
	f(tallyman.ServerGone, tallyman.Failed, "server")
}
