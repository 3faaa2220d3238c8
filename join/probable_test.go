package join_test

import (
	"net/netip"
	"testing"
	"time"

	"tallyman"
	"tallyman/join"
)

// without is a transfer of which no packet was seen: what its log and its file say.
func without(proto string, op tallyman.Op, log tallyman.Reason, more func(request, claim, closed *tallyman.Evidence)) []tallyman.Evidence {
	one := func(witness string, kind tallyman.Kind, after time.Duration) tallyman.Evidence {
		e := tallyman.Unknown()
		e.Witness, e.Kind, e.Host, e.Proto, e.Op, e.Began, e.Time = witness, kind, "lab", proto, op, t0, t0.Add(after)
		e.Proc = tallyman.Proc{PID: 812}
		return e
	}
	request, claim := one("log", tallyman.KindRequest, 0), one("log", tallyman.KindClosed, time.Second)
	request.Name, claim.Name, claim.Reason, claim.Moved = "confg", "confg", log, 5000
	opened, closed := one("files", tallyman.KindOpened, 0), one("files", tallyman.KindClosed, time.Second)
	opened.Path, closed.Path, opened.File, closed.File, closed.Size = "/srv/confg", "/srv/confg", "1:2", "1:2", 5000
	closed.Details = `{"accessed":true,"close":"write","modified":true}`
	if more != nil {
		more(&request, &claim, &closed)
	}
	all := []tallyman.Evidence{request, opened, closed}
	if log != "" {
		all = append(all, claim)
	}
	for i := range all {
		all[i].ID = tallyman.ID{Seq: uint64(i + 1)}
	}
	return all
}

func TestWhereLogAndFilesAgreeItIsProbablyWhole(t *testing.T) {
	f := func(what string, probably string, all []tallyman.Evidence) {
		t.Helper()
		got := records(t, patient(), all)
		if len(got) != 1 {
			t.Fatalf("%s: %d records", what, len(got))
		}
		if p := got[0].Probably(); p != probably || p != "" && got[0].Judgement.Verdict != tallyman.Unproven {
			t.Errorf("%s: probably %q, %s %s, %s", what, p, got[0].Judgement.Verdict, got[0].Judgement.Reason, got[0].Details)
		}
	}
	put, get := tallyman.OpPut, tallyman.OpGet
	f("an upload that the log calls stored", "whole", without("ftp", put, tallyman.Stored, nil))
	f("an upload of which the file has another size", "", without("ftp", put, tallyman.Stored, func(_, _, c *tallyman.Evidence) { c.Size = 4999 }))
	f("an upload that the log calls failed", "", without("ftp", put, tallyman.ClientGone, nil))
	f("a file that nobody changed", "", without("ftp", put, tallyman.Stored, func(_, _, c *tallyman.Evidence) { c.Details = `{"accessed":true,"modified":false}` }))
	f("a file that is deleted", "", without("ftp", put, tallyman.Stored, func(_, _, c *tallyman.Evidence) { c.Details = `{"modified":true,"deleted":true}` }))
	f("a download whose log knows no size", "whole", without("tftp", get, tallyman.FinalAck, func(_, l, _ *tallyman.Evidence) { l.Moved = -1 }))
	f("a download that was cut", "", without("ftp", get, tallyman.FinalAck, func(_, l, _ *tallyman.Evidence) { l.Moved = 1000 }))
	f("an upload to a server that writes no ends", "whole", without("tftp", put, "", nil))
	f("the same, closed when a server gives a client up", "", without("tftp", put, "", func(_, _, c *tallyman.Evidence) { c.Time = t0.Add(63 * time.Second) }))
	f("a request for a file that was locked", "", without("tftp", put, "", func(_, _, c *tallyman.Evidence) { c.Details = `{"accessed":false,"modified":false}` }))
	f("an FTP upload without a claim", "", without("ftp", put, "", nil))

	near := without("tftp", put, "", nil)
	seen := near[0]
	seen.Witness, seen.Kind, seen.ID, seen.Peer = "wire", tallyman.KindRequest, tallyman.ID{Seq: 9}, netip.MustParseAddrPort("10.0.0.7:4000")
	f("an upload of which packets were seen", "", append(near, seen))
}

func TestAWitnessAloneIsJudgedByItsOwnEvidence(t *testing.T) {
	all := without("ftp", tallyman.OpPut, tallyman.Stored, nil)
	got := records(t, patient(), all)[0]
	for witness, want := range map[string]tallyman.Reason{"files": tallyman.ClosedUnproven, "log": tallyman.LogOnly} {
		alone := join.Alone(got, witness)
		if alone == nil || alone.Judgement.Verdict != tallyman.Unproven || alone.Judgement.Reason != want || len(alone.Evidence) != 2 || alone.ID != got.ID {
			t.Errorf("%s alone: %+v", witness, alone)
		}
	}
	if join.Alone(got, "wire") != nil {
		t.Error("a witness who said nothing has a verdict")
	}
	if len(got.Evidence) != 4 || got.Probably() != "whole" {
		t.Errorf("the transfer was changed: %+v", got)
	}
}
