package join_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// A server of one process for each login writes down that it deleted a file that it had just stored. The events of the file are those of the upload.
func TestLineOfADeletionTakesNoFileOfAnUpload(t *testing.T) {
	at := time.Date(2026, 11, 27, 6, 0, 0, 0, time.UTC)
	seq := uint64(0)
	say := func(witness string, kind tallyman.Kind, op tallyman.Op, after time.Duration, set func(*tallyman.Evidence)) tallyman.Evidence {
		seq++
		e := tallyman.Unknown()
		e.ID, e.Host, e.Witness, e.Kind, e.Op, e.Began = tallyman.ID{Epoch: 1, Seq: seq}, "vm", witness, kind, op, at
		e.Time, e.Seen = at.Add(after), at.Add(after)
		set(&e)
		return e
	}
	client, server := netip.MustParseAddrPort("10.0.0.7:2000"), netip.MustParseAddrPort("10.0.0.1:21")
	wire := func(e *tallyman.Evidence) {
		e.Proto, e.Name, e.Peer, e.Self, e.Session = "ftp", "f", client, server, "s"
	}
	all := []tallyman.Evidence{
		say("wire", tallyman.KindRequest, tallyman.OpPut, 0, wire),
		say("files", tallyman.KindOpened, tallyman.OpPut, 2*time.Millisecond, func(e *tallyman.Evidence) { e.Path, e.File, e.Proc.PID = "/srv/f", "1:2", 800 }),
		say("files", tallyman.KindClosed, tallyman.OpPut, 3*time.Millisecond, func(e *tallyman.Evidence) {
			e.Path, e.File, e.Proc.PID, e.Size, e.Details = "/srv/f", "1:2", 800, 7, `{"modified":true}`
		}),
		say("wire", tallyman.KindClosed, tallyman.OpPut, 4*time.Millisecond, func(e *tallyman.Evidence) { wire(e); e.Reason, e.Moved = tallyman.ReplyAcknowledged, 7 }),
		say("log", tallyman.KindClosed, tallyman.OpDelete, 5*time.Millisecond, func(e *tallyman.Evidence) {
			e.Began, e.Proto, e.Path, e.Peer, e.Proc.PID, e.Session, e.Reason = time.Time{}, "ftp", "/srv/f", netip.AddrPortFrom(client.Addr(), 0), 800, "800", tallyman.ClosedWell
		}),
	}
	j := join.New(join.Defaults())
	latest := map[tallyman.UUID]*tallyman.Transfer{}
	for _, e := range all {
		j.Add(e)
		for _, r := range j.Changed() {
			if tr, ok := r.(*tallyman.Transfer); ok {
				latest[tr.ID] = tr
			}
		}
	}
	seen := 0
	for _, tr := range latest {
		if !tr.Merged.IsZero() {
			continue
		}
		for _, e := range tr.Evidence {
			if e.Witness == "files" && tr.Op != tallyman.OpPut {
				t.Errorf("the file is part of %s: %v", tr.Op, tr.Judgement)
			}
		}
		if tr.Op == tallyman.OpPut {
			seen = len(tr.Evidence)
		}
	}
	if seen != 4 {
		t.Errorf("the upload has %d of 4", seen)
	}
}
