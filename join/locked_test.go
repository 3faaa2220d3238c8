package join_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// A request for a file that is locked gets no answer. The wire tells it when it gives the request up, a minute after log and files have told all they know
// (W5 and W6 on tftpd-hpa).
func TestPacketsThatNobodyAnsweredFindTheirLogAndFile(t *testing.T) {
	j := join.New(join.Defaults())
	latest := map[tallyman.UUID]*tallyman.Transfer{}
	see := func(after time.Duration, all ...tallyman.Evidence) {
		for _, e := range all {
			e.Seen = t0.Add(after)
			j.Add(e)
		}
		j.Advance(t0.Add(after))
		for _, r := range j.Changed() {
			if tr, ok := r.(*tallyman.Transfer); ok {
				latest[tr.ID] = tr
			}
		}
	}
	all := without("tftp", tallyman.OpPut, "", func(request, _, closed *tallyman.Evidence) {
		request.Peer = netip.MustParseAddrPort("10.0.0.7:0")
		closed.Details, closed.Size, closed.Time = `{"accessed":false,"close":"write","modified":false}`, 0, t0.Add(time.Millisecond)
	})
	see(time.Second, all...)
	for s := 2; s < 65; s += 3 { // the pipe looks at the clock all the time
		see(time.Duration(s) * time.Second)
	}
	asked := tallyman.Unknown()
	asked.Witness, asked.Kind, asked.Host, asked.Proto, asked.Op, asked.Name = "wire", tallyman.KindRequest, "lab", "tftp", tallyman.OpPut, "confg"
	asked.Began, asked.Time, asked.Peer, asked.Self = t0, t0, netip.MustParseAddrPort("10.0.0.7:4000"), netip.MustParseAddrPort("10.0.0.1:69")
	asked.ID = tallyman.ID{Seq: 10}
	given := asked
	given.Kind, given.Reason, given.Moved, given.ID = tallyman.KindClosed, tallyman.Timeout, 0, tallyman.ID{Seq: 11}
	see(66*time.Second, asked, given)
	n := 0
	for _, tr := range latest {
		if tr.Merged.IsZero() {
			n++
			if tr.Judgement.Verdict != tallyman.Failed || tr.Judgement.Reason != tallyman.DroppedLocked || len(tr.Judgement.For) != 3 {
				t.Errorf("it is %s %s, by %v", tr.Judgement.Verdict, tr.Judgement.Reason, tr.Judgement.For)
			}
		}
	}
	if n != 1 {
		t.Errorf("%d records", n)
	}
	for s := 70; s < 200; s += 3 {
		see(time.Duration(s) * time.Second)
	}
	if running, settling := j.Open(); running != 0 || settling != 0 {
		t.Errorf("%d run and %d wait for ever", running, settling)
	}
}
